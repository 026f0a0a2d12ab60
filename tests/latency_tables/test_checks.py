"""What a check marks, how long it takes, and what of it is only noise."""

import time
from dataclasses import replace

import numpy as np

from hwnas.latency_tables import Conditions, Measurement, check_table, only_noise
from hwnas.ops import MBConv, Workload


def entry(ms, relative_error=0.01):
    return Measurement(ms, relative_error, 0.99 * ms, 1.01 * ms, 50)


def with_workloads(table, ms):
    return replace(table, workloads={w.key: entry(value) for w, value in ms.items()})


def random_bottlenecks(count, shapes, seed=0):
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        op = MBConv(2 * int(rng.integers(1, 40)) + 1, int(rng.integers(1, 40)))
        workload = Workload(op, 16, 8 * int(rng.integers(1, shapes + 1)), 1, 8, 8)
        found[workload] = float(rng.uniform(0.1, 1.0))
    return found


def inverted(ms):
    """Larger -> the smaller ones that take more, from every pair."""
    found = {}
    for small, small_ms in ms.items():
        for large, large_ms in ms.items():
            same = (small.out_channels == large.out_channels) and small.op != large.op
            grown = large.op.kernel >= small.op.kernel and large.op.expand >= small.op.expand
            if same and grown and large_ms < small_ms * 0.9:
                found.setdefault(large.key, []).append((small_ms, small.key))
    return found


def test_each_inverted_entry_is_named_once_with_the_slowest_of_those_that_do_less(small_table):
    ms = random_bottlenecks(60, 3)
    wanted = inverted(ms)
    found = {
        f.entry: f.problem
        for f in check_table(with_workloads(small_table, ms))
        if ", but " in f.problem
    }
    assert found.keys() == wanted.keys()
    for key, smaller in wanted.items():
        assert max(smaller)[1] in found[key]
        others = len(smaller) - 1
        assert (f", as do {others} others" in found[key]) == (others > 0)


def test_thousands_of_workloads_are_checked_in_a_moment(small_table):
    spread = with_workloads(small_table, random_bottlenecks(3000, 200))
    alike = with_workloads(small_table, random_bottlenecks(1500, 1))
    start = time.process_time()
    check_table(spread)
    check_table(alike)
    assert time.process_time() - start < 1.5


def loosened(table, count):
    longest = sorted(table.workloads, key=lambda key: -table.workloads[key].latency_ms)
    some = longest[:count]  # of what takes no time at all, a loose median is not told
    loose = {key: replace(table.workloads[key], relative_error=0.05) for key in some}
    return replace(table, workloads={**table.workloads, **loose})


def test_a_few_loose_entries_are_the_noise_of_any_profile(small_table):
    ordinary = loosened(small_table, 3)
    assert len(check_table(ordinary)) >= 3
    assert only_noise(ordinary, check_table(ordinary))
    noisy = loosened(small_table, len(small_table.workloads))
    assert not only_noise(noisy, check_table(noisy))


def test_what_is_no_noise_is_never_ordinary(small_table):
    unknown = replace(small_table, workloads={**small_table.workloads, "a": entry(1.0)})
    refused = replace(small_table, unmeasured={"a": "too large"})
    alone = replace(small_table, networks={})
    held_back = replace(
        small_table,
        provenance=replace(
            small_table.provenance, conditions=Conditions("1", "12", 10, 5, 3, states=())
        ),
    )
    for table in (unknown, refused, alone, held_back):
        assert not only_noise(table, check_table(table))
