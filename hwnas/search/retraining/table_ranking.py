"""Does a supernet rank architectures as a table of true accuracies does? Nothing is trained."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import Dataset
from hwnas.errors import OptionError
from hwnas.predictors import LookedUpLatency
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import LoggedEvaluation, stored_evaluator
from hwnas.search.looked_up import Accuracies, Tables, rows_in_both
from hwnas.search.retraining.ranking import METRICS, rank_correlation
from hwnas.search.runs.plots import plot_against_table, write_and_draw
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.spaces import SearchSpace

__all__ = ["band_agreement", "free_guesses", "rank_by_table", "top_share"]

_LEAST = 3
#: Bands of equal cost: at least this many networks in each, and at most this many bands.
_IN_A_BAND = 10
_MOST_BANDS = 10
#: The best networks whose place is looked at, as a share of all.
_TOP = 0.1


def free_guesses(space: SearchSpace, archs: IntArray) -> dict[str, FloatArray]:
    """What costs nothing to rank by: MACs and parameters, (n,) each.

    Where a space has cells, those of operators on a path from input to output alone.
    """
    cell = space.layout.cell
    counted = archs if cell is None else cell.live(archs)
    word = "" if cell is None else "live "
    return {
        f"{word}MACs": space.macs(counted).astype(np.float64),
        f"{word}params": space.params(counted).astype(np.float64),
    }


def band_agreement(
    truth: FloatArray, guess: FloatArray, costs: FloatArray, bands: int
) -> dict[str, float | None]:
    """Each of `METRICS` within bands of about equal cost, the mean over the bands.

    A ranking that only tells large networks from small ones says little there.

    Args:
        truth, guess: (n,).
        costs: (n,); bands hold equal shares of the architectures in the order of their costs.
        bands: how many.
    """
    parts = np.array_split(np.argsort(costs, kind="stable"), bands)
    found: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        values = np.array([metric(truth[part], guess[part]) for part in parts])
        told = values[np.isfinite(values)]
        found[name] = float(told.mean()) if len(told) else None
    return found


def top_share(truth: FloatArray, guess: FloatArray, count: int) -> dict[str, float]:
    """What the best ``count`` by a guess (n,) are worth in truth (n,).

    Returns:
        ``shared``: the share of them that are among the truly best so many; ``lost``: by how much
        the best of them is worse than the best of all, in the unit of the truth.
    """
    chosen = np.argsort(-guess, kind="stable")[:count]
    best = np.argsort(-truth, kind="stable")[:count]
    return {
        "shared": len(np.intersect1d(chosen, best)) / count,
        "lost": float(truth.max() - truth[chosen].max()),
    }


def rank_by_table(
    run: Run,
    source: StoredRun,
    data: Dataset,
    tables: Tables,
    count: int,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compare the accuracies of a supernet with those of a table, and with what costs nothing.

    Writes ``rank.json`` and ``rank.png``. Networks without a path from input to output are left
    out.

    Args:
        run: the folder; what was evaluated before a kill is looked up.
        source: the run that trained the supernet.
        data: what it was trained on.
        tables: the truth, and perhaps latencies, whose bands are looked at; else those of MACs.
        count: architectures, drawn from those in the tables without repeats; all where they are
            fewer.
        seed: of the draw.
        progress: told all along.

    Returns:
        The content of ``rank.json``.
    """
    space, truths = source.deployed, tables.accuracies
    assert truths is not None
    archs = _drawn(space, tables, count, seed)
    evaluator = stored_evaluator(source, data)
    shared = LoggedEvaluation(run, space, evaluator.accuracies, progress)(archs)
    truth, free = truths(archs), free_guesses(space, archs)
    guesses = {"supernet": shared, **free}
    by, costs = next(iter(free.items()))
    if tables.latencies is not None:
        by, costs = tables.latencies.name, tables.latencies.predict(archs)
    bands = min(_MOST_BANDS, len(archs) // _IN_A_BAND)
    top = max(1, round(_TOP * len(archs)))
    result: dict[str, Any] = {
        "space": space.name,
        "data": data.name,
        "supernet": str(source.home),
        "accuracies": truths.name,
        "count": len(archs),
        "agreement": _each(guesses, lambda guess: rank_correlation(truth, guess, seed=seed)),
        "bands": {
            "by": by,
            "count": bands,
            "agreement": _each(guesses, lambda guess: band_agreement(truth, guess, costs, bands))
            if bands > 1
            else {},
        },
        "top": {"count": top, **_each(guesses, lambda guess: top_share(truth, guess, top))},
        "architectures": [
            {"architecture": space.format(arch), "supernet_accuracy": s, "true_accuracy": t}
            for arch, s, t in zip(archs, shared.tolist(), truth.tolist(), strict=True)
        ],
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "files": {"plot": "rank.png"},
    }
    kendalls = {name: found["kendall"]["value"] for name, found in result["agreement"].items()}
    return write_and_draw(
        run,
        "rank.json",
        result,
        lambda path: plot_against_table(path, guesses, truth, kendalls, truths.name),
    )


def _drawn(space: SearchSpace, tables: Tables, count: int, seed: int) -> IntArray:
    """Architectures (n, n_decisions) of the tables, connected, none of them twice."""
    sources = (tables.accuracies, tables.latencies)
    known = [t.table for t in sources if isinstance(t, Accuracies | LookedUpLatency)]
    archs = rows_in_both(*known)
    archs = archs[space.connected(archs)]
    if min(count, len(archs)) < _LEAST:
        raise OptionError(
            f"a ranking needs {_LEAST} architectures or more, got {min(count, len(archs))}"
        )
    rng = np.random.default_rng([seed, 0x7AB1])
    drawn: IntArray = archs[rng.permutation(len(archs))[:count]]
    return drawn


def _each(
    guesses: Mapping[str, FloatArray], tell: Callable[[FloatArray], dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {name: tell(guess) for name, guess in guesses.items()}
