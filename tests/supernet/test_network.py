"""A path of the supernet is the network that the space builds, on weights shared as promised."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from hwnas import spaces
from hwnas.errors import ArchitectureError, OptionError
from hwnas.ops import Graph, Identity, MBConv, ReLUConvBN, Workload
from hwnas.spaces import SearchSpace
from hwnas.supernet import SHARINGS, Sharing, Supernet
from hwnas.supernet.sharing import Block

MakeSupernet = Callable[..., Supernet]
DEPTHWISE, EXPAND, PROJECT = (
    f"slots.3.shared.{name}/conv/conv/weight" for name in ("depthwise", "expand", "project")
)  # slot 3 is block 1: 16 channels in and out


def images(count: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def loaded(space: SearchSpace, supernet: Supernet, arch: np.ndarray) -> torch.nn.Module:
    network = space.build(arch)
    weights = supernet.weights(arch)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return network


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("training", [True, False])
def test_a_path_computes_what_the_built_network_computes(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing, training: bool
) -> None:
    supernet = make_supernet(sharing).train(training)
    for arch in small_space.sample(8, seed=1):
        network = loaded(small_space, supernet, arch).train(training)
        with torch.no_grad():
            expected, got = network(images()), supernet(images(), arch)
        assert expected.std() > 0.1
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_weights_go_into_the_onnx_model(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing
) -> None:
    supernet = make_supernet(sharing).eval()
    arch = small_space.parse("k7e3-k3e6-k5e6-skip")
    model = small_space.to_onnx(arch, supernet.weights(arch), batch=4)
    session = onnxruntime.InferenceSession(io.BytesIO(model).read())
    (got,) = session.run(None, {"input": images().numpy()})
    with torch.no_grad():
        expected = supernet(images(), arch).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_weights_are_copies(small_space: SearchSpace, make_supernet: MakeSupernet) -> None:
    supernet = make_supernet()
    arch = small_space.sample(1, seed=0)[0]
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    for value in supernet.weights(arch).values():
        value[...] = 0
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("expand", [3, 6])
def test_slices_are_first_channels_and_middle_of_the_kernel(
    small_space: SearchSpace, make_supernet: MakeSupernet, kernel: int, expand: int
) -> None:
    supernet = make_supernet("slices")
    state = supernet.state_dict()
    assert state[DEPTHWISE].shape == (6 * 16, 1, 7, 7)
    weights = supernet.weights(small_space.parse(f"k3e3-k{kernel}e{expand}-k3e3-skip"))
    mid, edge = 16 * expand, (7 - kernel) // 2
    middle = slice(edge, edge + kernel)
    for name, expected in {
        "expand": state[EXPAND][:mid],
        "depthwise": state[DEPTHWISE][:mid, :, middle, middle],
        "project": state[PROJECT][:, :mid],
    }.items():
        np.testing.assert_array_equal(weights[f"blocks.1.{name}.conv.weight"], expected)


def test_a_depthwise_slice_convolves_as_the_cut_kernel(make_supernet: MakeSupernet) -> None:
    supernet = make_supernet("slices")
    layer = supernet.candidates[3][1].get_submodule("depthwise.conv")  # k5e3
    whole = supernet.state_dict()[DEPTHWISE]
    x = torch.randn(2, 48, 9, 9)
    expected = F.conv2d(x, whole[:48, :, 1:6, 1:6].clone(), padding=2, groups=48)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_slice_and_nothing_else(
    small_space: SearchSpace, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet("slices")
    supernet(images(), small_space.parse("k3e3-k5e3-k3e3-skip")).square().sum().backward()
    grad = dict(supernet.named_parameters())[DEPTHWISE].grad
    assert grad is not None
    used = torch.zeros(6 * 16, 1, 7, 7, dtype=torch.bool)
    used[: 3 * 16, :, 1:6, 1:6] = True
    assert (grad[~used] == 0).all()
    assert (grad[used] != 0).float().mean() > 0.9


def test_slicing_is_for_all_operators() -> None:
    # plain convolutions: 1x1 lies in the middle of 3x3
    workloads = [Workload(ReLUConvBN(kernel), 4, 6, 1, 5, 5) for kernel in (1, 3)]
    block = Block(workloads, "slices")
    (whole,) = block.shared.values()
    assert whole.shape == (6, 4, 3, 3)
    with torch.no_grad():
        whole.normal_()
    state = block.state(0)
    (name,) = (name for name, tensor in state.items() if tensor.ndim == 4)
    assert torch.equal(state[name], whole[:, :, 1:2, 1:2])


@dataclass(frozen=True)
class Dense:
    """Pools and maps linearly; ``hidden`` features between two layers."""

    hidden: int
    token = "dense"
    free = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        x = graph.linear(graph.global_avg_pool(x), "a", self.hidden)
        return graph.linear(x, "b", out_channels)


def test_linear_layers_are_sliced_with_their_bias() -> None:
    block = Block([Workload(Dense(hidden), 4, 3, 1, 2, 2) for hidden in (2, 5)], "slices")
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_()
    x = torch.randn(7, 4, 2, 2)
    a, b = block.shared["a/linear/weight"], block.shared["b/linear/weight"]
    bias_a, bias_b = block.shared["a/linear/bias"], block.shared["b/linear/bias"]
    assert (a.shape, b.shape, bias_a.shape) == ((5, 4), (3, 5), (5,))
    hidden = x.mean((2, 3)) @ a[:2].T + bias_a[:2]
    torch.testing.assert_close(block(x, 0), hidden @ b[:, :2].T + bias_b)


def test_parameter_counts(small_space: SearchSpace) -> None:
    """Block 1 has 16 channels in and out, kernels 3, 5, 7 and expansions 3, 6."""

    def count(sharing: Sharing) -> int:
        supernet = Supernet(small_space, sharing=sharing, seed=0)
        return sum(p.numel() for p in supernet.slots[3].parameters())

    def norms(expand: int) -> int:
        return 2 * (16 * expand + 16 * expand + 16)

    largest = 16 * 96 + 96 * 7 * 7 + 96 * 16
    all_norms = 3 * norms(3) + 3 * norms(6)
    assert count("slices") == largest + all_norms
    convolutions = sum(2 * 16 * 16 * e + 16 * e * k * k for e in (3, 6) for k in (3, 5, 7))
    assert count("separate") == convolutions + all_norms


@pytest.mark.parametrize("sharing", SHARINGS)
def test_each_parameter_is_stored_once(make_supernet: MakeSupernet, sharing: Sharing) -> None:
    supernet = make_supernet(sharing)
    listed = list(supernet.parameters())
    assert len({p.data_ptr() for p in listed}) == len(listed)
    buffers = {name for name, _ in supernet.named_buffers()}
    assert len(supernet.state_dict().keys() - buffers) == len(listed)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_copies_share_nothing(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing
) -> None:
    supernet = make_supernet(sharing).eval()
    twin = copy.deepcopy(supernet)
    arch = small_space.sample(1, seed=3)[0]
    with torch.no_grad():
        before = supernet(images(), arch)
        assert torch.equal(twin(images(), arch), before)
        for parameter in twin.parameters():
            parameter.mul_(1.5)
        assert torch.equal(supernet(images(), arch), before)
        assert not torch.allclose(twin(images(), arch), before)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_parameters_off_the_path_have_no_gradient_and_stay(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing
) -> None:
    supernet = make_supernet(sharing)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    first, second = (small_space.parse(t) for t in ("k3e3-k3e3-k3e3-k3e3", "k5e6-skip-k5e6-k5e6"))
    for arch in (first, second):
        optimizer.zero_grad(set_to_none=True)
        before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
        supernet(images(), arch).square().sum().backward()
        grads = {name: p.grad for name, p in supernet.named_parameters()}
        optimizer.step()
        for name, parameter in supernet.named_parameters():
            if grads[name] is None:
                assert torch.equal(parameter, before[name]), name
        trained = [name for name, grad in grads.items() if grad is not None]
        # as many as the network of this path has, each holding at least as much
        assert len(trained) == len(list(small_space.build(arch).parameters()))
        assert not any(".choices." in name and name.startswith("slots.3.") for name in trained) or (
            arch is first
        )


@pytest.mark.parametrize("sharing", SHARINGS)
def test_the_last_norm_of_a_residual_branch_starts_at_zero(
    small_space: SearchSpace, sharing: Sharing
) -> None:
    supernet = Supernet(small_space, sharing=sharing, seed=0)
    full, skipped = (
        supernet(images(), small_space.parse(text))
        for text in ("k3e3-k7e6-k5e3-k3e3", "k3e3-skip-k5e3-skip")
    )
    assert full.std() > 0
    torch.testing.assert_close(full, skipped)
    other = Supernet(small_space, sharing=sharing, seed=0, zero_init_residual=False)
    assert not torch.allclose(other(images(), small_space.parse("k3e3-k7e6-k5e3-k3e3")), skipped)


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("name", ["proxyless", "ofa"])
def test_candidates_of_a_block_start_as_one_function(name: str, sharing: Sharing) -> None:
    space = spaces.proxy(spaces.space(name), input_size=16, classes=10, width_mult=0.25)
    supernet = Supernet(space, sharing=sharing, seed=0, zero_init_residual=False)
    with torch.no_grad():
        x = torch.randn(4, 3, 16, 16)
        for slot, choices in enumerate(supernet.candidates):
            first, *others = [
                supernet.run_block(slot, x, at)
                for at, choice in enumerate(choices)
                if list(choice.parameters())  # the identity is another
            ]
            for other in others:
                torch.testing.assert_close(other, first, rtol=1e-3, atol=1e-4)
            x = first


def test_what_only_some_candidates_have_starts_at_zero_and_learns(
    small_space: SearchSpace,
) -> None:
    supernet = Supernet(small_space, seed=0, zero_init_residual=False)
    shared = dict(supernet.named_parameters())
    supernet(images(), small_space.parse("k3e3-k7e6-k3e3-skip")).square().sum().backward()
    middle = slice(2, 5)
    for name, seen_by_all in (
        (DEPTHWISE, (slice(None), slice(None), middle, middle)),
        (PROJECT, (slice(None), slice(0, 3 * 16))),
    ):
        gradient = shared[name].grad
        assert gradient is not None
        further = torch.ones_like(gradient, dtype=torch.bool)
        further[seen_by_all] = False
        assert (shared[name][further] == 0).all()
        assert (shared[name][~further] != 0).all()
        # half of the depthwise rims belong to channels that nobody reads until these have moved
        assert (gradient[further] != 0).float().mean() > 0.45


@pytest.mark.parametrize("sharing", SHARINGS)
def test_drawn_weights_are_drawn_each_for_itself_and_residual_branches_are_not_zero(
    small_space: SearchSpace, sharing: Sharing
) -> None:
    drawn = Supernet(small_space, sharing=sharing, seed=0, initial_weights="drawn")
    for name, parameter in drawn.named_parameters():
        if parameter.ndim == 4:  # no rim, no further channel, no layer starts at zero
            assert (parameter != 0).all(), name
            if parameter.numel() > 1000:
                fan_out = parameter.shape[0] if parameter.shape[1] > 1 else 1
                spread = (2 / (fan_out * parameter.shape[2] * parameter.shape[3])) ** 0.5
                assert parameter.std().item() == pytest.approx(spread, rel=0.1), name
    norms = [m for m in drawn.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all((norm.weight == 1).all() for norm in norms)
    if sharing == "separate":  # no candidate is a copy of another
        first = [p for p in drawn.slots[3].parameters() if p.ndim == 4]
        assert len({tuple(p.flatten()[:4].tolist()) for p in first}) == len(first)


def test_an_identity_hands_on_its_input(
    small_space: SearchSpace, make_supernet: MakeSupernet
) -> None:
    skip = small_space.decisions[1].choices.index(Identity())
    x = torch.randn(2, 16, 8, 8)
    assert make_supernet().run_block(3, x, skip) is x


def test_blocks_run_one_by_one(small_space: SearchSpace, make_supernet: MakeSupernet) -> None:
    supernet = make_supernet().eval()
    arch = small_space.parse("k3e3-k7e6-k5e3-k3e3")
    with torch.no_grad():
        x = images()
        for slot, choice in enumerate(supernet.path(arch)):
            x = supernet.run_block(slot, x, choice)
        torch.testing.assert_close(x, supernet(images(), arch))
    ops = small_space.decisions[0].choices
    assert supernet.path(arch) == [0, 0, *arch.tolist(), 0]
    assert ops[arch[0]] == MBConv(3, 3)


def test_parameters_and_activations_are_channels_last(make_supernet: MakeSupernet) -> None:
    supernet = make_supernet()
    for parameter in supernet.parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last)
    x = images().to(memory_format=torch.channels_last)
    for slot, choice in enumerate([0, 0, 0, 0]):
        x = supernet.run_block(slot, x, choice)
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_the_seed_decides_the_weights(small_space: SearchSpace) -> None:
    a, b, c = (Supernet(small_space, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a[DEPTHWISE], c[DEPTHWISE])


def test_unknown_starts_are_refused(small_space: SearchSpace) -> None:
    with pytest.raises(OptionError, match="initial_weights is one of alike, drawn, got 'zero'"):
        Supernet(small_space, seed=0, initial_weights="zero")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="batch_norms is one of affine, plain, got 'none'"):
        Supernet(small_space, seed=0, batch_norms="none")  # type: ignore[arg-type]


def test_unknown_sharing_is_refused(small_space: SearchSpace) -> None:
    with pytest.raises(OptionError, match="one of slices, separate, got 'all'"):
        Supernet(small_space, sharing="all", seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("arch", [[0, 0, 0], [0, 0, 0, 7], [[0, 0, 0, 0]] * 2])
def test_architectures_of_other_spaces_are_refused(
    make_supernet: MakeSupernet, arch: list[int]
) -> None:
    with pytest.raises(ArchitectureError):
        make_supernet()(images(), arch)
