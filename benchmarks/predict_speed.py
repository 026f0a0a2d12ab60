"""How many architectures of `proxyless` a second are predicted, on this CPU.

python benchmarks/predict_speed.py [ROWS]

Each rate is the best of several passes, all interleaved, over the same random architectures (a
million by default), checks of the input included. The plain gather is one fancy-index look-up for
each decision, without checks, for comparison at the same moment.
"""

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

import hwnas

PASSES = 7
REGRESSION_ROWS = 20_000


def main(rows: int) -> None:
    space = hwnas.space("proxyless")
    predictor = hwnas.load_predictor("amd-epyc-1thread", space)
    archs = space.sample(rows, seed=0)
    small = archs.astype(np.uint8)
    cost = predictor.cost
    engine = hwnas.load_predictor("v100-tensorrt-fp16", space)

    def plain() -> np.ndarray:
        steps = np.full(rows, cost.fixed, np.int64)
        for d, entry in enumerate(cost.entries):
            steps += entry[archs[:, d]]
        return steps * cost.unit

    ways: dict[str, tuple[int, Callable[[], np.ndarray]]] = {
        "additive, uint8": (rows, lambda: predictor.predict(small)),
        "additive, int64": (rows, lambda: predictor.predict(archs)),
        "v100-tensorrt-fp16, uint8": (rows, lambda: engine.predict(small)),
        "plain gather, int64": (rows, plain),
    }
    if find_spec("hwnas.predictors.regression.regressor"):
        from hwnas.predictors.regression.regressor import LatencyRegressor

        few = archs[:REGRESSION_ROWS]
        for count in (100, 900):
            train = space.sample(count, seed=1)
            # what a sum does not explain, so that more than sums are chosen
            factor = 1 + 0.02 * np.sin(train[:, 0] * train[:, 1] + train[:, 2])
            model = LatencyRegressor(space).fit(train, predictor.predict(train) * factor)
            name = f"LatencyRegressor, {count} samples ({', '.join(model.report_.weights)})"
            ways[name] = (len(few), lambda model=model: model.predict(few))

    expected = plain()
    for name in ("additive, uint8", "additive, int64"):
        assert np.array_equal(ways[name][1](), expected), f"{name} is not the sum of the entries"
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(PASSES):
        for name, (_, predict) in ways.items():
            started = time.perf_counter()
            predict()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    print(f"{rows:,} architectures of {space.name} ({len(space.n_choices)} decisions)\n")
    width = max(map(len, ways))
    for name, (count, _) in ways.items():
        print(f"{name:{width}s} {count / seconds[name] / 1e6:8.2f} million architectures a second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
