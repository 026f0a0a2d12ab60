"""Second derivatives of batch-norms and convolutions against torch's own, in double precision."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from hwnas.errors import OptionError
from hwnas.supernet.second_derivatives import twice_differentiable


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(scales):
    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(4).double() for _ in range(2)]
    for norm in norms:
        if scales != "held":
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -1, 1)
        norm.requires_grad_(scales == "trained")
    convolutions = [nn.Conv2d(i, 4, 3, padding=1, bias=False).double() for i in (3, 4)]
    first, second = zip(convolutions, norms, strict=True)
    return nn.Sequential(*first, nn.Softplus(), *second, nn.Flatten(), nn.Linear(100, 3).double())


def second_derivatives(scales, x, labels, fast):
    net = network(scales)
    weights = [p for p in net.parameters() if p.requires_grad]
    if fast:
        with twice_differentiable():
            loss = F.cross_entropy(net(x), labels)
    else:
        loss = F.cross_entropy(net(x), labels)
    slope = torch.autograd.grad(loss, [x, *weights], create_graph=True)
    along = [random(*part.shape, seed=at) for at, part in enumerate(slope)]
    curved = torch.autograd.grad(slope, [x, *weights], along)
    return [loss, *slope, *curved], [net[1], net[4]]


@pytest.mark.parametrize("scales", ["trained", "held", "fixed elsewhere"])
def test_they_are_torchs_own(scales):
    x = random(6, 3, 5, 5, seed=9).to(memory_format=torch.channels_last).requires_grad_()
    labels = torch.arange(6) % 3
    ours, norms = second_derivatives(scales, x, labels, fast=True)
    theirs, others = second_derivatives(scales, x, labels, fast=False)
    assert len(ours) == len(theirs)
    for mine, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-12)
    for norm, other in zip(norms, others, strict=True):
        torch.testing.assert_close(norm.running_mean, other.running_mean)
        torch.testing.assert_close(norm.running_var, other.running_var)
        assert norm.num_batches_tracked == other.num_batches_tracked == 1


def test_evaluation_is_left_alone():
    net, x = network("trained"), random(6, 3, 5, 5, seed=9)
    net(x)
    expected = net.eval()(x)
    with twice_differentiable():
        assert torch.equal(net(x), expected)


def test_hard_sigmoids_have_them():
    x = torch.tensor([-4.0, -1.0, 0.5, 2.0, 4.0], requires_grad=True)
    with twice_differentiable():
        y = F.hardsigmoid(x)
    torch.testing.assert_close(y, F.hardsigmoid(x))
    (slope,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
    (curved,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(curved, torch.tensor([0.0, 1 / 18, 1 / 18, 1 / 18, 0.0]))


def test_third_derivatives_are_refused():
    x = random(6, 4, 2, 2, seed=1).requires_grad_()
    with twice_differentiable():
        y = F.batch_norm(x, None, None, training=True)
    (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    with pytest.raises(OptionError, match="no third derivatives"):
        torch.autograd.grad(slope.sin().sum(), x, create_graph=True)


def mixed(x, weights, alpha):
    """Two branches that are weighted by numbers, one of them without a batch-norm."""
    p = alpha.softmax(0)
    branch = F.conv2d(F.softplus(x), weights, padding=1)
    return p[0] * F.batch_norm(branch, None, None, training=True) + p[1] * x


@pytest.mark.parametrize("slopes", [("weights",), ("alpha",), ("x", "weights", "alpha")])
def test_those_of_weighted_batch_norms_are_torchs_own(slopes):
    leaves = {
        "x": random(4, 3, 5, 5, seed=9).to(memory_format=torch.channels_last),
        "weights": random(3, 3, 3, 3, seed=8),
        "alpha": random(2, seed=7),
    }
    for leaf in leaves.values():
        leaf.requires_grad_()
    results = []
    for fast in (True, False):
        if fast:
            with twice_differentiable():
                y = mixed(**leaves)
        else:
            y = mixed(**leaves)
        by = [leaves[name] for name in slopes]
        slope = torch.autograd.grad(F.softplus(y).square().sum(), by, create_graph=True)
        along = [random(*part.shape, seed=at) for at, part in enumerate(slope)]
        results.append([y, *slope, *torch.autograd.grad(slope, list(leaves.values()), along)])
    for mine, right in zip(*results, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-11)


def test_a_weight_of_another_type_is_multiplied_as_ever():
    x = random(4, 3, 5, 5, seed=9).float().requires_grad_()
    p = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    with twice_differentiable():
        y = p * F.batch_norm(x, None, None, training=True)
    (slope,) = torch.autograd.grad(y.pow(3).sum(), p, create_graph=True)
    (curved,) = torch.autograd.grad(slope, p)  # y is p z
    torch.testing.assert_close(curved.float(), (6 / p**2 * y.pow(3).sum()).detach().float())


def test_of_a_weighted_batch_norm_only_its_input_is_kept():
    x = random(4, 3, 5, 5, seed=9).requires_grad_()
    p = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, twice_differentiable():
        y = p * F.batch_norm(x, None, None, training=True)
    assert sorted(kept.values()) == [3, 3, 3, x.numel()]  # of channels: scale, mean, deviation
    y.sum().backward()


def convolved(x, layer, fast):
    if fast:
        with twice_differentiable():
            return layer(x)
    return layer(x)


@pytest.mark.parametrize("wanted", ["both", "input", "weights"])
@pytest.mark.parametrize(
    ("groups", "how"),
    [
        (4, {"padding": 1}),
        (4, {"padding": 2, "dilation": 2, "stride": 2, "bias": False}),
        (2, {"padding": (1, 0), "stride": (1, 2)}),
        (4, {"padding": "same"}),
        (1, {"padding": 1}),
    ],
)
def test_those_of_convolutions_are_torchs_own(groups, how, wanted):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, 3, groups=groups, **how).double()
    layer.requires_grad_(wanted != "input")
    x = random(3, 4, 7, 7, seed=9).to(memory_format=torch.channels_last)
    leaves = [x.requires_grad_()] if wanted != "weights" else []
    leaves += [p for p in layer.parameters() if p.requires_grad]
    results = []
    for fast in (True, False):
        y = convolved(x, layer, fast)
        slope = torch.autograd.grad(F.softplus(y).square().sum(), leaves, create_graph=True)
        along = [random(*part.shape, seed=at) for at, part in enumerate(slope)]
        # of one leaf's slope alone, too: where nothing is asked of the others
        alone = torch.autograd.grad(
            slope[:1], leaves, along[:1], retain_graph=True, materialize_grads=True
        )
        results.append([y, *slope, *torch.autograd.grad(slope, leaves, along), *alone])
    for mine, right in zip(*results, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-11)


class Counted(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_a_depthwise_convolution_takes_no_operation_a_channel():
    calls = []
    for channels in (2, 32):
        layer = nn.Conv2d(channels, channels, 3, groups=channels)
        with twice_differentiable():
            y = layer(torch.randn(2, channels, 5, 5, requires_grad=True))
        slope = torch.autograd.grad(y.square().sum(), layer.weight, create_graph=True)
        with Counted() as counted:
            torch.autograd.grad(slope, layer.weight, slope)
        calls.append(counted.calls)
    assert calls[0] == calls[1]


def test_third_derivatives_of_convolutions_are_refused():
    layer = nn.Conv2d(4, 4, 3, groups=4)
    with twice_differentiable():
        y = layer(random(2, 4, 5, 5, seed=1).float())
    (slope,) = torch.autograd.grad(y.pow(3).sum(), layer.weight, create_graph=True)
    with pytest.raises(OptionError, match="no third derivatives"):
        torch.autograd.grad(slope.sin().sum(), layer.weight, create_graph=True)
