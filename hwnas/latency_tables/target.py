"""What a number was measured on."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from annotated_types import Ge, MinLen

__all__ = ["Target"]

_Text = Annotated[str, MinLen(1)]
_Positive = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True)
class Target:
    """Device, runtime and how the runtime was used.

    Attributes:
        kind: what ``--device`` calls it.
        device: the processor's or card's own name.
        device_id: digest that tells two machines with the same processor apart.
        runtime, runtime_version: what ran the models.
        precision: of weights and activations.
        batch: images a run.
        threads: threads inside an operator; 1 on a GPU.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, not a field

    kind: Literal["cpu", "gpu"]
    device: _Text
    device_id: _Text
    runtime: _Text
    runtime_version: _Text
    precision: Literal["fp32", "fp16", "int8"]
    batch: _Positive
    threads: _Positive

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s'[: self.threads > 1]}" if self.kind == "cpu" else ""
        return (
            f"{self.device} ({self.kind}), {self.runtime} {self.runtime_version}, "
            f"{self.precision}, batch {self.batch}{threads}"
        )

    def differences(self, other: "Target") -> list[str]:
        """What differs, as ``name: mine instead of theirs``."""
        return [
            f"{f.name}: {getattr(self, f.name)} instead of {getattr(other, f.name)}"
            for f in fields(self)
            if getattr(self, f.name) != getattr(other, f.name)
        ]
