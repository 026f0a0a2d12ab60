"""The best few of a search, mutually dissimilar, trained alone before one of them is chosen.

Shared weights rank thousands of architectures roughly. What is best by them is good, and lucky: it
is also what suits this one supernet. A few dissimilar ones, trained alone for a short while, tell
which of them are really good.
"""

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.documents import inside
from hwnas.errors import OptionError
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import LoggedEvaluation
from hwnas.search.problem import Problem
from hwnas.search.retraining.retrain import retrain, score
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.runs.schema import OWN
from hwnas.search.runs.train_schema import Accuracy

__all__ = ["diverse_subset", "finalist_settings", "rank_finalists"]

#: Of SGD at 128 images a step, and what the running average keeps: in a few hundred steps more is
#: learned so than at the learning rate of a whole training.
_LR, _EMA = 0.2, 0.98
#: Keeps these trainings apart from that of the winner.
_STREAM = 1000


def rank_finalists(
    run: Run,
    problem: Problem,
    evaluate: LoggedEvaluation,
    *,
    count: int,
    steps: int,
    progress: Progress = silent,
) -> list[tuple[IntArray, float]]:
    """Train the finalists of a search alone, and rank them by accuracy on the validation images.

    Args:
        run: the folder; each finalist goes on in a sub-folder of it where it was killed.
        problem: its budgets are kept, its proxy is trained, all its validation images are used.
            The seed of weights and images is not that of `hwnas.search.retraining.found`.
        evaluate: what the search has asked for.
        count: finalists at most, see `diverse_subset`; 1 for none, since it would be alone.
        steps: that each is trained.
        progress: told after every step.

    Returns:
        Architectures (n_decisions,) with their accuracies, 0 to 1, the best first.
    """
    if count == 1:
        return []
    space, data = problem.proxy, problem.data
    archs, accuracies = evaluate.history
    kept = problem.feasible.contains(archs)
    finalists = diverse_subset(archs[kept], accuracies[kept], count)
    found = []
    for at, arch in enumerate(finalists):

        def told(task: str, share: float, remark: str, at: int = at) -> None:
            progress("training finalists", (at + share) / len(finalists), remark)

        config = {"architecture": space.format(arch), "steps": steps, "seed": problem.seed}
        with Run(inside(run.folder, "finalists", str(at), advice=OWN), config) as alone:
            known = alone.read_json("accuracy.json", Accuracy)
            if known is None:
                settings, seed = finalist_settings(steps), _STREAM + problem.seed
                network = retrain(alone, space, arch, data, settings, seed=seed, progress=told)
                found_out = score(network, data.validation(), problem.task)
                known = {"validation": found_out, **problem.metric.facts}
                alone.write_json("accuracy.json", known)
        found.append(float(known["validation"]))
    return [(finalists[at], found[at]) for at in np.argsort(-np.array(found), kind="stable")]


def finalist_settings(steps: int) -> RetrainSettings:
    """Settings for a few hundred steps, so that networks can be compared."""
    return RetrainSettings(steps=steps, base_lr=_LR, ema=_EMA)


def diverse_subset(
    archs: IntArray, accuracies: npt.ArrayLike, count: int, share: float = 1 / 2
) -> IntArray:
    """The most accurate architectures of which any two differ in a share of their decisions.

    Args:
        archs: (n, n_decisions), different ones.
        accuracies: (n,).
        count: how many at most; fewer where there are no more dissimilar ones.
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
