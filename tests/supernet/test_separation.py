"""How far features tell classes apart, and candidates that are ranked by it."""

import numpy as np
import pytest
import torch
from torch import nn

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.ops import Identity, Stem
from hwnas.spaces import SearchSpace
from hwnas.spaces.chain import chain
from hwnas.supernet import Evaluator, Supernet
from hwnas.supernet.separation import separation
from hwnas.testing.ops import randomise

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


def test_variance_between_classes_over_all_variance() -> None:
    # means 1 and 5 around 3: between 4 x 4 = 16; within 4 x 1 = 4
    feature = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
    assert separation(feature, torch.tensor([0, 0, 1, 1])) == pytest.approx(16 / 20)
    # classes of one and three: means 0 and 4, between 9 + 3 = 12
    assert separation(feature, torch.tensor([0, 1, 1, 1])) == pytest.approx(12 / 20)


def test_features_are_averaged_and_their_scales_do_not_matter() -> None:
    labels = torch.tensor([0, 0, 2, 2])  # class 1 has no image
    sure, useless, constant = [7.0, 7.0, 9.0, 9.0], [1.0, -1.0, 1.0, -1.0], [0.3] * 4
    for name, columns, expected in (
        ("sure", [sure], 1.0),
        ("useless", [useless], 0.0),
        ("constant", [constant], 0.0),
        ("all", [sure, useless, constant], 1 / 3),
    ):
        features = torch.tensor(columns).T
        assert separation(features, labels) == pytest.approx(expected, abs=1e-9), name
        assert separation(-1e3 * features + 5, labels) == pytest.approx(expected, abs=1e-6), name


def test_noise_separates_as_little_as_chance_says() -> None:
    """Of n images and k classes (k - 1) / (n - 1) on average."""
    labels = torch.arange(400) % 5
    assert separation(normal(400, 500), labels) == pytest.approx(4 / 399, rel=0.1)


def evaluator(supernet: Supernet) -> tuple[Evaluator, torch.Tensor, torch.Tensor]:
    x = normal(240, 3, 8, 8)
    labels = (x.mean((1, 2, 3)) > 0).long()
    judge = Evaluator(
        supernet,
        x[:120].numpy(),
        x[120:].numpy(),
        labels[120:].numpy(),
        rank_by="separation",
        batch=50,
    )
    return judge, x, labels


def test_features_are_what_the_last_layer_reads() -> None:
    supernet = Supernet(CELLS, seed=0, zero_init_residual=False)
    randomise(supernet, seed=1)
    judge, x, labels = evaluator(supernet)
    archs = CELLS.sample(4, seed=1)
    got = judge.accuracies(archs)
    assert len(set(got)) > 1
    for arch, value in zip(archs, got, strict=True):
        assert value == judge.accuracy_alone(arch)
        network = CELLS.build(arch)
        weights = supernet.weights(arch)
        network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        read: list[torch.Tensor] = []
        linear = network.get_submodule("head.classifier")
        linear.register_forward_pre_hook(lambda _, inputs, to=read: to.append(inputs[0]))
        with torch.no_grad():
            for batch in x[:120].split(40):  # 120 images, at most 50 at once
                network.train()(batch)
            network.eval()(x[120:])
        assert value == pytest.approx(separation(read[-1], labels[120:]), abs=1e-4)


def test_the_last_layer_does_not_count() -> None:
    supernet = Supernet(CELLS, seed=0)
    arch = CELLS.sample(1, seed=0)
    before = evaluator(supernet)[0].accuracies(arch)
    with torch.no_grad():
        supernet.get_parameter("slots.21.choices.0.classifier.weight").mul_(-3)
    np.testing.assert_array_equal(evaluator(supernet)[0].accuracies(arch), before)


def test_networks_without_a_last_linear_layer_are_refused() -> None:
    x, labels = np.zeros((4, 3, 8, 8), np.float32), np.zeros(4, np.int64)
    headless = SearchSpace(
        "headless", {}, chain((3, 8, 8), [("stem", Stem(3), 4, 1), ("a", [Identity()], 4, 1)])
    )
    with pytest.raises(OptionError, match="headless do not end in a linear layer"):
        Evaluator(Supernet(headless, seed=0), x, x, labels, rank_by="separation")
