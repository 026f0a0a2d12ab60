"""The best few of a search, unlike each other, trained alone before one of them is chosen.

Shared weights rank thousands of architectures roughly. What is best by them is good, and lucky: it
is also what suits this one supernet. A few that are unlike each other, trained alone for a short
while, tell which of them are really good.
"""

import numpy as np
import numpy.typing as npt
from torch import nn

from hwnas.arrays import IntArray
from hwnas.costs import FeasibleSet
from hwnas.data import ArrayDataset
from hwnas.errors import OptionError
from hwnas.progress import Progress, silent
from hwnas.search.retrain import accuracy, logits, retrain
from hwnas.search.run import Run
from hwnas.search.spos import LoggedEvaluation
from hwnas.spaces import SearchSpace

__all__ = ["ranked_alone", "train_briefly", "unlike"]

#: Of SGD at 128 images a step, and what the running average keeps: in a few hundred steps more is
#: learned so than at the rate of a whole training.
_RATE, _EMA = 0.2, 0.98
_BATCH = 128
#: Keeps these trainings apart from that of the winner.
_STREAM = 1000


def ranked_alone(
    run: Run,
    space: SearchSpace,
    data: ArrayDataset,
    feasible: FeasibleSet,
    evaluate: LoggedEvaluation,
    *,
    count: int,
    steps: int,
    seed: int,
    progress: Progress = silent,
) -> list[tuple[IntArray, float]]:
    """Train the finalists of a search alone, and rank them by accuracy on the validation images.

    Args:
        run: the folder; each finalist goes on in a sub-folder of it where it was killed.
        space: of the networks that are trained.
        data: at the input size of ``space``; all validation images are looked at.
        feasible: finalists keep its budgets.
        evaluate: what the search has asked for.
        count: finalists at most, see `unlike`.
        steps: that each is trained.
        seed: of weights and order of images; not those of `hwnas.search.standalone`.
        progress: told after every step.

    Returns:
        Architectures (n_decisions,) with their accuracies, 0 to 1, the best first.
    """
    archs = np.array([space.parse(name) for name in evaluate.asked])
    kept = feasible.contains(archs)
    finalists = unlike(archs[kept], np.array(list(evaluate.asked.values()))[kept], count)
    found = []
    for at, arch in enumerate(finalists):

        def told(task: str, share: float, remark: str, at: int = at) -> None:
            progress("training finalists", (at + share) / len(finalists), remark)

        config = {"architecture": space.format(arch), "steps": steps, "seed": seed}
        alone = Run(run.folder / "finalists" / str(at), config)
        known = alone.read_json("accuracy.json")
        if known is None:
            network = train_briefly(
                alone, space, arch, data, steps=steps, seed=_STREAM + seed, progress=told
            )
            outputs = logits(network, data, data.validation_images)
            known = {"validation": accuracy(outputs, data.validation_labels)}
            alone.write_json("accuracy.json", known)
        found.append(float(known["validation"]))
    return [(finalists[at], found[at]) for at in np.argsort(-np.array(found), kind="stable")]


def train_briefly(
    run: Run,
    space: SearchSpace,
    arch: IntArray,
    data: ArrayDataset,
    *,
    steps: int,
    seed: int,
    progress: Progress = silent,
) -> nn.Module:
    """`retrain` with settings for a few hundred steps, so that networks can be compared."""
    return retrain(
        run,
        space,
        arch,
        data,
        steps=steps,
        batch=_BATCH,
        base_rate=_RATE,
        ema=_EMA,
        seed=seed,
        progress=progress,
    )


def unlike(
    archs: IntArray, accuracies: npt.ArrayLike, count: int, share: float = 1 / 2
) -> IntArray:
    """The most accurate architectures of which any two differ in a share of their decisions.

    Args:
        archs: (n, n_decisions), different ones.
        accuracies: (n,).
        count: how many at most; fewer where there are no more unlike ones.
        share: of the decisions that two of them take differently, at least; 0 to 1.

    Returns:
        (m, n_decisions), the most accurate first; of equals the one that was given first.

    Raises:
        OptionError: a count below 1, or a share that is none.
    """
    if count < 1 or not 0 <= share <= 1:
        raise OptionError(
            f"finalists are 1 or more, a share is from 0 to 1, got {count}, {share:g}"
        )
    kept: list[IntArray] = []
    for at in np.argsort(-np.asarray(accuracies, np.float64), kind="stable"):
        arch = archs[at]
        if all((arch != other).mean() >= share for other in kept):
            kept.append(arch)
        if len(kept) == count:
            break
    return np.array(kept, np.int64).reshape(len(kept), archs.shape[1])
