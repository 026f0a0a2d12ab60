"""The space of NAO: its integers, what unused states cost, and the network in plain torch."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import hwnas.spaces
from hwnas.errors import ArchitectureError, OptionError
from hwnas.testing.ops import randomise

NAO = hwnas.spaces.space("nao")
SMALL = hwnas.spaces.space("nao", input_size=8, classes=3, channels=4, repeats=1)
SEP3, SEP5, AVG, MAX, IDENTITY = range(5)
#: One cell in which nodes 2, 3 and 5 read nothing but inputs, and states 4, 5 and 6 are left.
CELL = [0, SEP3, 1, MAX, 1, IDENTITY, 2, AVG, 3, SEP5, 2, IDENTITY, 0, AVG, 0, AVG, 3, MAX, 1, SEP3]
#: Node 2 takes state 1 twice, and so on: each node reads state 1 alone.
WIDE = [1, IDENTITY] * 10


def test_decisions_are_the_pairs_of_ten_nodes() -> None:
    assert NAO.n_choices == (10, 10, 15, 15, 20, 20, 25, 25, 30, 30) * 2
    assert len(NAO.decisions) == 20
    assert NAO.decisions[0].name == "normal.node2a"
    assert not NAO.additive


def test_cells_are_three_rows_and_two_reductions() -> None:
    for repeats in (1, 3, 6):
        space = hwnas.spaces.space("nao", channels=4, repeats=repeats)
        joins = [slot for slot in space.layout.slots if slot.name.endswith(".join")]
        widths = [slot.workloads[0].out_channels for slot in joins]
        # reductions at N and 2N + 1, where channels double
        assert widths == [4] * repeats + [8] * (repeats + 1) + [16] * (repeats + 1)


def test_integers_and_tokens_are_one_architecture() -> None:
    code = CELL + WIDE
    arch = NAO.parse(" ".join(map(str, code)))
    assert NAO.format(arch).startswith("0.sep3-1.max3-1.skip-2.avg3-3.sep5-2.skip-")
    for text in (str(code), ",".join(map(str, code)), NAO.format(arch)):
        np.testing.assert_array_equal(NAO.parse(text), arch)
    assert arch.tolist()[:4] == [0 * 5 + SEP3, 1 * 5 + MAX, 1 * 5 + IDENTITY, 2 * 5 + AVG]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        (CELL, "as 40 integers, those of the normal cell first, got 20"),
        ([2, 0, *(CELL + WIDE)[2:]], "node 2 reads a state of 0 to 1 .* got 2 and 0"),
        ([0, 5, *(CELL + WIDE)[2:]], "an operator of 0 to 4, got 0 and 5"),
        ([*(CELL + WIDE)[:-2], 6, 0], "node 6 reads a state of 0 to 5 .* got 6 and 0"),
    ],
)
def test_integers_that_are_no_architecture(code: list[int], complaint: str) -> None:
    with pytest.raises(ArchitectureError, match=complaint):
        NAO.parse(" ".join(map(str, code)))


def test_a_genotype_of_darts_is_none_of_nao() -> None:
    with pytest.raises(ArchitectureError, match="20 tokens joined by '-' are needed"):
        NAO.parse("Genotype(normal=[('sep_conv_3x3', 0)])")


def unused(cell: list[int]) -> list[int]:
    return [state for state in range(7) if state not in cell[::2]]


def test_what_joins_costs_by_the_number_of_unused_states() -> None:
    shapes = {
        (w.in_channels // w.out_channels, w.out_channels)
        for slot in NAO.layout.slots
        if slot.name.endswith(".join")
        for w in slot.workloads
    }
    # one to six states at each of three widths, and nothing else
    assert shapes == {(n, c) for n in range(1, 7) for c in (36, 72, 144)}
    for code in (CELL + WIDE, WIDE + CELL):
        path = SMALL.layout.path(SMALL.parse(str(code)).tolist())
        for slot, choice in zip(SMALL.layout.slots, path, strict=True):
            cell = int(slot.name.split(".")[1]) if slot.name.startswith("cells") else None
            if slot.name.endswith(".join"):
                left = unused(code[20:] if cell in (1, 3) else code[:20])
                assert list(slot.reads[choice]) == left
                assert (
                    slot.workloads[choice].in_channels == len(left) * slot.workloads[0].out_channels
                )
            elif ".reduce" in slot.name:  # an input that is used needs no halving for the output
                state = int(slot.name[-1])
                assert (choice == 0) == (state in unused(code[20:]))


# The network


def cell_of(module: nn.Module, name: str, code: list[int], s0: Tensor, s1: Tensor) -> Tensor:
    """A cell by the notes to the paper."""
    channels = module.get_submodule(f"{name}.output.join.conv_bn.conv").out_channels

    def at(leaf: str) -> nn.Module:
        return module.get_submodule(f"{name}.{leaf}")

    def one(where: str, x: Tensor) -> Tensor:
        return at(f"{where}.conv_bn.bn")(at(f"{where}.conv_bn.conv")(F.relu(x)))

    def halved(where: str, x: Tensor) -> Tensor:
        x = F.relu(x)
        parts = [at(f"{where}.even")(x), at(f"{where}.odd")(x[:, :, 1:, 1:])]
        return at(f"{where}.bn")(torch.cat(parts, 1))

    reduces = name in ("cells.1", "cells.3")
    states = []
    for which, x in (("input0", s0), ("input1", s1)):
        if x.shape[2] != s1.shape[2]:
            x = halved(which, x)
        elif x.shape[1] != channels:
            x = one(which, x)
        states.append(x)
    for node in range(5):
        total = 0.0
        for place in range(2):
            source, op = code[4 * node + 2 * place : 4 * node + 2 * place + 2]
            x, where = states[source], f"node{node + 2}.{'ab'[place]}.edge{source}"
            stride = 2 if reduces and source < 2 else 1
            if op == IDENTITY:
                y = x if stride == 1 else halved(where, x)
            elif op == AVG:
                y = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            elif op == MAX:
                y = F.max_pool2d(x, 3, stride, 1)
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
    left = unused(code)
    if reduces:
        for state in {0, 1} & set(left):
            states[state] = halved(f"output.reduce{state}", states[state])
    return one("output.join", torch.cat([states[state] for state in left], 1))


@pytest.mark.parametrize("code", [CELL + WIDE, WIDE + CELL, CELL + CELL])
def test_the_network_is_that_of_the_notes(code: list[int]) -> None:
    module = SMALL.build(SMALL.parse(str(code))).eval()
    randomise(module, 0)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stem = module.get_submodule("stem.stem.bn")(module.get_submodule("stem.stem.conv")(x))
        before, last = stem, stem
        for at in range(5):
            own = code[20:] if at in (1, 3) else code[:20]
            before, last = last, cell_of(module, f"cells.{at}", own, before, last)
        y = module.get_submodule("head.classifier")(last.mean((2, 3)))
        torch.testing.assert_close(module(x), y, rtol=1e-4, atol=1e-5)
    assert last.shape == (2, 16, 2, 2)


def test_a_proxy_makes_the_same_decisions() -> None:
    small = hwnas.spaces.proxy(NAO, 16, 7, 0.25)
    assert small.decisions == NAO.decisions
    assert small.arguments["repeats"] == 1
    arch = NAO.sample(1, seed=0)[0]
    assert small.format(arch) == NAO.format(arch)


def test_arguments_that_make_no_network() -> None:
    for given in ({"repeats": 0}, {"channels": 3}, {"input_size": 10}):
        with pytest.raises(OptionError, match=f"{next(iter(given))} of nao"):
            hwnas.spaces.space("nao", **given)


def test_two_that_change_places_are_one_network() -> None:
    archs = SMALL.sample(3, seed=0)
    swapped = archs.reshape(3, 10, 2)[:, :, ::-1].reshape(3, 20)
    written = SMALL.canonical(archs)
    assert (SMALL.canonical(swapped) == written).all()
    assert (np.sort(written.reshape(3, 10, 2)) == np.sort(archs.reshape(3, 10, 2))).all()
    assert (SMALL.macs(written) == SMALL.macs(archs)).all()
    x = torch.rand(2, 3, 8, 8)
    networks = [SMALL.build(arch).eval() for arch in (archs[0], swapped[0])]
    for module in networks:
        for name, tensor in module.named_parameters():  # alike on either edge of a node
            place = name.replace("b.edge", "a.edge")
            generator = torch.Generator().manual_seed(len(place) + tensor.numel())
            with torch.no_grad():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) / tensor[0].numel())
    assert torch.allclose(networks[0](x), networks[1](x), rtol=1e-4)
