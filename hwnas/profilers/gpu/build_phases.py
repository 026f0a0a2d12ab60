"""How far TensorRT is with an engine: a share of nested phases."""

from dataclasses import dataclass

__all__ = ["BuildPhases"]


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildPhases:
    """Takes in what TensorRT tells of its phases; steps of a phase count alike.

    A phase within another is part of the step that the other is at.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Phase] = {}
        self._share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins; ``parent`` is None for the outermost."""
        self._open[name] = _Phase(parent, max(1, steps))

    def step(self, name: str, step: int) -> None:
        """A step is done, counted from 0."""
        if name in self._open:
            self._open[name].done = step + 1

    def finish(self, name: str) -> None:
        """A phase ends, whatever it left undone."""
        self._open.pop(name, None)

    @property
    def share(self) -> float:
        """0 to 1; never falls, though phases may come in any number."""
        outer = [self._within(n) for n, phase in self._open.items() if phase.parent is None]
        self._share = max(self._share, *outer, 0.0)
        return self._share

    def _within(self, name: str) -> float:
        phase = self._open[name]
        inner = [self._within(n) for n, other in self._open.items() if other.parent == name]
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)
