"""Networks trained alone: the recipe, and that a killed training ends as an undisturbed one."""

import numpy as np
import pytest
import torch

from hwnas.errors import CheckpointError, OptionError
from hwnas.search.retraining.retrain import accuracy, logits, paper_lr, retrain
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.settings import make
from hwnas.supernet import make_network


class StoppedError(Exception):
    pass


def trained(folder, space, arch, data, stop_at=2.0, steps=100, **options):
    def tell(task, share, remark):
        if share >= stop_at:
            raise StoppedError

    settings = make(RetrainSettings, {"steps": steps, "batch_size": 16, **options}, "retraining")
    return retrain(Run(folder, {}), space, arch, data, settings, progress=tell)


def test_it_learns(tmp_path, space, arch, data):
    network = trained(tmp_path, space, arch, data, ema=0.9)
    assert not network.training
    assert accuracy(*logits(network, data.test())) > 0.85


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ema": 0.9, "optimizer": "adam"},
        {"autocast": "fp16", "ema": 0.5},
        {"schedule": "cosine", "dropout": 0.2, "weight_decay": 2e-5, "max_norm": 0.0},
        {
            **{"random_crop": 0.4, "flip": 0.5, "colour": 0.3, "mixup": 0.2, "cutmix": 1.0},
            **{"plain_end": 0.3, "micro_batches": 2, "ema": 0.9, "lr_warm_up": 20},
        },
    ],
)
def test_interrupted_it_ends_with_equal_weights(tmp_path, space, arch, data, options):
    whole = trained(tmp_path / "whole", space, arch, data, steps=40, **options)
    for share in (0.25, 0.75):  # before the first checkpoint, and behind the second
        with pytest.raises(StoppedError):
            trained(tmp_path / "cut", space, arch, data, share, steps=40, **options)
    resumed = trained(tmp_path / "cut", space, arch, data, steps=40, **options)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_dropout_zeroes_its_share_of_what_the_classifier_reads_and_scales_the_rest():
    from hwnas.search.retraining.retrain import _Dropout

    layer, x = torch.nn.Linear(1000, 2), torch.ones(16, 1000)
    seen = []
    dropped = _Dropout(0.2, seed=3)
    layer.register_forward_pre_hook(dropped)
    layer.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    for dropped.draw in (0, 0, 1):
        layer(x)
    assert set(seen[0].unique().tolist()) == {0.0, 1.25}  # 1 / (1 - 0.2)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert torch.equal(seen[0], seen[1])  # of one step
    assert not torch.equal(seen[0], seen[2])


def test_dropout_changes_training_and_not_what_is_handed_back(tmp_path, space, arch, data):
    plain, dropped = (
        trained(tmp_path / str(share), space, arch, data, steps=5, dropout=share)
        for share in (0.0, 0.5)
    )
    ours, theirs = (dict(network.named_parameters()) for network in (plain, dropped))
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    images = next(iter(data.test()))[0]
    fresh = make_network(space, arch, seed=1)
    fresh.load_state_dict(dropped.state_dict())
    with torch.no_grad():
        x = torch.as_tensor(images)
        assert torch.equal(dropped.train()(x), fresh.train()(x))  # no hook is left


def test_a_first_step_decays_weights_as_much_as_it_is_told(tmp_path, space, arch, data):
    """SGD's first step: the gradient is the same, so the weights differ by the decay alone."""
    without, given = (
        trained(
            tmp_path / str(decay),
            space,
            arch,
            data,
            steps=1,
            base_lr=0.1,
            weight_decay=decay,
            max_norm=0.0,
        ).state_dict()
        for decay in (0.0, 0.5)
    )
    start = make_network(space, arch, seed=0).state_dict()
    for name, tensor in given.items():
        if tensor.ndim > 1:
            expected = without[name] - 0.1 * 0.5 * start[name]
            assert torch.allclose(tensor, expected, atol=1e-6), name
        elif tensor.is_floating_point():
            assert torch.equal(tensor, without[name]), name


def test_the_lr_is_the_papers_scaled_to_the_batch():
    assert paper_lr(1024) == 0.5
    assert paper_lr(128) == 0.0625


def test_the_average_of_weights_is_the_stated_sum(tmp_path, space, arch, data):
    """The first step keeps a tenth, however much later steps keep."""
    start = make_network(space, arch, seed=0).state_dict()
    after = trained(tmp_path / "b", space, arch, data, steps=1, base_lr=0.1).state_dict()
    average = trained(tmp_path / "a", space, arch, data, steps=1, base_lr=0.1, ema=0.5)
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():
            expected = 0.1 * start[name] + 0.9 * after[name]
            assert torch.allclose(tensor, expected, atol=1e-6), name


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_half_precision_learns_too(tmp_path, space, arch, data, autocast):
    network = trained(tmp_path, space, arch, data, autocast=autocast, ema=0.9)
    assert next(network.parameters()).dtype == torch.float32
    assert accuracy(*logits(network, data.test())) > 0.85


def test_the_loss_scale_halves_when_a_gradient_overflows():
    from hwnas.search.retraining.precision import LossScale

    scale, layer = LossScale(True), torch.nn.Linear(1, 1)
    layer.weight.grad = torch.tensor([[2.0**15]])
    assert scale.unscale(layer)
    assert layer.weight.grad.item() == 2.0
    layer.weight.grad = torch.tensor([[float("inf")]])
    assert not scale.unscale(layer)
    assert scale.factor.item() == 2.0**13


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"ema": 1.0}, "ema is a number of at least 0 below 1, got 1.0"),
        ({"ema": -0.1}, "ema is a number of at least 0 below 1, got -0.1"),
        ({"autocast": "int4"}, "autocast is one of none, bf16, fp16, got 'int4'"),
    ],
)
def test_bad_settings(options, allowed):
    with pytest.raises(OptionError, match=allowed):
        RetrainSettings(**options)


def test_another_architecture_does_not_go_on_from_a_checkpoint(tmp_path, space, arch, data):
    trained(tmp_path, space, arch, data, steps=2)
    with pytest.raises(CheckpointError, match="holds a training of"):
        trained(tmp_path, space, 1 - np.minimum(arch, 1), data, steps=4)
