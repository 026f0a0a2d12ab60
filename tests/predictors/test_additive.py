import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from hwnas import spaces
from hwnas.errors import ArchitectureError, OptionError, TableTargetError, WorkloadNotInTableError
from hwnas.latency_tables import Measurement
from hwnas.predictors import additive, fill_gaps, load_predictor
from hwnas.spaces import SearchSpace
from hwnas.testing import check_predictor


@pytest.fixture(scope="module")
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


@pytest.fixture(scope="module")
def everything(small_space):
    return np.array(list(product(*(range(n) for n in small_space.n_choices))))


def test_conforms(predictor, small_space):
    check_predictor(predictor, small_space)


def test_is_the_scaled_sum_of_the_table_without_the_calls(predictor, small_table, small_space):
    arch = [0, 6, 3, 2]
    alone = [small_table.latency_ms(w) for w in small_space.workloads(arch) if not w.op.no_op]
    call_ms = small_table.call.latency_ms
    expected = call_ms + predictor.calibration.scale * (sum(alone) - len(alone) * call_ms)
    assert predictor.predict(arch)[0] == pytest.approx(expected, abs=5e-4 * expected)


def test_the_scale_is_the_mean_of_wholes_over_sums(small_table, small_space, predictor):
    call_ms = small_table.call.latency_ms
    wholes = {
        name: replace(m, latency_ms=call_ms + 1.5 * (m.latency_ms - call_ms))
        for name, m in small_table.networks.items()
    }
    slower = load_predictor(replace(small_table, networks=wholes), small_space)
    assert slower.calibration.scale == pytest.approx(1.5 * predictor.calibration.scale)
    assert slower.calibration.residual == pytest.approx(predictor.calibration.residual, rel=0.05)


def test_minimum_count_and_samples_agree_with_enumeration(predictor, everything):
    ms = predictor.predict(everything)
    arch, least = predictor.cost.minimum()
    assert least == ms.min() == predictor.predict(arch)[0]
    for limit in np.quantile(ms, [0.0, 0.01, 0.3, 0.9, 1.0]):
        within = predictor.cost.within(float(limit))
        assert within.count == (ms <= limit).sum()
        drawn = within.sample(500, np.random.default_rng(0))
        assert (predictor.predict(drawn) <= limit).all()


def test_expectation_is_the_mean_over_all_architectures_with_its_gradient(predictor, everything):
    rng = np.random.default_rng(0)
    choices = predictor.space.n_choices
    logits = [torch.tensor(rng.normal(size=n), requires_grad=True) for n in choices]
    probabilities = [torch.softmax(row, 0) for row in logits]
    value = predictor.expected(probabilities)
    joint = torch.ones(len(everything), dtype=torch.float64)
    for d, p in enumerate(probabilities):
        joint = joint * p[torch.from_numpy(everything[:, d])]
    mean = (joint * torch.from_numpy(predictor.predict(everything))).sum()
    assert value.item() == pytest.approx(mean.item(), rel=1e-13)
    got = torch.autograd.grad(value, logits, retain_graph=True)
    expected = torch.autograd.grad(mean, logits)
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_interval_covers_held_out_networks(small_table, small_space):
    rng = np.random.default_rng(1)
    inside = total = 0
    for seed in range(60):
        names = list(small_table.networks)
        noisy = {
            name: replace(m, latency_ms=m.latency_ms * float(np.exp(rng.normal(0, 0.03))))
            for name, m in small_table.networks.items()
        }
        held, *kept = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
        table = replace(small_table, networks={name: noisy[name] for name in kept})
        predictor = load_predictor(table, small_space)
        low, high = predictor.predict_interval(small_space.parse(held), 0.8)[0]
        inside += low <= noisy[held].latency_ms <= high
        total += 1
    assert 0.68 <= inside / total <= 0.92


def test_nasbench201_is_predicted_too(plan):
    from hwnas.profilers import profile_space
    from hwnas.testing import SyntheticRuntime

    space = spaces.space("nasbench201", input_size=16, cells=2, channels=8)
    table = profile_space(space, SyntheticRuntime(), plan=plan)
    check_predictor(load_predictor(table), space)


@pytest.mark.parametrize("rows", [3, 20_000])
def test_a_choice_that_does_not_exist_is_named(predictor, small_space, rows):
    archs = small_space.sample(rows, seed=0).astype(np.uint8)
    assert predictor.predict(archs).tolist() == predictor.predict(archs.astype(int)).tolist()
    archs[2, 1] = 7
    with pytest.raises(ArchitectureError, match="0 to 6, got 7 in architecture 2"):
        predictor.predict(archs)


