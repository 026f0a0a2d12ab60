"""Random networks that a table does not hold, measured, to tell how far its predictions are off."""

import numpy as np

from hwnas.errors import TableTargetError
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import load_predictor
from hwnas.predictors.comparison import Comparison, compare
from hwnas.profilers import AnyRuntime, Plan, measure_models
from hwnas.profilers.measuring import form, onnx_models
from hwnas.progress import Progress, named, say, silent

__all__ = ["measure_unseen"]

#: A pass lasts at least so long: slow spells of a machine last seconds.
_PASS = Plan(min_runs=40, max_runs=80, min_seconds=10.0)


def measure_unseen(
    table: LatencyTable,
    runtime: AnyRuntime,
    count: int,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Measure random networks twice, and compare them with what the table predicts.

    Args:
        table: whose own networks are not among them.
        runtime: what measured the table.
        count: how many networks; fewer where the space has fewer.
        confidence: of the intervals.
        seed: of the networks and the order of the runs.
        progress: told after every round.

    Raises:
        TableTargetError: the runtime is not on the table's target.
        UnknownNameError: the space of the table is not known here.
    """
    target = table.target
    differences = runtime.target(target.precision, target.batch).differences(target)
    if differences:
        raise TableTargetError(
            f"the table was measured elsewhere ({'; '.join(differences)}): --measure works on its "
            "own machine; leave it out, or profile this one"
        )
    predictor = load_predictor(table)
    space = predictor.space
    drawn = space.sample(10 * count, seed=np.random.default_rng([seed, 0x4E50]))
    unseen = dict.fromkeys(space.format(arch) for arch in drawn)
    names = [name for name in unseen if name not in table.networks][:count]
    archs = np.stack([space.parse(name) for name in names])
    graphs = {name: space.graph(arch) for name, arch in zip(names, archs, strict=True)}
    models = {name: model() for name, model in onnx_models(graphs, *form(target)).items()}
    passes = []
    for at in (1, 2):
        say(f"measuring {len(models)} networks, pass {at} of 2")
        taken = measure_models(
            models,
            space,
            runtime,
            precision=target.precision,
            batch=target.batch,
            plan=_PASS,
            seed=seed + at,
            progress=named(progress, f"pass {at}"),
        )
        passes.append(np.array([taken[name].latency_ms for name in models]))
    return compare(predictor, archs, passes, confidence)
