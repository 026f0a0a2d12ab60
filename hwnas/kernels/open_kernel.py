"""A kernel while a model is walked: steps may still join it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hwnas.kernels.fused import ConvolutionShape, FusedKernel

__all__ = ["EPILOGUES", "OpenKernel", "side_by_side"]

#: What a convolution does to its result before it is written.
EPILOGUES = frozenset({"Clip", "LeakyRelu", "Relu"})


@dataclass(eq=False)
class OpenKernel:
    """A kernel that steps may still join.

    Attributes:
        at: the step at which it runs.
        reads: tensor -> numbers an image.
        writes: numbers an image.
        result: the tensor that the next step may take over.
        stage: of a convolution: 0 nothing behind it, 1 a sum, 2 an activation.
        form: equal for convolutions that may run as one; empty where none may join it.
        gone: another took it in.
    """

    at: int
    name: str
    kind: str
    ops: list[str]
    reads: dict[str, int]
    writes: int
    result: str
    constant: int = 0
    convolution: ConvolutionShape | None = None
    stage: int = 0
    remark: str = ""
    form: tuple[object, ...] = ()
    gone: bool = False

    def closed(self) -> FusedKernel:
        """As it runs."""
        read = sum(self.reads.values())
        return FusedKernel(
            self.name,
            self.kind,
            tuple(self.ops),
            min(read, self.writes) if self.kind == "copy" else read,
            self.writes,
            self.constant,
            self.convolution,
            self.remark,
        )

    @property
    def can_add(self) -> bool:
        """Whether it is a convolution that can still add a map to its result."""
        shape = self.convolution
        return self.kind == "convolution" and self.stage == 0 and not (shape and shape.depthwise)


def side_by_side(kernels: Iterable[OpenKernel]) -> list[OpenKernel]:
    """Convolutions of one form that read one tensor, as one (horizontal fusion)."""
    found: list[OpenKernel] = []
    first: dict[tuple[object, ...], OpenKernel] = {}
    for kernel in kernels:
        key = (kernel.form, *kernel.reads, EPILOGUES.intersection(kernel.ops))
        other = first.setdefault(key, kernel) if kernel.form else kernel
        if other is kernel:
            found.append(kernel)
            continue
        assert other.convolution is not None
        assert kernel.convolution is not None
        out = other.convolution.out_channels + kernel.convolution.out_channels
        other.convolution = replace(other.convolution, out_channels=out)
        other.name = f"{other.name} | {kernel.name}"
        other.writes += kernel.writes
        other.constant += kernel.constant
    return found