def test_bad_input(small_table, small_space, predictor):
    with pytest.raises(OptionError, match="confidence lies between 0 and 1"):
        predictor.predict_interval([[0, 0, 0, 0]], 95)
    with pytest.raises(OptionError, match="one tensor of 6, 7, 6, 7 probabilities"):
        predictor.expected([torch.ones(6)])
    with pytest.raises(TableTargetError, match="needs 3 whole networks"):
        load_predictor(replace(small_table, networks={}))
    other = spaces.space("nasbench201")
    with pytest.raises(WorkloadNotInTableError, match="is not in the table"):
        load_predictor(small_table, other)
    foreign = {other.format([0] * 6): Measurement(1, 0, 1, 1, 1)}
    with pytest.raises(TableTargetError, match="of another space"):
        load_predictor(replace(small_table, networks=dict.fromkeys("abc", foreign.popitem()[1])))


def test_no_upper_end_exceeds_the_upper_cost(small_table, small_space):
    measured = load_predictor(small_table, small_space)
    archs = small_space.sample(300, seed=2)
    upper = measured.predict_interval(archs, 0.9)[:, 1]
    np.testing.assert_allclose(measured.upper_cost(0.9)(archs), upper, rtol=1e-4)

    known = dict(small_table.workloads)
    gaps = [known.popitem()[0] for _ in range(5)]
    table = fill_gaps(replace(small_table, workloads=known), small_space.distinct_workloads)
    estimated = load_predictor(table, small_space)
    assert estimated.estimated == len(gaps)
    upper = estimated.predict_interval(archs, 0.9)[:, 1]
    least = estimated.upper_cost(0.9)(archs)
    assert (least >= upper * (1 - 1e-4)).all()


class Gated(SearchSpace):
    """A space whose last block runs only where the one before it is not skipped."""

    additive = False

    def workloads(self, arch):
        whole = super().workloads(arch)
        if arch[2] != 6:
            return whole
        without = [*arch[:3], 6]
        return super().workloads(without)


def test_a_space_of_no_sums_is_predicted_by_the_workloads_that_run(
    small_table, small_space, everything
):
    gated = Gated(small_space.name, small_space.arguments, small_space.layout)
    known = dict(small_table.workloads)
    gaps = [known.popitem()[0] for _ in range(5)]
    table = fill_gaps(replace(small_table, workloads=known), small_space.distinct_workloads)
    plain, predictor = load_predictor(table, small_space), load_predictor(table, gated)
    assert plain.additive
    assert not predictor.additive
    assert predictor.estimated == len(gaps)
    run = everything.copy()
    run[everything[:, 2] == 6, 3] = 6
    np.testing.assert_allclose(predictor.predict(everything), plain.predict(run), rtol=1e-4)
    assert len(np.unique(predictor.predict(everything[everything[:, 2] == 6]))) <= 6 * 7
    np.testing.assert_allclose(
        predictor.predict_interval(everything, 0.9), plain.predict_interval(run, 0.9), rtol=1e-4
    )
    check_predictor(predictor, gated)
    with pytest.raises(OptionError, match="no sums over its decisions"):
        predictor.upper_cost(0.9)
    with pytest.raises(OptionError, match="no sums over its decisions"):
        predictor.lower_cost(0.9)


def test_intervals_of_very_many_take_little_more_than_themselves(
    small_table, small_space, monkeypatch
):
    predictor = load_predictor(small_table, small_space)
    archs = small_space.sample(100_000, seed=0).astype(np.uint8)
    whole = predictor.predict_interval(archs)
    monkeypatch.setattr(additive, "_ROWS", 4099)
    tracemalloc.start()
    parts = predictor.predict_interval(archs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(parts, whole)
    assert peak < parts.nbytes + 2**20


@pytest.mark.parametrize("kind", ["logits", "negative", "half of it", "nan"])
def test_what_does_not_add_up_to_one_is_no_probability(predictor, kind):
    given = [torch.full((n,), 1 / n) for n in predictor.space.n_choices]
    given[1] = {
        "logits": torch.randn(len(given[1]), generator=torch.Generator().manual_seed(0)).abs(),
        "negative": torch.tensor([-1.0, 2.0] + [0.0] * (len(given[1]) - 2)),
        "half of it": given[1] / 2,
        "nan": given[1] * torch.nan,
    }[kind]
    for expected in (predictor.expected, predictor.cost.expected):
        with pytest.raises(OptionError, match=r"have sum 1, got .* for decision 1"):
            expected(given)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rounding_is_no_error(predictor, dtype):
    torch.manual_seed(0)
    for _ in range(50):
        given = [torch.softmax(3 * torch.randn(n).to(dtype), 0) for n in predictor.space.n_choices]
        exact = [torch.softmax(p.double().log(), 0) for p in given]
        ms = float(predictor.expected(given))
        assert ms == pytest.approx(float(predictor.expected(exact)), rel=0.02)
