"""Joins between workloads, and operators that no runtime runs, in the predictions of a table."""

from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.latency_tables import Measurement
from hwnas.ops.nasbench201 import AvgPool
from hwnas.predictors import load_predictor
from hwnas.predictors.joins import JoinedBytes
from hwnas.profilers import Plan, profile_space
from hwnas.testing import SyntheticRuntime, check_predictor

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=2)
S1 = spaces.space("darts-s1", input_size=8, classes=3, channels=4, cells=3)
NAO = spaces.space("nao", input_size=8, classes=3, channels=4, repeats=1)
FEW_RUNS = Plan(tolerance=1.0, min_runs=5, max_runs=5)
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+" + (
    "|skip_connect~0|skip_connect~1|skip_connect~2|"
)


def test_bytes_of_sums_and_concatenations() -> None:
    # two terms of node 2 and three of node 3: three additions a cell, each of three maps of floats;
    # 2 cells of 4 channels at 8x8, of 8 at 4x4 and of 16 at 2x2
    values = 2 * (4 * 64 + 8 * 16 + 16 * 4)
    addition = 3 * 4 * values

    def joined(*archs: object) -> list[list[float]]:
        return JoinedBytes(CELLS)(np.array(archs)).tolist()

    assert joined(CELLS.parse(SKIPS)) == [[3 * addition, 0]]
    one = CELLS.parse(SKIPS.replace("|skip_connect~2|", "|none~2|"))
    # node 2 leads nowhere: two terms of node 3 are left
    assert joined(one) == [[addition, 0]]
    # node 1 is zeros, and so is node 2; maps of two convolutions of zeros are added to the identity
    constant = [0, 0, 1, 1, 3, 3]
    assert joined(constant) == [[0, 2 * addition]]
    assert joined(*CELLS.live(constant)) == [[0, 0]]
    # a pooling makes zeros of zeros
    assert joined([0, 0, 1, 1, 4, 3]) == [[0, addition]]
    # where node 3 adds a convolution of the image, that takes the constants in
    assert joined([0, 0, 1, 3, 3, 3]) == [[0, 0]]
    # four nodes of two terms, and a concatenation of them that reads and writes all
    nodes = 4 * 64 + 8 * 16 + 16 * 4
    archs = S1.sample(3, seed=0)
    assert JoinedBytes(S1)(archs).tolist() == [[4 * (4 * 3 + 4 * 2) * nodes, 0]] * 3
    chain = spaces.space("proxyless")
    assert not JoinedBytes(chain)(chain.sample(2, seed=0)).any()


def test_equal_work_is_done_once() -> None:
    pool = CELLS.decisions[0].choices.index(AvgPool(3))
    archs = np.array([[pool, pool, 3, pool, pool, pool], [3, 3, 1, 3, pool, 0]])
    # three poolings of node 0 are one; convolutions have weights of their own
    once = [[pool, 0, 3, 0, pool, pool], [3, 3, 1, 3, pool, 0]]
    live = CELLS.live(archs)
    assert CELLS.executed(archs)[0].tolist() == once[0]
    assert CELLS.executed(archs)[1].tolist() == live[1].tolist()
    assert S1.executed(S1.sample(2, seed=0)).tolist() == S1.sample(2, seed=0).tolist()


@pytest.mark.parametrize("space", [CELLS, S1, NAO], ids=lambda space: space.name)
def test_joins_are_learned_from_whole_networks(space: spaces.SearchSpace) -> None:
    table = profile_space(
        space, SyntheticRuntime(noise=0.0, spell=1.0, outliers=0.0), plan=FEW_RUNS
    )
    call_ms = table.call.latency_ms
    archs = space.sample(100, seed=5)
    archs = archs[space.connected(archs)]

    def alone(arch: np.ndarray) -> float:
        parts = (w for w in space.workloads(space.executed(arch)[0]) if not w.op.no_op)
        return sum(table.latency_ms(w) - call_ms for w in parts)

    sums = np.array([alone(arch) for arch in archs])
    joined = JoinedBytes(space)(archs) @ [1, 3]  # a map is added in a layout of its own
    truth = call_ms + 0.9 * sums + 0.2 * sums.mean() * joined / joined.mean()
    known = {
        space.format(arch): Measurement(ms, 0.001, ms, ms, 9)
        for arch, ms in zip(archs[:30], truth, strict=False)
    }
    predictor = load_predictor(replace(table, networks=known), space)
    error = np.abs(predictor.predict(archs[30:]) / truth[30:] - 1)
    scaled = sums[30:] * np.mean(truth[:30] / sums[:30])
    assert error.mean() < 0.02
    assert error.mean() < np.abs(scaled / truth[30:] - 1).mean() / 2
    check_predictor(predictor, space)


def test_dead_operators_take_no_time() -> None:
    table = profile_space(CELLS, SyntheticRuntime(), plan=FEW_RUNS)
    predictor = load_predictor(table, CELLS)
    dead = CELLS.parse(SKIPS)
    dead[:] = 3, 3, 3, 0, 2, 0  # what leads to node 2 leads nowhere
    live = CELLS.live(dead)[0]
    assert predictor.predict(dead) == predictor.predict(live)
    assert predictor.predict([3, 3, 3, 0, 2, 2]) > predictor.predict(dead)
    assert not predictor.additive
    assert CELLS.macs(dead) > CELLS.macs(live)


def test_a_profile_measures_networks_that_have_a_path() -> None:
    for seed in range(3):
        table = profile_space(CELLS, SyntheticRuntime(), plan=FEW_RUNS, seed=seed, n_networks=60)
        archs = np.stack([CELLS.parse(name) for name in table.networks])
        assert CELLS.connected(archs).all()
