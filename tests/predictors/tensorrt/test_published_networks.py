"""Whole networks against published latencies: ResNet-50 v1, and others at small batches."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hwnas.kernels import fuse
from hwnas.predictors import predict_engine

SOURCE = Path(__file__).parents[3] / "benchmarks" / "v100_networks.py"


@pytest.fixture(scope="module")
def networks():
    """Name -> model, and precision -> batch -> published ms."""
    spec = importlib.util.spec_from_file_location("v100_networks", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: (make(), known) for name, (make, known) in module.NETWORKS.items()}


def test_networks_are_those_of_the_papers(networks):
    """Multiply-accumulates of the papers, in millions."""
    papers = {"ResNet-50 v1": 3858, "ResNet-18": 1814, "MobileNetV1": 569, "MobileNetV2": 301}
    for name, macs in papers.items():
        assert fuse(networks[name][0]).macs / 1e6 == pytest.approx(macs, abs=1)
    assert len(fuse(networks["ResNet-50 v1"][0]).kernels) == 53 + 3, "pooling twice, and a linear"


def test_predictions_are_near_what_was_published(networks):
    errors = {
        (name, precision, batch): predict_engine(
            model, f"v100-tensorrt-{precision}", batch=batch
        ).predicted_ms
        / ms
        - 1
        for name, (model, published) in networks.items()
        for precision, known in published.items()
        for batch, ms in known.items()
    }
    fifty = [error for (name, *_), error in errors.items() if name == "ResNet-50 v1"]
    others = [error for (name, *_), error in errors.items() if name != "ResNet-50 v1"]
    assert len(fifty) == 6
    assert np.abs(fifty).max() < 0.15
    assert len(others) == 12
    assert np.abs(others).max() < 0.32
    assert np.abs(others).mean() < 0.18
