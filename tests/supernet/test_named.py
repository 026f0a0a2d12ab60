"""Networks of a family share one tensor for each parameter name."""

import numpy as np
import pytest
import torch
from families import cnn_space, layered_space, vit_space
from torch import Tensor, nn
from torch.nn import functional as F

import hwnas
from hwnas.errors import OptionError
from hwnas.ops.module import seeded
from hwnas.supernet import Evaluator, Supernet, make_optimizer, train_step

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])


def alone(supernet: Supernet, arch: np.ndarray) -> nn.Module:
    """The network itself, with the weights that it inherits."""
    module = supernet.space.build(arch)
    weights = supernet.weights(arch)
    assert list(weights) == list(module.state_dict())
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return module


@pytest.mark.parametrize("make", [cnn_space, layered_space, vit_space])
@pytest.mark.parametrize("training", [False, True])
def test_a_path_is_the_network_with_its_weights(make, training: bool) -> None:
    supernet = Supernet(make(), seed=0).train(training)
    for arch in supernet.space.sample(4, seed=1):
        module = alone(supernet, arch).train(training)
        with seeded(3):
            got = supernet(X, arch)
        with seeded(3):
            wanted = module(X)
        assert torch.allclose(got, wanted, atol=1e-6)
        got.square().sum().backward()
        wanted.square().sum().backward()
        for name, parameter in module.named_parameters():
            shared = supernet.slots[0].shared[name.replace(".", "/")]
            assert parameter.grad is not None
            assert shared.grad is not None
            norms = (shared.grad.norm(), parameter.grad.norm())
            assert torch.isclose(*norms, rtol=1e-3, atol=1e-6)
        supernet.zero_grad()


def test_first_channels_and_the_middle_of_the_kernel() -> None:
    space = cnn_space()
    supernet = Supernet(space, seed=0)
    small = supernet.weights(space.parse("w1=8-w2=12-k1=3-k2=3"))
    large = supernet.weights(space.parse("w1=12-w2=24-k1=5-k2=7"))
    assert np.array_equal(small["0.weight"], large["0.weight"][:8, :, 1:-1, 1:-1])
    assert np.array_equal(small["3.weight"], large["3.weight"][:12, :8, 2:-2, 2:-2])
    assert np.array_equal(small["8.weight"], large["8.weight"][:, :12])
    assert np.array_equal(small["8.bias"], large["8.bias"])


def test_what_stacks_parts_is_cut_part_by_part() -> None:
    space = vit_space()
    supernet = Supernet(space, seed=0)
    one = supernet.weights(space.parse("heads=1-mlp=16-depth=1"))["attention.0.qkv.weight"]
    four = supernet.weights(space.parse("heads=4-mlp=16-depth=1"))["attention.0.qkv.weight"]
    assert one.shape == (12, 16)
    assert four.shape == (48, 16)
    assert np.array_equal(one.reshape(3, 4, 16), four.reshape(3, 16, 16)[:, :4])


def test_torchs_own_attention_and_grouped_convolutions_are_known() -> None:
    class Net(nn.Module):
        def __init__(self, w: int):
            super().__init__()
            self.stem = nn.Conv2d(3, 4 * w, 1)
            self.grouped = nn.Conv2d(4 * w, 4 * w, 1, groups=4)
            self.attention = nn.MultiheadAttention(4 * w, 2, batch_first=True)
            self.head = nn.Linear(4 * w, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.grouped(self.stem(x)).flatten(2).transpose(1, 2)
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    supernet = Supernet(hwnas.family(Net, {"w": [2, 3]}, input_shape=(3, 8, 8)), seed=0).eval()
    small, large = (supernet.weights([choice]) for choice in range(2))
    parts = large["attention.in_proj_weight"].reshape(3, 12, 12)
    assert np.array_equal(small["attention.in_proj_weight"].reshape(3, 8, 8), parts[:, :8, :8])
    groups = large["grouped.weight"].reshape(4, 3, 3, 1, 1)
    assert np.array_equal(small["grouped.weight"].reshape(4, 2, 2, 1, 1), groups[:, :2, :2])
    assert torch.allclose(supernet(X, [0]), alone(supernet, np.array([0])).eval()(X), atol=1e-6)


def test_parameters_of_one_name_that_do_not_match_are_named() -> None:
    def layers(deep: bool) -> nn.Module:
        if deep:
            return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 10, 1), nn.Flatten())

    space = hwnas.family(layers, {"deep": [False, True]}, input_shape=(3, 8, 8))
    message = (
        r"layers cannot share weights by name: 1.weight is \(10, 192\) of a Linear in deep=True, "
        r"and \(10, 3, 1, 1\) of a Conv2d in deep=False.*evaluate="
    )
    with pytest.raises(OptionError, match=message):
        Supernet(space, seed=0)


def test_how_groups_change_is_told() -> None:
    def build(groups: int) -> nn.Module:
        layers = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1, groups=groups)
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    space = hwnas.family(build, {"groups": [2, 4]}, input_shape=(3, 8, 8))
    with pytest.raises(OptionError, match=r"in 2 parts of a Conv2d in groups=2, and \(8, 2"):
        Supernet(space, seed=0)


def test_networks_are_trained_and_learn() -> None:
    space = cnn_space()
    supernet = Supernet(space, seed=0)
    optimizer = make_optimizer(supernet)
    images = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = (images.mean((1, 2, 3)) > 0).long()
    rng = np.random.default_rng(0)
    losses = [
        train_step(supernet, optimizer, images, labels, rng.integers(0, space.n_choices), lr=0.01)
        for _ in range(60)
    ]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])


