"""Does a supernet rank architectures as training each of them alone does?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.data import Dataset, task_of
from hwnas.documents import inside
from hwnas.errors import OptionError
from hwnas.predictors.report import spearman
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import stored_evaluator
from hwnas.search.candidates.parallel import Parallel, logged_evaluation
from hwnas.search.retraining.retrain import retrain, score
from hwnas.search.retraining.settings import RankSettings, RetrainSettings
from hwnas.search.runs.plots import plot_ranking, write_and_draw
from hwnas.search.runs.run import Run
from hwnas.search.runs.schema import OWN
from hwnas.search.runs.stored import StoredRun

__all__ = [
    "LEAST_FOR_INTERVAL",
    "METRICS",
    "check_ranking",
    "pairwise_accuracy",
    "rank_correlation",
]

_LEAST = 3
#: With fewer networks, most draws are equal or all level, and their spread means nothing.
LEAST_FOR_INTERVAL = 8


def pairwise_accuracy(truth: FloatArray, guess: FloatArray) -> float:
    """The share of pairs that ``guess`` orders as ``truth`` does; a tie in the guess counts half.

    Pairs that are level in truth are left out; nan if there are no others.

    Args:
        truth, guess: (n,).
    """
    wanted, given = _orders(truth), _orders(guess)
    right = 0.5 + 0.5 * (wanted * given)[wanted != 0]
    return float(right.mean()) if len(right) else float("nan")


def _kendall(truth: FloatArray, guess: FloatArray) -> float:
    """Kendall's tau-b, which scipy computes too, but not a thousand times in a second."""
    wanted, given = _orders(truth), _orders(guess)
    ordered = np.count_nonzero(wanted) * np.count_nonzero(given)
    return float((wanted * given).sum() / ordered**0.5) if ordered else float("nan")


def _orders(values: FloatArray) -> FloatArray:
    """-1, 0 or 1 for every pair of (n,) values."""
    first, second = np.triu_indices(len(values), 1)
    signs: FloatArray = np.sign(values[first] - values[second])
    return signs


#: Name -> how well a guess (n,) ranks like the truth (n,).
METRICS: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "kendall": _kendall,
    "spearman": spearman,
    "pairwise_accuracy": pairwise_accuracy,
}


def rank_correlation(
    truth: npt.ArrayLike,
    guess: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Each of `METRICS` with its bootstrap interval.

    The architectures are drawn again with repeats, ``resamples`` times. Draws in which all are
    level say nothing and are left out; a metric that no draw defines is None. Fewer than
    `LEAST_FOR_INTERVAL` architectures have no interval.

    Args:
        truth, guess: accuracies (n,).
        confidence: of the percentile interval.
        seed: of the draws.

    Raises:
        OptionError: too few accuracies, or not as many of both.
    """
    true, guessed = np.asarray(truth, np.float64), np.asarray(guess, np.float64)
    if len(true) < _LEAST or true.shape != guessed.shape:
        raise OptionError(
            f"a ranking needs {_LEAST} architectures with both accuracies, got {true.shape} and "
            f"{guessed.shape}"
        )
    rows = np.random.default_rng([seed, 0xB007]).integers(0, len(true), (resamples, len(true)))
    tail = 100 * (1 - confidence) / 2
    result: dict[str, dict[str, Any]] = {}
    for name, metric in METRICS.items():
        drawn = np.array([metric(true[row], guessed[row]) for row in rows])
        drawn = drawn[np.isfinite(drawn)]
        value = metric(true, guessed)
        told = len(drawn) and len(true) >= LEAST_FOR_INTERVAL
        interval = np.percentile(drawn, [tail, 100 - tail]).tolist() if told else None
        result[name] = {"value": value if np.isfinite(value) else None, "interval": interval}
    return result


def check_ranking(
    run: Run,
    source: StoredRun,
    data: Dataset,
    settings: RankSettings,
    *,
    seed: int = 0,
    parallel: Parallel | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train uniform architectures alone and compare with their supernet accuracies.

    Writes ``rank.json`` and ``rank.png``.

    Args:
        run: the folder; what was trained before a kill is looked up, or goes on.
        source: the run that trained the supernet.
        data: what it was trained on; networks alone are tested on its test images.
        settings: how many architectures, and how each is trained.
        seed: of the architectures and of each training.
        parallel: processes that evaluate with shared weights; None for this one.
        progress: told all along.

    Returns:
        The content of ``rank.json``.

    Raises:
        OptionError: too few architectures for a ranking.
    """
    count, steps = settings.count, settings.steps
    each = RetrainSettings(
        steps=steps,
        batch_size=settings.batch_size,
        base_lr=settings.base_lr,
        ema=settings.ema,
    )
    if count < _LEAST:
        raise OptionError(f"a ranking needs {_LEAST} architectures or more, got {count}")
    space, task = source.proxy, task_of(data)
    archs = space.sample(count, seed=np.random.default_rng([seed, 0x4A4C]))
    names = [space.format(arch) for arch in archs]
    validation = stored_evaluator(source, data)
    shared = logged_evaluation(run, space, validation, parallel, progress=progress)(archs)
    known = {e["architecture"]: float(e["accuracy"]) for e in run.logged("trained alone")}
    for at, (name, arch) in enumerate(zip(names, archs, strict=True)):
        if name not in known:
            folder = inside(run.folder, "networks", str(at), advice=OWN)
            told = _part(progress, at, count)
            with Run(folder, {"architecture": name, "steps": steps}) as own:
                network = retrain(own, space, arch, data, each, seed=seed, progress=told)
            known[name] = score(network, data.test(), task)
            run.log("trained alone", architecture=name, accuracy=known[name], **task.scored.facts)
    alone = np.array([known[name] for name in names])
    result: dict[str, Any] = {
        "space": space.name,
        "data": data.name,
        "supernet": str(source.home),
        "count": count,
        "steps": steps,
        "agreement": rank_correlation(alone, shared, seed=seed),
        "architectures": [
            {"architecture": name, "supernet_accuracy": float(s), "alone_accuracy": float(a)}
            for name, s, a in zip(names, shared, alone, strict=True)
        ],
        "seed": seed,
        "metric": task.scored.record,
        "seconds": round(run.seconds, 1),
        "files": {"plot": "rank.png"},
    }
    kendall = result["agreement"]["kendall"]["value"]
    return write_and_draw(
        run,
        "rank.json",
        result,
        lambda path: plot_ranking(path, shared, alone, kendall, task.scored),
    )


def _part(progress: Progress, at: int, count: int) -> Progress:
    """The progress of one of several trainings, as a share of all."""
    return lambda _, share, remark: progress(
        "training alone", (at + share) / count, f"{at + 1} of {count}, {remark}"
    )
