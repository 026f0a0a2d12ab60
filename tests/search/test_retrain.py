"""Networks trained alone: the recipe, and that a killed training ends as an undisturbed one."""

import numpy as np
import pytest
import torch
from hwnas.search.retrain import accuracy, logits, paper_rate, retrain, weights_of
from hwnas.search.run import Run
from hwnas.search.standalone import _check_export

from hwnas import spaces
from hwnas.data import ArrayDataset
from hwnas.errors import CheckpointError, ExportError, OptionError
from hwnas.supernet import make_network


@pytest.fixture(scope="module")
def space():
    return spaces.space(
        "proxyless",
        input_size=8,
        classes=2,
        stage_widths=(8, 8),
        stage_depths=(2, 1),
        stage_strides=(2, 1),
        first_width=8,
        stem_width=8,
        head_width=16,
    )


@pytest.fixture(scope="module")
def data():
    """Two classes that differ in the brightness of their left half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    images = rng.integers(0, 120, (600, 1, 8, 8))
    images[:, :, :, :4] += 30 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    parts = [slice(0, 400), slice(400, 500), slice(500, 600)]
    arrays = [array[part] for part in parts for array in (images, labels)]
    return ArrayDataset("synthetic", 2, *arrays, (70.0,), (35.0,))


@pytest.fixture(scope="module")
def arch(space):
    return space.sample(1, seed=0)[0]


class StoppedError(Exception):
    pass


def trained(folder, space, arch, data, stop_at=2.0, steps=100, **options):
    def tell(task, share, remark):
        if share >= stop_at:
            raise StoppedError

    options = {"steps": steps, "batch": 16, **options}
    return retrain(Run(folder, {}), space, arch, data, progress=tell, **options)


def test_it_learns(tmp_path, space, arch, data):
    network = trained(tmp_path, space, arch, data, ema=0.9)
    assert not network.training
    assert accuracy(logits(network, data, data.test_images), data.test_labels) > 0.85


@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9, "optimizer": "adam"}, {"autocast": "fp16", "ema": 0.5}]
)
def test_interrupted_it_ends_with_equal_weights(tmp_path, space, arch, data, options):
    whole = trained(tmp_path / "whole", space, arch, data, steps=40, **options)
    for share in (0.25, 0.75):  # before the first checkpoint, and behind the second
        with pytest.raises(StoppedError):
            trained(tmp_path / "cut", space, arch, data, share, steps=40, **options)
    resumed = trained(tmp_path / "cut", space, arch, data, steps=40, **options)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_rate_is_the_papers_scaled_to_the_batch():
    assert paper_rate(1024) == 0.5
    assert paper_rate(128) == 0.0625


def test_the_average_of_weights_is_the_stated_sum(tmp_path, space, arch, data):
    """The first step keeps a tenth, however much later steps keep."""
    start = make_network(space, arch, seed=0).state_dict()
    after = trained(tmp_path / "b", space, arch, data, steps=1, base_rate=0.1).state_dict()
    average = trained(tmp_path / "a", space, arch, data, steps=1, base_rate=0.1, ema=0.5)
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():
            expected = 0.1 * start[name] + 0.9 * after[name]
            assert torch.allclose(tensor, expected, atol=1e-6), name


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_half_precision_learns_too(tmp_path, space, arch, data, autocast):
    network = trained(tmp_path, space, arch, data, autocast=autocast, ema=0.9)
    assert next(network.parameters()).dtype == torch.float32
    assert accuracy(logits(network, data, data.test_images), data.test_labels) > 0.85


def test_the_loss_scale_halves_when_a_gradient_overflows():
    from hwnas.search.retrain import _LossScale

    scale, layer = _LossScale(True), torch.nn.Linear(1, 1)
    layer.weight.grad = torch.tensor([[2.0**15]])
    assert scale.unscale(layer)
    assert layer.weight.grad.item() == 2.0
    layer.weight.grad = torch.tensor([[float("inf")]])
    assert not scale.unscale(layer)
    assert scale.factor.item() == 2.0**13


@pytest.mark.parametrize("options", [{"ema": 1.0}, {"ema": -0.1}, {"autocast": "int4"}])
def test_bad_settings(tmp_path, space, arch, data, options):
    with pytest.raises(OptionError, match="ema is at least 0 and below 1, autocast none, bf16"):
        trained(tmp_path, space, arch, data, **options)


def test_another_architecture_does_not_go_on_from_a_checkpoint(tmp_path, space, arch, data):
    trained(tmp_path, space, arch, data, steps=2)
    with pytest.raises(CheckpointError, match="holds a training of"):
        trained(tmp_path, space, 1 - np.minimum(arch, 1), data, steps=4)


def test_an_export_that_answers_differently_is_refused(tmp_path, space, arch, data):
    network = trained(tmp_path, space, arch, data, steps=2)
    outputs = logits(network, data, data.test_images)
    path = tmp_path / "network.onnx"
    path.write_bytes(space.to_onnx(arch, weights_of(network)))
    silent = lambda *_: None  # noqa: E731
    checked = _check_export(path, data, outputs, silent)
    assert checked["same_answers"] == 1.0
    assert checked["accuracy"] == checked["torch_accuracy"]
    with pytest.raises(ExportError, match=r"on 0.00% of 100 test images only"):
        _check_export(path, data, -outputs, silent)
