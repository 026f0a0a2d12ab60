"""The exported file of a network trained alone answers as torch does, or is refused."""

import pytest
from torch import nn

from hwnas.errors import ExportError
from hwnas.progress import silent
from hwnas.search.retraining.export_check import check_export
from hwnas.search.retraining.retrain import retrain, weights_of
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run


class Opposite(nn.Module):
    """Another network, which says the other class."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return -self.network(x)


def test_an_export_that_answers_differently_is_refused(tmp_path, space, arch, data):
    settings = RetrainSettings(steps=2, batch_size=16)
    network = retrain(Run(tmp_path, {}), space, arch, data, settings)
    path = tmp_path / "network.onnx"
    path.write_bytes(space.to_onnx(arch, weights_of(network)))
    checked = check_export(path, network, data, silent)
    assert checked["same_answers"] == 1.0
    assert checked["accuracy"] == checked["torch_accuracy"]
    with pytest.raises(ExportError, match=r"on only 0.00% of 100 test images, and"):
        check_export(path, Opposite(network), data, silent)
