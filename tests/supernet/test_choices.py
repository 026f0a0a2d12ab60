"""Supernets over operators with scales, and over bits: shared slices, rounding, paths."""

import numpy as np
import pytest
import torch

from hwnas import spaces
from hwnas.ops.quantize import dorefa
from hwnas.spaces import SearchSpace
from hwnas.supernet import SHARINGS, Sharing, Supernet, UniformSampler, make_optimizer, train_step

SHUFFLE = spaces.space(
    "shufflenet",
    input_size=16,
    classes=10,
    width_mult=0.5,
    scales=(0.2, 1.0, 1.6),
    stage_depths=(2, 1, 1, 1),
    stage_strides=(2, 1, 2, 1),
)
BITS = spaces.space(
    "resnet18-bits", input_size=16, classes=10, width_mult=0.25, stage_depths=(2, 1, 1, 1)
)
BOTH = pytest.mark.parametrize("space", [SHUFFLE, BITS], ids=["shufflenet", "bits"])


def images(count: int = 8) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@BOTH
@pytest.mark.parametrize("sharing", SHARINGS)
def test_a_path_computes_what_the_built_network_computes(
    space: SearchSpace, sharing: Sharing
) -> None:
    supernet = Supernet(space, sharing=sharing, seed=0)
    with torch.no_grad():
        for parameter in supernet.parameters():  # rims and further channels start at zero
            parameter += 0.1 * torch.randn_like(parameter)
    for arch in space.sample(4, seed=1):
        network = space.build(arch)
        weights = supernet.weights(arch)
        network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        with torch.no_grad():
            network.double().train()
            supernet.double().train()
            expected, got = network(images().double()), supernet(images().double(), arch)
        # batch-norms of a batch: in double, so that no rounding to few bits tips over
        torch.testing.assert_close(got, expected)
        supernet.float()


@BOTH
@pytest.mark.parametrize("sharing", SHARINGS)
def test_training_reaches_the_path_and_nothing_else(space: SearchSpace, sharing: Sharing) -> None:
    supernet = Supernet(space, sharing=sharing, seed=0, zero_init_residual=False)
    optimizer = make_optimizer(supernet, "sgd")
    arch = space.sample(1, seed=3)[0]
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    loss = train_step(supernet, optimizer, images(), torch.arange(8), arch, lr=0.1)
    assert np.isfinite(loss)
    path = supernet.path(arch)
    for name, parameter in supernet.named_parameters():
        _, slot, kind, *rest = name.split(".")
        on_path = kind == "shared" or int(rest[0]) == path[int(slot)]
        if not on_path:
            assert torch.equal(parameter, before[name]), name
            assert parameter.grad is None, name
    trained = [n for n, p in supernet.named_parameters() if not torch.equal(p, before[n])]
    assert any("conv.weight" in n or "conv/weight" in n for n in trained)


def test_scales_are_first_channels_of_one_tensor_and_kernels_its_middle() -> None:
    supernet = Supernet(SHUFFLE, sharing="slices", seed=0)
    state = supernet.state_dict()
    shared = {
        leaf: state[f"slots.2.shared.{leaf}/conv/conv/weight"] for leaf in ("pw1", "dw", "pw2")
    }
    # block 1: 32 channels, halves of 16, the widest middle int(16 * 1.6) = 25
    assert [tuple(t.shape) for t in shared.values()] == [
        (25, 16, 1, 1),
        (25, 1, 7, 7),
        (16, 25, 1, 1),
    ]
    for token, middle, edge in (("7@1.6", 25, 0), ("5", 16, 1), ("3@0.2", 3, 2)):
        weights = supernet.weights(SHUFFLE.parse(f"3-{token}-3-3-3"))
        crop = slice(edge, 7 - edge)
        for leaf, expected in {
            "pw1": shared["pw1"][:middle],
            "dw": shared["dw"][:middle, :, crop, crop],
            "pw2": shared["pw2"][:, :middle],
        }.items():
            np.testing.assert_array_equal(weights[f"blocks.1.{leaf}.conv.weight"], expected)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_what_x_has_more_than_a_unit_starts_by_doing_nothing(sharing: Sharing) -> None:
    supernet = Supernet(SHUFFLE, sharing=sharing, seed=0)
    weights = supernet.weights(SHUFFLE.parse("3-x-3-3-3"))
    x = torch.randn(2, 16, 7, 7)
    for layer, groups in (("extra_first", 16), ("extra_between", 1), ("extra_last", 16)):
        kernel = torch.from_numpy(weights[f"blocks.1.{layer}.conv.weight"])
        padding = kernel.shape[-1] // 2
        y = torch.nn.functional.conv2d(x, kernel, padding=padding, groups=groups)
        torch.testing.assert_close(y, x)


def test_a_sliced_few_bit_layer_rounds_its_slice() -> None:
    supernet = Supernet(BITS, sharing="slices", seed=0)
    choice = [op.token for op in BITS.decisions[0].choices].index("w2a4@0.5")
    layer = supernet.candidates[1][choice].get_submodule("conv1.conv")
    whole = supernet.state_dict()["slots.1.shared.conv1/conv/conv/weight"]
    assert whole.shape == (24, 16, 3, 3)
    x = torch.rand(2, 16, 5, 5)
    expected = torch.nn.functional.conv2d(x, dorefa(whole[:8], 2), padding=1)
    torch.testing.assert_close(layer(x), expected)
    # what is stored and exported are the floats that are trained
    weights = supernet.weights(BITS.parse("w2a4@0.5" + "-w2a2" * 4))
    np.testing.assert_array_equal(weights["blocks.0.conv1.conv.weight"], whole[:8])


def test_every_width_is_trained_as_often() -> None:
    sampler = UniformSampler(SHUFFLE, seed=0)
    chosen = np.array([sampler.sample(step) for step in range(1200)]).reshape(-1)
    counts = np.bincount(chosen, minlength=12).reshape(4, 3)  # operators x scales
    assert np.abs(counts - 500).max() < 4.5 * 500**0.5


def test_few_bit_paths_learn() -> None:
    from hwnas.data import batch_indices, load_data
    from hwnas.supernet import Evaluator, learning_rate

    data = load_data("digits", input_size=8)
    space = spaces.space(
        "resnet18-bits",
        input_size=8,
        classes=10,
        width_mult=0.25,
        stem_kernel=3,
        stem_stride=1,
        stem_pool=False,
        stage_depths=(1, 1, 1, 1),
        stage_strides=(1, 2, 1, 1),
    )
    supernet = Supernet(space, seed=0)
    optimizer, sampler = make_optimizer(supernet), UniformSampler(space, seed=0)
    for step in range(60):
        rows = batch_indices(len(data.train_labels), 64, step, 0)
        batch = torch.from_numpy(data.to_float(data.train_images[rows]))
        labels = torch.from_numpy(data.train_labels[rows])
        rate = learning_rate(step, 60, 4e-3, warm_up=6)
        train_step(supernet, optimizer, batch, labels, sampler.sample(step), lr=rate)
    evaluator = Evaluator(
        supernet,
        data.to_float(data.train_images[:256]),
        data.to_float(data.validation_images),
        data.validation_labels,
    )
    assert np.median(evaluator.accuracies(space.sample(5, seed=9))) > 0.6  # chance is 0.1
