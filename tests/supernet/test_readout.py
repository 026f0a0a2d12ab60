"""A last layer of each candidate's own, in closed form."""

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
from hwnas.supernet.readout import expected_accuracy
from hwnas.testing.ops import randomise

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


def test_two_normal_classes_are_told_apart_as_well_as_they_can_be() -> None:
    """Their posterior is a logistic function of the distance along the line of their means."""
    gap, n = 2.0, 20_000
    labels = torch.arange(n) % 2
    features = normal(n, 3)
    features[:, 1] += gap * labels
    z = gap * (features[:, 1] - gap / 2) * (2 * labels - 1)
    best = z.sigmoid().mean().item()
    half = n // 2
    got = expected_accuracy(features[:half], labels[:half], features[half:], labels[half:])
    assert got == pytest.approx(best, abs=0.01)


def test_features_without_information_are_right_by_chance() -> None:
    labels = torch.arange(4000) % 4
    features = normal(4000, 5)
    got = expected_accuracy(features[:2000], labels[:2000], features[2000:], labels[2000:])
    assert got == pytest.approx(0.25, abs=0.01)


def test_scales_of_features_do_not_matter() -> None:
    labels = torch.arange(600) % 3
    features = normal(600, 4) + torch.eye(3, 4)[labels]
    scaled = features * torch.tensor([1e-2, 1.0, 1e2, 3.0]) + 5
    one, other = (
        expected_accuracy(x[:300], labels[:300], x[300:], labels[300:]) for x in (features, scaled)
    )
    assert one == pytest.approx(other, abs=1e-4)
    assert one > 0.4


def test_features_that_never_change_are_borne() -> None:
    labels = torch.arange(60) % 3
    features = torch.zeros(60, 4)
    assert expected_accuracy(features, labels, features, labels) == pytest.approx(1 / 3)


def evaluator(supernet: Supernet) -> tuple[Evaluator, np.ndarray, np.ndarray]:
    x = normal(240, 3, 8, 8).numpy()
    labels = (x.mean((1, 2, 3)) > 0).astype(np.int64)
    judge = Evaluator(
        supernet, x[:120], x[120:], labels[120:], calibration_labels=labels[:120], batch=50
    )
    return judge, x, labels


def test_a_candidate_is_read_out_behind_its_last_but_one_layer() -> None:
    supernet = Supernet(CELLS, seed=0, zero_init_residual=False)
    randomise(supernet, seed=1)
    judge, x, labels = evaluator(supernet)
    archs = CELLS.sample(4, seed=1)
    got = judge.accuracies(archs)
    assert len(set(got)) > 1
    for arch, accuracy in zip(archs, got, strict=True):
        assert accuracy == judge.accuracy_alone(arch)
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
            for batch in torch.from_numpy(x[:120]).split(40):  # 120 images, at most 50 at once
                network.train()(batch)
            network.eval()(torch.from_numpy(x[120:]))
        fitted, seen = torch.cat(read[:3]), read[3]
        expected = expected_accuracy(
            fitted, torch.from_numpy(labels[:120]), seen, torch.from_numpy(labels[120:])
        )
        assert accuracy == pytest.approx(expected, abs=1e-4)


def test_the_trained_last_layer_does_not_count() -> None:
    supernet = Supernet(CELLS, seed=0)
    arch = CELLS.sample(1, seed=0)
    before = evaluator(supernet)[0].accuracies(arch)
    with torch.no_grad():
        supernet.get_parameter("slots.21.choices.0.classifier.weight").mul_(-3)
    np.testing.assert_array_equal(evaluator(supernet)[0].accuracies(arch), before)


def test_what_cannot_be_read_out_is_refused() -> None:
    x, labels = np.zeros((4, 3, 8, 8), np.float32), np.zeros(4, np.int64)
    with pytest.raises(OptionError, match="one label a calibration image, got 4 images and 3"):
        Evaluator(Supernet(CELLS, seed=0), x, x, labels, calibration_labels=labels[:3])
    headless = SearchSpace(
        "headless", {}, chain((3, 8, 8), [("stem", Stem(3), 4, 1), ("a", [Identity()], 4, 1)])
    )
    with pytest.raises(OptionError, match="headless do not end in a linear layer"):
        Evaluator(Supernet(headless, seed=0), x, x, labels, calibration_labels=labels)
