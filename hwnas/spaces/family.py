"""A family of a person's own networks: a function that builds them, and what it may be asked for.

A family is a space whose layout has one slot, in which a whole network runs. It has no operators
and no workloads: what it costs is counted on the modules themselves, its networks are measured
whole, and they share weights by the names of their parameters (`hwnas.supernet.named`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.errors import ExportError, OptionError
from hwnas.onnx_graph import Precision, Weights
from hwnas.ops import Graph, Op, Workload
from hwnas.spaces.family_arguments import (
    checked_name,
    decisions_of,
    weights_digest,
)
from hwnas.spaces.family_layout import Family
from hwnas.spaces.inputs import checked_inputs
from hwnas.spaces.space import SearchSpace, check_quantity

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FamilySpace", "family"]

#: No parameter is cut part by part.
_NO_PARTS: Mapping[str, int] = {}


def family(
    build: Callable[..., "nn.Module"],
    choices: Mapping[str, Sequence[Any]],
    *,
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    input_dtype: str | Sequence[str] = "float32",
    name: str | None = None,
    parts: Mapping[str, int] = _NO_PARTS,
    evaluate: Callable[["nn.Module"], float] | None = None,
    pretrained: Mapping[str, "Tensor"] | None = None,
) -> "FamilySpace":
    """A search space of a function that returns `torch.nn.Module`s.

    ``build(**choices)`` is called with one value for each name, and gives the same network for the
    same values. The largest numbers of ``choices`` come last by habit; their order is free.

    Args:
        build: makes a network, with torch's own layers or others.
        choices: for each argument of ``build`` the values it may have: numbers, words, truth
            values, None, or lists of these.
        input_shape: of one input, without the batch, such as (3, 32, 32); or a list of shapes,
            where networks are called with several tensors.
        input_dtype: ``float32``, or ``int64`` or ``int32`` for numbers of words and the like; one
            for all inputs, or one each.
        name: of the space, by which tables and runs name it; the function's own by default.
        parts: parameters that stack parts of equal height, by the end of their name, and how many:
            ``{"qkv.weight": 3}``, or ``{"qkv": 3}`` for its bias as well. Networks of other widths
            then share each part for itself. Torch's own attention and grouped convolutions are
            known.
        evaluate: gives the accuracy, 0 to 1, of a network with fresh weights that it is handed, and
            may train it first; then no weights are shared, and a search needs no data. With an
            attribute ``metric`` (`hwnas.data.Metric`) it gives scores of that, more is better. By
            default a search trains all networks together.
        pretrained: weights by the names of a network's ``state_dict``, that the shared weights
            start with; what no network has, or of another size, is left out.

    Raises:
        OptionError: the function raises, gives no module, gives another output shape or another
            network for other calls; choices that it does not take; an input shape that is none.
    """
    label, decisions = checked_name(build, name), decisions_of(choices)
    if evaluate is not None and not callable(evaluate):
        raise OptionError(f"evaluate is a function of a network, got {evaluate!r}")
    inputs = checked_inputs(input_shape, input_dtype)
    given = dict(pretrained or {})
    networks = Family(label, build, decisions, inputs, dict(parts), evaluate, given)
    networks.check_call()
    arguments = {
        "choices": {name: list(values) for name, values in choices.items()},
        **inputs.facts,
        "networks": networks.fingerprint(),
        **({"pretrained": weights_digest(given)} if given else {}),
    }
    networks.check_parts()
    return FamilySpace(label, json.loads(json.dumps(arguments)), networks)


@dataclass(frozen=True, eq=False, repr=False)
class FamilySpace(SearchSpace):
    """A `SearchSpace` whose networks are a person's own modules."""

    layout: Family
    quantised = False

    @property
    def modules(self) -> Family:
        """What builds the networks."""
        return self.layout

    @property
    def input_shape(self) -> Any:
        """Of one input without the batch, or of each of several."""
        return self.layout.inputs.shape

    @property
    def classes(self) -> int:
        """Outputs of every network.

        Raises:
            OptionError: networks give no vector of them.
        """
        output: tuple[Any, ...] = self.layout.facts([0] * len(self.decisions)).output
        if len(output) != 1 or isinstance(output[0], tuple):
            raise OptionError(
                f"networks of {self.name} give (n, {', '.join(map(str, output))}), and a network "
                "that tells classes apart gives (n, classes): other outputs need data with an own "
                "loss and metric, hwnas.data.from_batches(..., task=Task(loss=, metric=))"
            )
        return int(output[0])

    def workloads(self, arch: npt.ArrayLike) -> list[Workload]:
        """Raises `OptionError`: there are none."""
        self._lacks_workloads()

    @property
    def distinct_workloads(self) -> tuple[Workload, ...]:
        """Raises `OptionError`: there are none."""
        self._lacks_workloads()

    @property
    def families(self) -> dict[str, type[Op]]:
        """There are no operators."""
        return {}

    def graph(self, arch: npt.ArrayLike) -> Graph:
        """Raises `OptionError`: a module of torch is no `Graph`."""
        self._lacks_workloads()

    def build(self, arch: npt.ArrayLike) -> "nn.Module":
        """One network, as the function makes it."""
        return self.layout.make(self._one(arch))

    def drawn(self, arch: npt.ArrayLike, seed: int) -> "nn.Module":
        """One network as the function makes it, torch's generator being at a seed."""
        from hwnas.ops.module import seeded

        with seeded(seed):
            return self.build(arch)

    def to_onnx(
        self,
        arch: npt.ArrayLike,
        weights: Weights | None = None,
        *,
        batch: int = 1,
        precision: Precision = "fp32",
        symmetric: bool = False,
        ranges: Mapping[str, float] | None = None,
        metadata: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> bytes:
        """One network as fp32 ONNX, written by torch; see `SearchSpace.to_onnx`.

        Raises:
            OptionError: another precision.
            ExportError: torch cannot write the module down.
        """
        import torch

        from hwnas.spaces.module_onnx import module_to_onnx

        if precision != "fp32":
            raise OptionError(
                f"networks of {self.name} are written by torch, in fp32, got {precision}: build "
                "the runtime's own engine of the file in that precision"
            )
        module = self.drawn(arch, seed)
        if weights is not None:
            module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})
        about = {"space": self.name, "architecture": self.format(arch), **(metadata or {})}
        try:
            return module_to_onnx(module, self.layout.inputs, batch, about)
        except Exception as error:  # whatever torch raises for a person's own module
            raise ExportError(
                f"torch cannot write {self.format(arch)} of {self.name} as ONNX "
                f"({type(error).__name__}: {error}): does it use operations that ONNX lacks?"
            ) from error

    def exact(self, quantity: str) -> Callable[[npt.ArrayLike], FloatArray]:
        """MACs, parameters or bytes as a function of architectures, counted on the modules."""
        check_quantity(quantity)
        return partial(self._counted, quantity)

    def _counted(self, quantity: str, archs: npt.ArrayLike) -> FloatArray:
        rows = self.check(archs).tolist()
        return np.array([getattr(self.layout.facts(row), quantity, 0) for row in rows], np.float64)

    def _lacks_workloads(self) -> NoReturn:
        raise OptionError(
            f"networks of {self.name} are a person's own modules, which are not made of workloads: "
            "they are measured whole"
        )
