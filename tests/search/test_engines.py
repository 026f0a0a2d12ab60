"""Searches for a V100 that is not here: what predicts, what is said, how a run is verified."""

import json

import numpy as np
import pytest

import hwnas
from hwnas.errors import OptionError
from hwnas.latency_tables import Target
from hwnas.predictors import Engine, EnginePredictor, load_predictor
from hwnas.progress import silent
from hwnas.search.deployment import deploy
from hwnas.search.options import TargetOptions
from hwnas.search.runs.network import read_result, target_of

QUICK = {
    "steps": 4,
    "batch_size": 16,
    "population": 6,
    "generations": 2,
    "parents": 2,
    "proxy_input_size": 8,
    "calibration_images": 32,
    "validation_images": 50,
}
FEW = {key: QUICK[key] for key in ("steps", "batch_size", "proxy_input_size", "validation_images")}


def deployed(space, name, tmp_path, **options):
    return deploy(space, name, tmp_path / "none", TargetOptions(**options), progress=silent)


def test_an_engine_takes_its_batch_and_precision_and_is_not_measured(tiny, tmp_path):
    found = deployed(tiny, "v100-tensorrt-fp16", tmp_path, batch=32)
    assert isinstance(found.predictor, EnginePredictor)
    assert (found.predictor.target.batch, found.measure, found.table) == (32, None, None)
    same = deployed(tiny, "v100-tensorrt-fp16-b32", tmp_path, precision="fp16")
    assert same.digest == found.digest
    assert deployed(tiny, "v100-tensorrt-fp16", tmp_path).predictor.target.batch == 1
    with pytest.raises(OptionError, match="has a batch of 32, got 8"):
        deployed(tiny, "v100-tensorrt-fp16-b32", tmp_path, batch=8)
    with pytest.raises(OptionError, match="--precision int8 does not fit"):
        deployed(tiny, "v100-tensorrt-fp16", tmp_path, precision="int8")
    with pytest.raises(OptionError, match="batches of 1 to 128"):
        deployed(tiny, "v100-tensorrt-fp16", tmp_path, batch=256)


@pytest.fixture(scope="module")
def searched(tiny, digits, tmp_path_factory):
    """A finished search within the median of predictions, and its budget in ms."""
    predictor = load_predictor("v100-tensorrt-fp16", tiny)
    limit = float(np.median(predictor.predict(tiny.sample(200, seed=0))))
    out = tmp_path_factory.mktemp("engine") / "run"
    budget = f"latency<={limit:.4f}ms"
    name = "v100-tensorrt-fp16"
    result = hwnas.find_network(tiny, digits, [budget], predictor=name, out=out, **QUICK)
    return result, limit


def test_a_search_keeps_its_budget_by_prediction_and_says_so(searched, tiny):
    result, limit = searched
    assert result.measured_ms is None
    assert result.predicted_ms <= limit
    stored = json.loads((result.folder / "result.json").read_text())
    assert stored["source"].startswith("from public measurements of another V100, TensorRT version")
    target = Target(**stored["target"])
    assert (target.runtime, target.precision, target.batch) == ("tensorrt", "fp16", 1)
    assert f"hwnas verify {result.folder}" in stored["verify"]
    said = str(result)
    assert "not measured: predictions are from public measurements of another V100" in said
    again = load_predictor("v100-tensorrt-fp16", tiny).predict(result.arch)[0]
    assert again == pytest.approx(result.predicted_ms)


def test_the_exported_network_is_in_the_engines_precision(searched):
    import onnx

    result, _ = searched
    graph = onnx.load_from_string(result.onnx).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16


def test_a_run_is_verified_on_what_it_is_of(searched):
    result, _ = searched
    target = target_of(result.folder, read_result(result.folder))
    assert target == Engine("fp16").target


def test_the_differentiable_search_takes_an_engine(tiny, digits, tmp_path):
    predictor = load_predictor("v100-tensorrt-fp32-b8", tiny)
    limit = float(np.median(predictor.predict(tiny.sample(200, seed=0))))
    result = hwnas.find_network(
        tiny,
        digits,
        [f"latency<={limit:.4f}ms"],
        method="betanas",
        predictor="v100-tensorrt-fp32-b8",
        out=tmp_path / "run",
        **FEW,
    )
    assert result.predicted_ms <= limit