def test_parameters_of_what_is_not_run_get_no_gradient() -> None:
    space = layered_space()
    supernet = Supernet(space, seed=0)
    F.cross_entropy(supernet(X, space.parse("1-8-8-8")), LABELS).backward()
    untouched = {n for n, p in supernet.slots[0].shared.items() if p.grad is None}
    assert untouched
    assert all(name.startswith(("layers/1", "layers/2")) for name in untouched)


def test_equal_networks_are_evaluated_once_and_dropout_is_off(monkeypatch) -> None:
    space = layered_space()
    supernet = Supernet(space, seed=0).train()
    images = np.random.default_rng(0).random((32, 3, 8, 8), np.float32)
    evaluator = Evaluator(supernet, images, images, np.arange(32) % 10)
    ran = []
    real = supernet.run_block
    monkeypatch.setattr(supernet, "run_block", lambda *a: ran.append(a[0]) or real(*a))
    equal = np.stack([space.parse(text) for text in ("1-8-8-8", "1-8-16-8", "1-8-8-16")])
    assert len(set(evaluator.accuracies(equal).tolist())) == 1
    assert len(ran) == 2  # calibration and validation, of the first

    dropping = Supernet(vit_space(), seed=0).train()
    evaluator = Evaluator(dropping, images, images, np.arange(32) % 10)
    arch = dropping.space.sample(1, seed=0)[0]
    dropped = dropping.candidate(0, dropping.path(arch)[0])
    assert evaluator.accuracy_alone(arch) == evaluator.accuracy_on(
        arch, [(images, np.arange(32) % 10)]
    )
    assert dropped.training


def test_statistics_are_those_of_the_calibration_images() -> None:
    space = cnn_space()
    supernet = Supernet(space, seed=0)
    images = np.random.default_rng(0).random((64, 3, 8, 8), np.float32)
    arch = space.parse("12-16-3-3")
    Evaluator(supernet, images, images[:8], np.zeros(8, np.int64)).set_statistics(arch)
    weights = supernet.weights(arch)
    first = F.conv2d(torch.from_numpy(images), torch.from_numpy(weights["0.weight"]), None, 2, 1)
    assert np.allclose(weights["1.running_mean"], first.mean((0, 2, 3)), atol=1e-5)
    assert np.allclose(weights["1.running_var"], first.var((0, 2, 3)), atol=1e-4)


@pytest.mark.parametrize("settings", [{"initial_weights": "drawn"}, {"batch_norms": "plain"}])
def test_how_it_starts(settings) -> None:
    space = cnn_space()
    supernet = Supernet(space, seed=5, **settings)
    weights = supernet.weights(space.parse("12-24-5-7"))
    drawn = space.drawn(space.parse("12-24-5-7"), 5).state_dict()
    if "initial_weights" in settings:
        assert all(np.array_equal(weights[name], value) for name, value in drawn.items())
    else:
        trained = {n for n, p in supernet.slots[0].shared.items() if p.requires_grad}
        assert trained == {"0/weight", "3/weight", "8/weight", "8/bias"}
        rim = weights["3.weight"].copy()
        assert np.array_equal(rim[:, :8, 2:-2, 2:-2], drawn["3.weight"][:, :8, 2:-2, 2:-2])
        rim[:, :8, 2:-2, 2:-2] = 0
        assert not rim.any()


def test_pretrained_weights_are_the_start() -> None:
    trained = cnn_space().drawn([1, 1, 1, 1], seed=3).state_dict()  # not the largest
    given = {**trained, "8.weight": torch.zeros(1000, 16), "other": torch.zeros(1)}
    space = cnn_space(pretrained=given)
    assert space.identifier != cnn_space().identifier
    weights = Supernet(space, seed=0).weights([1, 1, 1, 1])
    assert np.array_equal(weights["0.weight"], trained["0.weight"])
    assert np.array_equal(weights["3.weight"], trained["3.weight"])
    assert not np.array_equal(weights["8.weight"], trained["8.weight"])
    with pytest.raises(OptionError, match="pretrained weights are tensors by name"):
        cnn_space(pretrained={"0.weight": [1.0]})


def test_a_view_that_refuses_channels_last_is_run_as_it_was_written() -> None:
    class Views(nn.Module):
        def __init__(self, w: int):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, w, 3, 2, 1), nn.Linear(16 * w, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.head(x.view(x.shape[0], -1))

    supernet = Supernet(hwnas.family(Views, {"w": [4, 8]}, input_shape=(3, 8, 8)), seed=0).eval()
    assert torch.allclose(supernet(X, [0]), alone(supernet, np.array([0]))(X), atol=1e-6)


def test_shared_parameters_of_one_network_stay_one() -> None:
    class Tied(nn.Module):
        def __init__(self, w: int):
            super().__init__()
            self.first, self.second = nn.Linear(w, w), nn.Linear(w, w)
            self.stem = nn.Linear(192, w)
            self.head = nn.Linear(w, 10)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.second(self.first(self.stem(x.flatten(1)))))

    space = hwnas.family(Tied, {"w": [4, 8]}, input_shape=(3, 8, 8))
    assert space.params([0]).tolist() == [193 * 4 + 4 * 4 + 2 * 4 + 50]
    supernet = Supernet(space, seed=0).eval()
    assert torch.allclose(supernet(X, [0]), alone(supernet, np.array([0]))(X), atol=1e-6)


def test_separate_weights_are_refused() -> None:
    with pytest.raises(OptionError, match="share slices of parameters of equal name"):
        Supernet(cnn_space(), sharing="separate", seed=0)
    images = np.zeros((2, 3, 8, 8), np.float32)
    with pytest.raises(OptionError, match="rank by accuracy"):
        Evaluator(Supernet(cnn_space(), seed=0), images, images, np.zeros(2), rank_by="separation")
