"""Twins: cells that differ in the order of their inner nodes alone."""

from itertools import product

import numpy as np

from hwnas import spaces

SPACE = spaces.space("nasbench201")
EVERY = np.array(list(product(range(5), repeat=6)))


def test_twins_of_nasbench201_have_nodes_1_and_2_swapped_and_no_edge_between_them():
    cell = SPACE.layout.cell
    canonical = cell.canonical(EVERY)
    groups = {}
    for arch, key in zip(EVERY.tolist(), canonical.tolist(), strict=True):
        groups.setdefault(tuple(key), []).append(tuple(arch))
    for key, twins in groups.items():
        assert key == min(twins)
        # edges are 10, 20, 21, 30, 31, 32
        e10, e20, e21, e30, e31, e32 = key
        swapped = (e20, e10, 0, e30, e32, e31) if e21 == 0 else key
        assert set(twins) == {key, swapped}
    # 5^5 cells without the edge, of which 5^3 are their own twins
    assert sum(len(twins) == 2 for twins in groups.values()) == (5**5 - 5**3) // 2


def test_twins_cost_the_same():
    cell = SPACE.layout.cell
    assert np.array_equal(SPACE.macs(EVERY), SPACE.macs(cell.canonical(EVERY)))
    assert np.array_equal(SPACE.connected(EVERY), SPACE.connected(cell.canonical(EVERY)))
