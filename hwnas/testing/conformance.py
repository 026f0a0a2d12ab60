"""What a new runtime, predictor, searcher or path sampler must do; each check asserts it."""

from collections.abc import Callable

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.errors import HwnasError
from hwnas.latency_tables import Target
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.predictors import GivesExpectation, GivesIntervals, OwnPredictor, load_predictor
from hwnas.profilers import Runtime
from hwnas.search.searchers.searcher import Searcher
from hwnas.spaces import SearchSpace
from hwnas.supernet import LearningSampler, PathSampler

__all__ = ["check_predictor", "check_runtime", "check_sampler", "check_searcher"]

#: How far an own expectation that is no sum may be off at sure choices, in shares.
_EXPECTATION_TOLERANCE = 1e-3


def check_runtime(runtime: Runtime) -> None:
    """A runtime loads the project's models in every precision, and times them in ms."""
    small = Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph()
    large = Workload(MBConv(7, 6), 96, 96, 1, 28, 28).graph()
    assert runtime.precisions, "a runtime runs at least one precision"
    for precision in runtime.precisions:
        target = runtime.target(precision, 2)
        assert (target.precision, target.batch) == (precision, 2), target
        assert target == runtime.target(precision, 2), "a target does not change between calls"
        medians = []
        for graph in (small, large):
            symmetric = target.kind == "gpu"
            model = to_onnx(graph, batch=2, precision=precision, symmetric=symmetric)  # type: ignore[arg-type]
            job = runtime.load(model)
            times = [job() for _ in range(30)]
            warm = runtime.load(model, warm=True)
            times += [warm() for _ in range(3)]
            assert all(np.isfinite(times)), times
            assert min(times) > 0, times
            medians.append(float(np.median(times[5:])))
        assert medians[0] < medians[1], f"a {precision} block of 500 times the work is no slower"


def check_predictor(predictor: object, space: SearchSpace) -> None:
    """A predictor's values, sum, interval and expectation agree, and wrong input is refused.

    What it does not offer is not checked. An own object (see `hwnas.predictors.OwnPredictor`) is
    checked as hwnas uses it.
    """
    known = load_predictor(predictor, space)
    archs = space.sample(50, seed=0)
    ms = known.predict(archs)
    assert ms.shape == (50,)
    assert np.isfinite(ms).all()
    assert (ms > 0).all()
    assert np.array_equal(ms[:3], known.predict(archs[:3])), "a row's value depends on others"
    assert np.array_equal(ms, known.predict(archs)), "a second call has other values"
    assert isinstance(known.target, Target) or known.target, "the target is no Target, nor words"
    assert tuple(len(entry) for entry in known.cost.entries) == space.n_choices
    if known.additive:
        assert np.array_equal(known.cost(archs), ms), "an additive cost is not the prediction"
    if isinstance(known, GivesIntervals):
        _check_intervals(known, archs)
    if isinstance(known, GivesExpectation):
        _check_expectation(known, space)
    for wrong in (archs[:, :-1], archs.astype(float), archs + 100):
        try:
            known.predict(wrong)
        except HwnasError:
            continue
        raise AssertionError("architectures of another space were predicted")


def _check_intervals(predictor: GivesIntervals, archs: IntArray) -> None:
    """Intervals hold the prediction, and hold each other as the confidence grows."""
    ms = predictor.predict(archs)
    wide, narrow = (predictor.predict_interval(archs, c) for c in (0.99, 0.5))
    assert wide.shape == (len(archs), 2)
    inside = (wide[:, 0] <= narrow[:, 0]) & (narrow[:, 0] <= ms)
    assert (inside & (ms <= narrow[:, 1]) & (narrow[:, 1] <= wide[:, 1])).all(), (
        "an interval does not hold the prediction, or shrinks with the confidence"
    )


def _check_expectation(predictor: GivesExpectation, space: SearchSpace) -> None:
    """The expectation of sure choices is the prediction; it is pure, and has a gradient."""
    import torch

    (arch,) = space.sample(1, seed=0)
    sure = [torch.eye(n)[c] for n, c in zip(space.n_choices, arch, strict=True)]
    (ms,) = predictor.predict(arch[None])
    expected = predictor.expected(sure).item()
    sampled = isinstance(predictor, OwnPredictor) and not predictor.additive
    tolerance = _EXPECTATION_TOLERANCE if sampled else 1e-9
    assert abs(expected - ms) <= tolerance * ms, "a sure choice has another expectation"
    uniform = [torch.full((n,), 1 / n, requires_grad=True) for n in space.n_choices]
    mean = predictor.expected(uniform)
    assert predictor.expected(uniform).item() == mean.item(), (
        "the same probabilities have another expectation"
    )
    mean.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.shape == p.shape for p in uniform)


def check_sampler(make: Callable[[int], PathSampler], space: SearchSpace) -> None:
    """A path sampler's paths follow from seed, step and state, and belong to the space.

    Args:
        make: a fresh sampler from a seed.
        space: what its paths belong to.
    """
    steps = range(40)

    def paths(sampler: PathSampler) -> list[tuple[int, ...]]:
        return [tuple(sampler.sample(step).tolist()) for step in steps]

    sampler = make(1)
    first = paths(sampler)
    path = sampler.sample(0)
    assert path.shape == (len(space.n_choices),), "a path is one row"
    assert path.dtype == np.int64, "a path is int64"
    space.check(np.array(first))
    fresh = make(1)
    backwards = [tuple(fresh.sample(step).tolist()) for step in reversed(steps)][::-1]
    assert backwards == first, "a path depends on what was asked before"
    assert paths(make(2)) != first, "the seed is not used"
    if isinstance(sampler, LearningSampler):
        _check_state(sampler, make(1), paths)


def _check_state(
    told: LearningSampler,
    fresh: PathSampler,
    paths: Callable[[PathSampler], list[tuple[int, ...]]],
) -> None:
    """What a sampler learned is in its state: copied into a fresh one, paths are the same."""
    import torch

    assert isinstance(fresh, LearningSampler)
    rng = np.random.default_rng(0)
    for step in range(40):
        told.update(step, told.sample(step), float(rng.uniform(0.5, 2.5)))
    assert told.state.keys() == fresh.state.keys(), "the state has other names after an update"
    for name, tensor in fresh.state.items():
        assert tensor.shape == told.state[name].shape, f"{name} has another shape after an update"
        with torch.no_grad():
            tensor.copy_(told.state[name])
    assert paths(fresh) == paths(told), "something that paths depend on is not in the state"


def check_searcher(make: Callable[[FeasibleSet, int], Searcher], feasible: FeasibleSet) -> None:
    """A searcher stays within the budgets, repeats nothing, and is replayed by its seed."""

    def worth(archs: IntArray) -> FloatArray:
        values: FloatArray = 1.0 / (1.0 + archs.sum(axis=1))
        return values

    def history(seed: int) -> list[tuple[int, ...]]:
        searcher = make(feasible, seed)
        rows: list[tuple[int, ...]] = []
        for _ in range(4):
            archs = searcher.suggest(12)
            assert len(archs) <= 12
            assert feasible.contains(archs).all(), "an architecture breaks a budget"
            searcher.update(archs, worth(archs))
            rows += [tuple(arch.tolist()) for arch in archs]
        best, accuracy = searcher.best()
        assert accuracy == max(worth(np.array(rows))), "the best is not the best that was told"
        assert tuple(best.tolist()) in rows
        return rows

    first = history(1)
    assert len(set(first)) == len(first), "an architecture was suggested twice"
    assert history(1) == first, "the same seed gives another search"
    assert history(2) != first, "the seed is not used"
