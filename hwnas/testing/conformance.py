"""What a new runtime, predictor, searcher or path sampler must do; each check asserts it."""

from collections.abc import Callable

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.errors import HwnasError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.predictors import AdditivePredictor
from hwnas.profilers import Runtime
from hwnas.search.searcher import Searcher
from hwnas.spaces import SearchSpace

__all__ = ["check_predictor", "check_runtime", "check_searcher"]


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


def check_predictor(predictor: AdditivePredictor, space: SearchSpace) -> None:
    """A predictor's values, interval and expectation agree, and wrong input is refused."""
    import torch

    archs = space.sample(50, seed=0)
    ms = predictor.predict(archs)
    assert ms.shape == (50,)
    assert (ms > 0).all()
    assert np.array_equal(ms[:3], predictor.predict(archs[:3])), "a row's value depends on others"
    wide, narrow = (predictor.predict_interval(archs, c) for c in (0.99, 0.5))
    assert wide.shape == (50, 2)
    inside = (wide[:, 0] <= narrow[:, 0]) & (narrow[:, 0] <= ms)
    assert (inside & (ms <= narrow[:, 1]) & (narrow[:, 1] <= wide[:, 1])).all()
    sure = [torch.eye(n)[c] for n, c in zip(space.n_choices, archs[0], strict=True)]
    expected = predictor.expected(sure)
    assert abs(float(expected) - ms[0]) <= 1e-9 * ms[0], "a sure choice has another expectation"
    uniform = [torch.full((n,), 1 / n, requires_grad=True) for n in space.n_choices]
    predictor.expected(uniform).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.shape == p.shape for p in uniform)
    for wrong in (archs[:, :-1], archs.astype(float), archs + 100):
        try:
            predictor.predict(wrong)
        except HwnasError:
            continue
        raise AssertionError("architectures of another space were predicted")


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
