"""What a person's own network reads: one tensor or several, of any shape and type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from hwnas.data import InputShape, shapes_of
from hwnas.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DType", "Inputs", "checked_inputs"]

DType = Literal["float32", "int64", "int32"]


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network.

    Attributes:
        shape: of one input without the batch, or of each of several.
        dtypes: of each.
    """

    shape: InputShape
    dtypes: tuple[DType, ...]

    @property
    def several(self) -> bool:
        """Whether the network is called with several tensors."""
        return isinstance(self.shape[0], tuple)

    @property
    def names(self) -> list[str]:
        """In an ONNX model: ``input``, or ``input_0``, ``input_1``, ..."""
        return [f"input_{at}" for at in range(len(self.dtypes))] if self.several else ["input"]

    @property
    def facts(self) -> dict[str, Any]:
        """For the arguments of a space; types only where one is not float32."""
        whole = {"input_dtype": list(self.dtypes)} if set(self.dtypes) != {"float32"} else {}
        shape = [list(s) for s in self.shape] if self.several else list(self.shape)
        return {"input_shape": shape, **whole}

    def tensors(self, batch: int, device: str = "cpu") -> tuple["Tensor", ...]:
        """Zeros for each input."""
        import torch

        return tuple(
            torch.zeros(batch, *shape, dtype=getattr(torch, dtype), device=device)
            for shape, dtype in zip(shapes_of(self.shape), self.dtypes, strict=True)
        )

    def zeros(self, batch: int) -> "Tensor | tuple[Tensor, ...]":
        """Zeros as a data set hands them out: a tensor, or a tuple of several."""
        made = self.tensors(batch)
        return made if self.several else made[0]


def checked_inputs(input_shape: Any, input_dtype: str | Sequence[str]) -> Inputs:
    """What a person says of the inputs of a family.

    Raises:
        OptionError: a shape that is none, an unknown type, or other numbers of them.
    """
    try:
        listed = tuple(input_shape)
        shapes = tuple(tuple(int(n) for n in shape) for shape in shapes_of(listed))
    except (TypeError, ValueError):
        raise OptionError(
            "input_shape is the shape of an input without the batch, such as (channels, height, "
            f"width), or a list of shapes, got {input_shape!r}"
        ) from None
    if not shapes or not all(shapes) or min(map(min, shapes)) < 1:
        raise OptionError(f"input_shape holds numbers of at least 1, got {input_shape!r}")
    one = isinstance(input_dtype, str)
    given = (input_dtype,) * len(shapes) if one else tuple(input_dtype)
    if len(given) != len(shapes) or not set(given) <= set(get_args(DType)):
        raise OptionError(
            f"input_dtype is {', '.join(get_args(DType))}, one for all inputs or one each, got "
            f"{input_dtype!r} for {len(shapes)}"
        )
    several = isinstance(listed[0], list | tuple)
    return Inputs(shapes if several else shapes[0], cast(tuple[DType, ...], given))
