"""The exported file of a network trained alone answers as torch does, or is refused."""

import pytest

from hwnas.errors import ExportError
from hwnas.progress import silent
from hwnas.search.retraining.found import _check_export
from hwnas.search.retraining.retrain import logits, retrain, weights_of
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run


def test_an_export_that_answers_differently_is_refused(tmp_path, space, arch, data):
    settings = RetrainSettings(steps=2, batch_size=16)
    network = retrain(Run(tmp_path, {}), space, arch, data, settings)
    outputs, labels = logits(network, data.test())
    path = tmp_path / "network.onnx"
    path.write_bytes(space.to_onnx(arch, weights_of(network)))
    checked = _check_export(path, data, (outputs, labels), silent)
    assert checked["same_answers"] == 1.0
    assert checked["accuracy"] == checked["torch_accuracy"]
    with pytest.raises(ExportError, match=r"on 0.00% of 100 test images only"):
        _check_export(path, data, (-outputs, labels), silent)
