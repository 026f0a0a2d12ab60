"""The spaces of DARTS: published sizes, genotypes, and the network written out in plain torch."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import hwnas.spaces
from hwnas.errors import ArchitectureError, OptionError
from hwnas.testing.ops import randomise

DARTS = hwnas.spaces.space("darts")
S1 = hwnas.spaces.space("darts-s1")
S2 = hwnas.spaces.space("darts-s2")

#: cnn/genotypes.py of quark0/darts.
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
V1 = (
    "DARTS_V1 = Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('skip_connect', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])"
)
PC_DARTS = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), "
    "('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), "
    "('dil_conv_3x3', 1)], normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), "
    "('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))"
)
#: An architecture of S1 as a genotype: node i reads the state before it and state 0.
FIXED = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('dil_conv_5x5', 0), ('skip_connect', 2), "
    "('max_pool_3x3', 0), ('avg_pool_3x3', 0), ('sep_conv_5x5', 3), ('dil_conv_3x3', 0), "
    "('sep_conv_3x3', 4)], normal_concat=range(2, 6), reduce=[('skip_connect', 0), "
    "('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 2), ('skip_connect', 0), "
    "('skip_connect', 3), ('skip_connect', 0), ('skip_connect', 4)], reduce_concat=range(2, 6))"
)


def test_darts_v2_has_its_published_costs() -> None:
    arch = DARTS.parse(V2)
    assert DARTS.macs(arch).tolist() == [528_359_040]
    assert DARTS.params(arch).tolist() == [3_349_342]  # without the auxiliary head


def test_sizes_are_those_of_the_papers() -> None:
    # two of n states, seven operators on each: DARTS, section 4.1; four nodes, two kinds of cells
    assert DARTS.n_choices == (49, 147, 294, 490) * 2
    assert DARTS.size == (7**8 * 1 * 3 * 6 * 10) ** 2 == pytest.approx(1.1e18, rel=0.03)
    # Amended-DARTS, section 4.1.3: 3.3e13 and 1.5e48
    assert S1.size == 7**16 == pytest.approx(3.3e13, rel=0.01)
    assert S2.size == 2**160 == pytest.approx(1.5e48, rel=0.03)


def test_reductions_are_at_one_and_two_thirds() -> None:
    for space, at in ((DARTS, (6, 13)), (S1, (2, 5)), (S2, (6, 13))):
        heights = {}
        for slot in space.layout.slots:
            if slot.name.endswith(".input1"):
                heights[int(slot.name.split(".")[1])] = slot.workloads[0].height
        assert [c for c in heights if c + 1 in heights and heights[c + 1] < heights[c]] == list(at)


def test_nodes_of_the_fixed_spaces_read_the_state_before_and_state_0() -> None:
    names = [decision.name for decision in S1.decisions]
    cell = ["edge20", "edge21", "edge30", "edge32", "edge40", "edge43", "edge50", "edge54"]
    assert names == [f"{kind}.{edge}" for kind in ("normal", "reduce") for edge in cell]
    assert len(S2.decisions) == 20 * 8
    tokens = [op.token for op in S1.decisions[0].choices]
    assert sorted(tokens) == sorted(["sep3", "sep5", "dil3", "dil5", "max3", "avg3", "skip"])
    assert [op.token for op in S2.decisions[0].choices] == ["skip", "sep3"]


# Genotypes


@pytest.mark.parametrize("text", [V1, V2, PC_DARTS, FIXED])
def test_published_genotypes_parse_and_print(text: str) -> None:
    arch = DARTS.parse(text)
    printed = DARTS.format(arch)
    assert printed.startswith("Genotype(normal=[('")
    assert printed.count("range(2, 6)") == 2
    np.testing.assert_array_equal(DARTS.parse(printed), arch)


@pytest.mark.parametrize(
    "text",
    [
        V2.replace("[2, 3, 4, 5]", "range(2, 6)"),
        V2.replace("[2, 3, 4, 5]", "range( 2,6 )"),
        V2.replace("[2, 3, 4, 5]", "(5, 4, 3, 2)"),
        V2.removeprefix("Genotype(").removesuffix(")"),
        V2.replace(" ", "").replace("'", '"'),
        V2.replace(", ", ",\n    ").replace("[", "[\n").replace("]", ",\n]").replace("=", " = "),
        V2.replace(
            "'sep_conv_3x3', 0), ('sep_conv_3x3', 1)", "'sep_conv_3x3', 1), ('sep_conv_3x3', 0)"
        ),
        V2.replace(
            "('skip_connect', 0), ('dil_conv_3x3', 2)", "('dil_conv_3x3', 2), ('skip_connect', 0)"
        ),
        "\n" + V2 + "\n",
    ],
)
def test_a_genotype_may_be_written_in_many_ways(text: str) -> None:
    np.testing.assert_array_equal(DARTS.parse(text), DARTS.parse(V2))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (V2.replace("skip_connect", "none"), "an operator of DARTS is one of .*, got 'none'"),
        (V2.replace("dil_conv_3x3", "conv_7x1_1x7"), "one of max_pool_3x3, .*'conv_7x1_1x7'"),
        (V2.replace("[2, 3, 4, 5]", "[4, 5, 6]"), r"joins its nodes \[2, 3, 4, 5\]"),
        (V2.replace("[2, 3, 4, 5]", "range(3, 6)"), r"normal cell joins range\(3, 6\)"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "states of 0 to 4, got"),
        (
            V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"),
            "two different states .* 0 and 0",
        ),
        (V2.replace(", ('dil_conv_3x3', 2)", ""), "got 7 operators in the normal cell"),
        (V2.replace("normal_concat", "normal_join"), "a genotype is .* got the fields"),
        (V2.replace("reduce=", "normal="), "a genotype is"),
        (V2[:-1], "a genotype is"),
        (V2.replace("('dil_conv_3x3', 2)", "__import__('os')"), "a genotype is"),
        (V2.replace("2)", "-2)"), "a genotype is"),
        ("x=1", "a genotype is"),
    ],
)
def test_what_is_no_genotype_of_darts_says_why(text: str, complaint: str) -> None:
    with pytest.raises(ArchitectureError, match=f"not an architecture of darts: .*{complaint}"):
        DARTS.parse(text)


def test_tokens_of_darts_parse_as_well() -> None:
    arch = DARTS.sample(1, seed=3)[0]
    tokens = [d.choices[c].token for d, c in zip(DARTS.decisions, arch, strict=True)]
    assert "+" in tokens[0]
    np.testing.assert_array_equal(DARTS.parse("-".join(tokens)), arch)


def test_a_genotype_of_the_fixed_edges_is_one_of_s1() -> None:
    expected = "dil5-sep3-max3-skip-avg3-sep5-dil3-sep3" + "-skip" * 8
    assert S1.format(S1.parse(FIXED)) == expected
    # it is the same network
    s1, darts = (hwnas.spaces.space(n, cells=8, channels=4) for n in ("darts-s1", "darts"))
    assert s1.macs(s1.parse(FIXED)) == darts.macs(darts.parse(FIXED))
    assert s1.params(s1.parse(FIXED)) == darts.params(darts.parse(FIXED))
    with pytest.raises(ArchitectureError, match="read the states 0 and 1, 0 and 2, 0 and 3"):
        S1.parse(V2)


# The network


def cell_of(
    module: nn.Module, name: str, pairs: list, s0: Tensor, s1: Tensor, halve: bool
) -> Tensor:
    """A cell as the paper describes it; `module` gives the parameters of each operator."""

    def at(leaf: str) -> nn.Module:
        return module.get_submodule(f"{name}.{leaf}")

    def fitted(which: str, x: Tensor, height: int) -> Tensor:
        if x.shape[2] == height:
            return at(f"{which}.conv_bn.bn")(at(f"{which}.conv_bn.conv")(F.relu(x)))
        return halved(which, x)

    def halved(where: str, x: Tensor) -> Tensor:
        x = F.relu(x)
        parts = [at(f"{where}.even")(x), at(f"{where}.odd")(x[:, :, 1:, 1:])]
        return at(f"{where}.bn")(torch.cat(parts, 1))

    states = [fitted("input0", s0, s1.shape[2]), fitted("input1", s1, s1.shape[2])]
    for node in range(2, 6):
        total = 0.0
        for op, source in pairs[2 * (node - 2) : 2 * (node - 1)]:
            x, where = states[source], f"node{node}.edge{source}"
            stride = 2 if halve and source < 2 else 1
            if op == "skip_connect":
                y = x if stride == 1 else halved(where, x)
            elif op == "max_pool_3x3":
                y = F.max_pool2d(x, 3, stride, 1)
            elif op == "avg_pool_3x3":
                y = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            elif op.startswith("dil"):
                weight = at(f"{where}.dilated.depthwise").weight
                pad = weight.shape[-1] - 1
                y = F.conv2d(F.relu(x), weight, None, stride, pad, 2, len(weight))
                y = at(f"{where}.dilated.pointwise.conv")(y)
                y = at(f"{where}.dilated.pointwise.bn")(y)
            else:
                y = x
                for which, step in (("first", stride), ("second", 1)):
                    weight = at(f"{where}.{which}.depthwise").weight
                    pad = weight.shape[-1] // 2
                    y = F.conv2d(F.relu(y), weight, None, step, pad, 1, len(weight))
                    y = at(f"{where}.{which}.pointwise.conv")(y)
                    y = at(f"{where}.{which}.pointwise.bn")(y)
            total = total + y
        states.append(total)
    return torch.cat(states[2:], 1)


@pytest.mark.parametrize("text", [V2, PC_DARTS, FIXED])
def test_the_network_is_that_of_the_paper(text: str) -> None:
    space = hwnas.spaces.space("darts", input_size=8, classes=5, channels=4, cells=5)
    module = space.build(space.parse(text)).eval()
    randomise(module, 0)
    fields = eval(text, {"Genotype": dict})  # the notation is Python's
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stem = module.get_submodule("stem.stem.bn")(module.get_submodule("stem.stem.conv")(x))
        before, last = stem, stem
        for at in range(5):
            halve = at in (1, 3)
            pairs = fields["reduce" if halve else "normal"]
            out = cell_of(module, f"cells.{at}", pairs, before, last, halve)
            before, last = last, out
        y = module.get_submodule("head.classifier")(last.mean((2, 3)))
        torch.testing.assert_close(module(x), y, rtol=1e-4, atol=1e-5)
    assert last.shape == (2, 4 * 16, 2, 2)


def test_poolings_are_normed_without_parameters_where_asked() -> None:
    plain, normed = (
        hwnas.spaces.space("darts-s1", channels=4, cells=3, pool_norm=norm)
        for norm in (False, True)
    )
    arch = plain.parse("-".join(["max3", "avg3"] * 8))
    norms = [
        sum(isinstance(m, nn.BatchNorm2d) and not m.affine for m in s.build(arch).modules())
        for s in (plain, normed)
    ]
    assert norms == [0, 3 * 8]
    assert plain.params(arch) == normed.params(arch)


# Arguments


@pytest.mark.parametrize("deployed", [DARTS, S1, S2], ids=lambda space: space.name)
def test_a_proxy_makes_the_same_decisions(deployed: hwnas.spaces.SearchSpace) -> None:
    small = hwnas.spaces.proxy(deployed, 16, 7, 0.25)
    assert small.n_choices == deployed.n_choices
    arch = deployed.sample(1, seed=0)[0]
    assert small.format(arch) == deployed.format(arch)
    assert small.classes == 7
    assert small.arguments["channels"] == 16  # a quarter of 36 is 9; no less than 0.9 of it
    assert small.arguments["cells"] == (20 if deployed is S2 else 5)
    assert small.macs(arch)[0] < deployed.macs(arch)[0] / 10


@pytest.mark.parametrize("name", ["darts", "darts-s1", "darts-s2"])
@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"cells": 2}, "cells of .* are at least 3, a normal one and two reductions, got 2"),
        ({"channels": 5}, "channels of .* are even, .* got 5"),
        ({"input_size": 30}, "input_size of .* is a multiple of 4, got 30"),
        ({"channels": 0}, "channels of .* takes whole numbers of at least 1, got 0"),
        ({"cells": 300}, "at most 64 numbers .* got 300"),
    ],
)
def test_arguments_that_make_no_network(name: str, given: dict, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        hwnas.spaces.space(name, **given)


def test_pool_norm_is_a_switch() -> None:
    with pytest.raises(OptionError, match="pool_norm of darts is true or false, got 'yes'"):
        hwnas.spaces.space("darts", pool_norm="yes")
