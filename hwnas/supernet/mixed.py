"""Mixed edges (DARTS, eq. 2): every candidate of every slot at once, weighted by probabilities.

A slot that follows a decision gives ``sum_j p_j o_j(x)`` with ``p`` the softmax of the decision's
architecture parameters (`hwnas.supernet.probabilities_of`). It is the layout's own wiring, so what
is said of one path holds of cells and chains alike.

Memory grows with the number of choices. Until its backward pass a slot keeps, for each candidate,
what a path through that candidate keeps (`hwnas.supernet.Supernet`), and the candidate's output: a
network of n choices takes about n times a path's memory, times the images of a batch. `mixed_bytes`
counts it. A `hwnas.ops.Zero` adds nothing, so it is not run and costs nothing.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from hwnas.errors import OptionError
from hwnas.ops import Zero
from hwnas.spaces import SearchSpace
from hwnas.spaces.layout import unfollowed
from hwnas.supernet.network import Supernet

__all__ = ["check_mixable", "mixed_bytes", "mixed_logits"]

_FLOAT = 4  # bytes


def mixed_logits(
    supernet: Supernet,
    images: Tensor,
    probabilities: Tensor,
    drop: Callable[[Tensor], Tensor] | None = None,
    concat: Callable[[str, Sequence[Tensor]], Tensor] | None = None,
) -> Tensor:
    """Logits (n, classes) of all candidates, each weighted by its probability.

    Args:
        supernet: of a space that `check_mixable` accepts.
        images: (n, channels, height, width).
        probabilities: (n_decisions, most choices); gradients flow into them.
        drop: what becomes of each sum, such as drop path; None leaves it.
        concat: see `Supernet.wire`.
    """
    slots = supernet.space.layout.slots
    weights = probabilities.to(images.dtype)

    def run(at: int, x: Tensor) -> Tensor:
        slot = slots[at]
        if slot.decision is None:
            return supernet.run_block(at, x, 0)
        kept = [c for c, workload in enumerate(slot.workloads) if not isinstance(workload.op, Zero)]
        if not kept:
            return supernet.run_block(at, x, 0)
        result = weights[slot.decision, kept[0]] * supernet.run_block(at, x, kept[0])
        for choice in kept[1:]:
            result = result + weights[slot.decision, choice] * supernet.run_block(at, x, choice)
        return result if drop is None else drop(result)

    path = supernet.path([0] * len(supernet.space.decisions))
    return supernet.wire(path, images, run, concat)


def check_mixable(space: SearchSpace) -> None:
    """Refuse a space whose candidates cannot all run at once.

    Raises:
        OptionError: a slot follows several decisions or is not always used, or a decision has no
            slot that follows it.
    """
    what = "mixed edges need slots that each follow one decision, one for one"
    if not space.additive or any(slot.picks is not None for slot in space.layout.slots):
        raise OptionError(
            f"{what}; in {space.name} decisions choose otherwise what runs: search it by single "
            "paths, --method spos"
        )
    if idle := unfollowed(space.layout):
        raise OptionError(
            f"{what}; {space.name} has none for decision {idle[0]}: search it by single paths, "
            "--method spos"
        )


def mixed_bytes(space: SearchSpace, images: int) -> float:
    """Bytes that the values of all candidates take for a batch: what a backward pass needs.

    A lower bound of what a step takes: weights, gradients and what a runtime copies come on top.

    Args:
        space: that `check_mixable` accepts.
        images: of a batch.
    """
    numbers = 0
    for slot in space.layout.slots:
        for workload in slot.workloads:
            if not isinstance(workload.op, Zero):
                nodes = workload.graph().nodes[1:]
                numbers += sum(channels * h * w for channels, h, w in (n.shape for n in nodes))
    return float(_FLOAT * images * numbers)
