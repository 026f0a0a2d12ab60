"""Chains of small workloads, and the slope."""

import pytest

from hwnas import spaces
from hwnas.costs import graph_macs, graph_params
from hwnas.latency_tables import Measurement
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers.chain import chained, slope
from hwnas.profilers.measuring import CHAIN, chain_length, chains
from hwnas.testing import SyntheticRuntime


def measured(ms, error=0.01):
    return Measurement(ms, error, 0.9 * ms, 1.2 * ms, 100)


def test_a_chain_is_as_much_work_as_its_links():
    workload = Workload(MBConv(5, 6), 24, 24, 1, 14, 14)
    one, four = workload.graph(), chained(workload, 4)
    assert graph_macs(four) == 4 * graph_macs(one)
    assert graph_params(four) == 4 * graph_params(one)
    assert four.nodes[-1].shape == one.nodes[-1].shape
    assert len(four.nodes) == 4 * (len(one.nodes) - 1) + 1
    assert len({node.name for node in four.nodes}) == len(four.nodes)


def test_a_chain_runs():
    model = to_onnx(chained(Workload(MBConv(3, 3), 8, 8, 1, 6, 6), 3))
    # a call, and three times the nodes and weights
    single = SyntheticRuntime().true_ms(to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 6, 6).graph()))
    call = SyntheticRuntime().call_ms
    assert SyntheticRuntime().true_ms(model) == pytest.approx(call + 3 * (single - call))


@pytest.mark.parametrize(
    "workload",
    [
        Workload(MBConv(3, 3), 8, 16, 1, 6, 6),  # other channels
        Workload(MBConv(3, 3), 8, 8, 2, 6, 6),  # another size
        Workload(MBConv(3, 6), 256, 256, 1, 112, 112),  # 10 G multiply-accumulates are not small
    ],
)
def test_what_cannot_or_need_not_be_chained(workload):
    assert chained(workload, 4) is None


def test_the_slope_is_free_of_what_a_model_pays_once():
    once, link, call = 0.030, 0.004, 0.002
    entry = slope(measured(once + link), measured(once + 4 * link), 4, measured(call))
    assert entry.latency_ms == pytest.approx(call + link)
    # errors of 1 % of 0.034 and 0.046, over three links
    expected = (0.00034**2 + 0.00046**2) ** 0.5 / 3 / (call + link)
    assert entry.relative_error == pytest.approx(expected)
    assert entry.p10_ms == pytest.approx(0.9 * entry.latency_ms)
    assert slope(measured(1.0), measured(0.9), 4, measured(call)) == measured(1.0)


def test_in_cells_small_workloads_are_measured_in_a_row_on_every_runtime(small_space):
    cells, cpu = spaces.space("nasbench201", input_size=8), SyntheticRuntime()
    assert chain_length(cpu, small_space) == 1
    links = chain_length(cpu, cells)
    assert links > 1
    rows = chains(cells.distinct_workloads, links)
    fit = [w for w in cells.distinct_workloads if chained(w, links) is not None]
    assert list(rows) == [CHAIN + w.key for w in fit]
    assert {type(w.op).__name__ for w in fit} == {"AvgPool", "ReLUConvBN"}
    assert chains(cells.distinct_workloads, 1) == {}
