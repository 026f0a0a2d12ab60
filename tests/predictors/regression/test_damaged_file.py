"""A fitted predictor of a stranger is refused when it is read, if it cannot predict."""

import warnings

import numpy as np

from hwnas import spaces
from hwnas.errors import PredictorFormatError
from hwnas.predictors import LatencyRegressor


def test_arrays_of_other_shapes(tmp_path):
    """Every array of it in another shape: what is loaded predicts every architecture."""
    space = spaces.space("nasbench201", input_size=8)
    archs = space.sample(30, seed=0)
    path = tmp_path / "p.npz"
    LatencyRegressor(space).fit(archs, 1.0 + archs.sum(1)).save(path)
    with np.load(path) as opened:
        arrays = {name: opened[name] for name in opened.files}
    tried = refused = 0
    for name in list(arrays)[::2]:
        for array in (np.zeros(0), np.zeros((1,) * 30), np.array(["x"] * 3), np.zeros(3, "V8")):
            np.savez(path, **{**arrays, name: array})
            tried += 1
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    LatencyRegressor.load(path).predict(space.sample(500, seed=1))
            except PredictorFormatError:
                refused += 1
    assert tried > 40
    assert refused > 20
