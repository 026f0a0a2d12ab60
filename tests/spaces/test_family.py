"""A family of own modules is a search space like any other."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from families import cnn, cnn_space, layered_space, vit_space
from torch import Tensor, nn

import hwnas
from hwnas.errors import ArchitectureError, ExportError, OptionError
from hwnas.spaces.inputs import Inputs
from hwnas.spaces.module_facts import facts_of
from hwnas.testing.spaces import check_space

IMAGES, GREY = (Inputs(shape, ("float32",)) for shape in ((3, 8, 8), (1, 2, 2)))


@pytest.mark.parametrize("make", [cnn_space, layered_space, vit_space])
def test_it_keeps_the_promises_of_a_space(make) -> None:
    space = make()
    hwnas.register_space(space.name, space)
    check_space(space, count=1)


def test_costs_are_the_arithmetic_of_the_layers() -> None:
    space = cnn_space()
    arch = space.parse("w1=12-w2=16-k1=5-k2=3")
    # 8x8 inputs: strides of 2 leave 4x4 and 2x2
    macs = 4 * 4 * 12 * 3 * 25 + 2 * 2 * 16 * 12 * 9 + 16 * 10
    params = 12 * 3 * 25 + 2 * 12 + 16 * 12 * 9 + 2 * 16 + 16 * 10 + 10
    assert space.macs(arch).tolist() == [macs]
    assert space.params(arch).tolist() == [params]
    assert space.bitops(arch).tolist() == [0]
    moved = [3 * 64 + 900 + 12 * 16, 12 * 16 + 16 * 12 * 9 + 16 * 4, 16 + 170 + 10]
    assert space.bytes(arch).tolist() == [4 * sum(moved)]


def test_attention_counts_what_it_multiplies() -> None:
    space = vit_space()
    arch = space.parse("heads=2-mlp=16-depth=1")
    patches, qkv, mixed = 4 * 16 * 3 * 16, 4 * 16 * 24, 2 * (2 * 4 * 4 * 4)
    assert space.macs(arch).tolist() == [
        patches + qkv + mixed + 4 * 8 * 16 + 2 * 4 * 16 * 16 + 16 * 10
    ]


def test_values_read_with_and_without_their_names() -> None:
    space = cnn_space()
    arch = space.parse("12-16-5-3")
    assert arch.tolist() == [1, 1, 1, 0]
    assert space.format(arch) == "w1=12-w2=16-k1=5-k2=3"
    with pytest.raises(ArchitectureError, match="w1 is one of 8, 12, got '16'"):
        space.parse("16-16-5-3")
    with pytest.raises(ArchitectureError, match="w1 comes here, got 'w2=12'"):
        space.parse("w2=12-w1=16-k1=5-k2=3")
    listed = hwnas.family(
        lambda layers: nn.Sequential(nn.Flatten(), *(nn.Linear(n, n) for n in layers)),
        {"layers": [[12], [12, 12]]},
        input_shape=(3, 2, 2),
        name="listed",
    )
    assert listed.format([1]) == "layers=#1"
    assert listed.parse("layers=#1").tolist() == [1]


def test_what_a_depth_puts_out_of_use_does_not_tell_networks_apart() -> None:
    space = layered_space()
    every = np.array(list(itertools.product(range(3), range(2), range(2), range(2))))
    written = space.canonical(every)
    assert len(np.unique(written, axis=0)) == 2 + 4 + 8
    used = np.arange(3) <= every[:, :1]
    assert np.array_equal(written, np.concatenate([every[:, :1], every[:, 1:] * used], axis=1))


def test_what_only_changes_how_it_runs_tells_networks_apart() -> None:
    class Block(nn.Module):
        def __init__(self, residual: bool, scale: float):
            super().__init__()
            self.residual, self.scale = residual, scale
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x.flatten(1)) * self.scale
            return y + x.flatten(1) if self.residual else y

    digests = {
        facts_of(lambda r=r, s=s: Block(r, s), GREY).digest
        for r in (False, True)
        for s in (1.0, 0.5)
    }
    assert len(digests) == 4


def test_buffers_and_constants_tell_networks_apart() -> None:
    class Blur(nn.Module):
        def __init__(self, strength: float, buffer: bool):
            super().__init__()
            kernel = torch.full((3, 1, 3, 3), strength)
            if buffer:
                self.register_buffer("kernel", kernel)
            else:
                self.kernel = kernel
            self.head = nn.Linear(3, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.conv2d(x, self.kernel, groups=3)
            return self.head(x.mean((2, 3)))

    for buffer in (True, False):
        weak, strong, again = (
            facts_of(lambda s=s, b=buffer: Blur(s, b), IMAGES).digest for s in (0.1, 0.2, 0.1)
        )
        assert weak == again != strong


def test_a_module_that_looks_at_values_is_run_on_the_cpu() -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x.flatten(1))
            return y + 1 if float(y.detach().sum()) > 1e9 else y

    facts = facts_of(Looks, GREY)
    assert (facts.macs, facts.params, facts.output) == (12, 15, (3,))


def test_torchs_generator_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    space = cnn_space()
    space.macs(space.sample(3, seed=0))
    space.drawn(space.sample(1, seed=0), seed=1)
    assert torch.equal(torch.rand(3), wanted)


def test_another_function_of_equal_choices_is_another_space() -> None:
    def cnn(w1: int, w2: int, k1: int, k2: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(192, w1), nn.Linear(w1, 10))

    choices = {"w1": [8, 12], "w2": [12, 16, 24], "k1": [3, 5], "k2": [3, 5, 7]}
    other = hwnas.family(cnn, choices, input_shape=(3, 8, 8))
    assert other.name == cnn_space().name
    assert other.identifier != cnn_space().identifier == cnn_space().identifier


def test_what_needs_operators_is_refused_by_name() -> None:
    space = cnn_space()
    arch = space.sample(1, seed=0)
    for asked in (lambda: space.workloads(arch), lambda: space.graph(arch)):
        with pytest.raises(OptionError, match="not made of workloads"):
            asked()
    with pytest.raises(OptionError, match="not cost a sum over its decisions"):
        space.cost("macs")
    with pytest.raises(OptionError, match="in fp32, got int8"):
        space.to_onnx(arch, precision="int8")


GOOD = {"w1": [8, 12], "w2": [12], "k1": [3], "k2": [3]}


@pytest.mark.parametrize(
    ("build", "choices", "message"),
    [
        (3, GOOD, "a family is built by a function, got a int"),
        (cnn, {}, "choices are the values of each argument"),
        (cnn, {**GOOD, "w1": 8}, "choices of w1 are a list of values, got 8"),
        (cnn, {**GOOD, "w1": []}, "choices of w1 are a list of values"),
        (cnn, {**GOOD, "w1": [8, 8]}, "choices of w1 are each given once"),
        (cnn, {**GOOD, "w1": [nn.ReLU]}, "choices of w1 are numbers, words"),
        (cnn, {**GOOD, "w3": [8]}, "unexpected keyword argument 'w3'"),
        (cnn, {"w1": [8], "w2": [12], "k1": [3]}, "missing a required argument: 'k2'"),
        (cnn, {**GOOD, "w1": [8, 0.5]}, "called with w1=0.5, w2=12, k1=3, k2=3, raised ValueError"),
        (lambda w: "net", {"w": [1]}, "called with w=1, gives a torch.nn.Module, got a str"),
        (lambda w: nn.Linear(5, w), {"w": [1]}, r"does not run on an input of \(3, 8, 8\)"),
        (
            lambda w: nn.Sequential(nn.Flatten(), nn.Linear(192, w)),
            {"w": [4, 5]},
            r"called with w=4, gives an output of \(4,\), and \(5,\) for w=5",
        ),
    ],
)
def test_what_is_no_family_is_refused(build, choices, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        hwnas.family(build, choices, input_shape=(3, 8, 8), name="own")


def test_a_function_that_gives_another_network_each_time_is_refused() -> None:
    calls = itertools.count(3)

    def build(w: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(192, next(calls)), nn.LazyLinear(w))

    def grows(w: int) -> nn.Module:
        hidden = next(calls)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, hidden), nn.Linear(hidden, w))

    with pytest.raises(OptionError, match="called with w=4, gives another network each time"):
        hwnas.family(grows, {"w": [4]}, input_shape=(3, 8, 8))
    with pytest.raises(OptionError, match="called with w=4"):
        hwnas.family(build, {"w": [4]}, input_shape=(3, 8, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": 8}, "input_shape is the shape of an input without the batch"),
        ({"input_shape": (3, 0, 8)}, "at least 1"),
        ({"name": "my net"}, "the name of a family is of letters"),
        ({"parts": {"qkv": 3}}, "none ends in 'qkv'"),
        ({"parts": {"0.weight": 1}}, "parts of 0.weight are a whole number above 1"),
    ],
)
def test_other_arguments_are_checked(changes, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        hwnas.family(cnn, GOOD, **{"input_shape": (3, 8, 8), **changes})


def test_what_onnx_lacks_is_said() -> None:
    class Odd(nn.Module):
        def __init__(self, w: int):
            super().__init__()
            self.layer = nn.Linear(w, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.special.bessel_j0(x.flatten(1)))

    space = hwnas.family(Odd, {"w": [4]}, input_shape=(1, 2, 2))
    with pytest.raises(ExportError, match="torch cannot write w=4 of Odd as ONNX"):
        space.to_onnx([0])


def test_no_torch_until_a_family_is_made() -> None:
    code = "import hwnas.spaces.family, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
