"""Cells as graphs, against what the strings of the papers say."""

import re

import numpy as np
import pytest

from hwnas import spaces
from hwnas.report.cell_graph import cells_of


def test_a_cell_of_nasbench201_has_the_edges_that_its_string_names():
    space = spaces.space("nasbench201")
    text = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|none~2|"
    (cell,) = cells_of(space, space.parse(text))
    assert [name for name, _ in cell.nodes] == ["input 0", "node1", "node2", "node3"]
    tokens = {"skip": "skip_connect"}
    named = re.findall(r"([a-z0-9_]+)~\d", text)
    labels = {arc.decision: tokens.get(arc.label, arc.label) for arc in cell.arcs}
    order = [d.name for d in space.decisions]
    assert order == ["edge10", "edge20", "edge21", "edge30", "edge31", "edge32"]
    assert [labels[at] for at in range(6)] == named
    assert [arc.there for arc in cell.arcs] == [label != "none" for label in named]


def test_a_genotype_of_darts_has_two_cells_whose_nodes_read_two_states():
    space = spaces.space("darts")
    cells = cells_of(space, space.sample(1, seed=3)[0])
    assert len(cells) == 2  # normal and reduction
    for cell, own in zip(cells, (range(4), range(4, 8)), strict=True):
        assert [name for name, _ in cell.nodes] == [
            "input 0", "input 1", "node2", "node3", "node4", "node5", "output"
        ]  # fmt: skip
        chosen = [arc for arc in cell.arcs if arc.label]
        assert sorted(arc.decision for arc in chosen) == sorted([*own, *own])
        assert len([arc for arc in cell.arcs if not arc.label]) == 4  # the nodes joined


@pytest.mark.parametrize("name", ["nasbench201", "darts", "darts-s1", "nao"])
def test_arcs_lead_to_the_right_and_labels_do_not_meet(name):
    space = spaces.space(name)
    for arch in space.sample(3, seed=0):
        for cell in cells_of(space, arch):
            places = {(round(arc.x), round(arc.y)) for arc in cell.arcs}
            assert len(places) == len(cell.arcs)
            for arc in cell.arcs:
                start, end = (float(x) for x in re.match(r"M(\S+),.* (\S+),", arc.path).groups())
                assert start < end
            xs = [x for _, x in cell.nodes]
            assert xs == sorted(xs)
            assert np.ptp(xs) < cell.width


def test_a_chain_has_no_cells(small_space):
    assert cells_of(small_space, small_space.sample(1, seed=0)[0]) == ()
