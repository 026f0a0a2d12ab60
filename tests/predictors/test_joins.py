"""Joins between workloads, and operators that no runtime runs, in the predictions of a table."""

from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.latency_tables import Measurement
from hwnas.predictors import load_predictor
from hwnas.predictors.joins import JoinedBytes
from hwnas.profilers import profile_space
from hwnas.testing import SyntheticRuntime, check_predictor

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=2)
S1 = spaces.space("darts-s1", input_size=8, classes=3, channels=4, cells=3)
NAO = spaces.space("nao", input_size=8, classes=3, channels=4, repeats=1)
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+" + (
    "|skip_connect~0|skip_connect~1|skip_connect~2|"
)


def test_bytes_of_sums_and_concatenations() -> None:
    # two terms of node 2 and three of node 3: three additions a cell, each of three maps of floats;
    # 2 cells of 4 channels at 8x8, of 8 at 4x4 and of 16 at 2x2
    values = 2 * (4 * 64 + 8 * 16 + 16 * 4)
    arch = CELLS.parse(SKIPS)
    assert JoinedBytes(CELLS)(arch[None]) == 3 * 3 * 4 * values
    one = CELLS.parse(SKIPS.replace("|skip_connect~2|", "|none~2|"))
    # node 2 leads nowhere: two terms of node 3 are left
    assert JoinedBytes(CELLS)(one[None]) == 1 * 3 * 4 * values
    # node 1 is zeros, and so is node 2; two convolutions of zeros and the identity are added
    constant = np.array([[0, 0, 1, 1, 3, 3]])
    assert JoinedBytes(CELLS)(constant) == 2 * 3 * 4 * values
    assert not JoinedBytes(CELLS)(CELLS.live(constant)).any()
    # where node 3 adds a convolution of the image, that takes the constants in
    assert not JoinedBytes(CELLS)(np.array([[0, 0, 1, 3, 3, 3]])).any()
    # four nodes of two terms, and a concatenation of them that reads and writes all
    nodes = 4 * 64 + 8 * 16 + 16 * 4
    archs = S1.sample(3, seed=0)
    assert JoinedBytes(S1)(archs).tolist() == [4 * (4 * 3 + 4 * 2) * nodes] * 3
    chain = spaces.space("proxyless")
    assert not JoinedBytes(chain)(chain.sample(2, seed=0)).any()


@pytest.mark.parametrize("space", [CELLS, S1, NAO], ids=lambda space: space.name)
def test_joins_are_learned_from_whole_networks(space: spaces.SearchSpace, plan) -> None:
    table = profile_space(space, SyntheticRuntime(noise=0.0, spell=1.0, outliers=0.0), plan=plan)
    call_ms = table.call.latency_ms
    archs = space.sample(80, seed=5)
    archs = archs[space.connected(archs)]

    def alone(arch: np.ndarray) -> float:
        parts = (w for w in space.workloads(space.live(arch)) if not w.op.no_op)
        return sum(table.latency_ms(w) - call_ms for w in parts)

    sums = np.array([alone(arch) for arch in archs])
    joined = JoinedBytes(space)(archs)
    truth = call_ms + 0.9 * sums + 0.2 * sums.mean() * joined / joined.mean()
    known = {
        space.format(arch): Measurement(ms, 0.001, ms, ms, 9)
        for arch, ms in zip(archs[:15], truth, strict=False)
    }
    predictor = load_predictor(replace(table, networks=known), space)
    error = np.abs(predictor.predict(archs[15:]) / truth[15:] - 1)
    scaled = sums[15:] * np.mean(truth[:15] / sums[:15])
    assert error.mean() < 0.02
    assert error.mean() < np.abs(scaled / truth[15:] - 1).mean() / 2
    check_predictor(predictor, space)


def test_dead_operators_take_no_time(plan) -> None:
    table = profile_space(CELLS, SyntheticRuntime(), plan=plan)
    predictor = load_predictor(table, CELLS)
    dead = CELLS.parse(SKIPS)
    dead[:] = 3, 3, 3, 0, 2, 0  # what leads to node 2 leads nowhere
    live = CELLS.live(dead)[0]
    assert predictor.predict(dead) == predictor.predict(live)
    assert predictor.predict([3, 3, 3, 0, 2, 2]) > predictor.predict(dead)
    assert not predictor.additive
    assert CELLS.macs(dead) > CELLS.macs(live)


def test_a_profile_measures_networks_that_have_a_path(plan) -> None:
    for seed in range(3):
        table = profile_space(CELLS, SyntheticRuntime(), plan=plan, seed=seed, n_networks=60)
        archs = np.stack([CELLS.parse(name) for name in table.networks])
        assert CELLS.connected(archs).all()
