"""A whole search by Balanced NAO on a small space: rounds, what it leaves, and what is refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from problems import Device, problem
from safetensors import safe_open

from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.search.context import Context
from hwnas.search.methods.nao import Settings, check
from hwnas.search.methods.nao import search as nao
from hwnas.search.runs.run import Run
from hwnas.spaces import space

QUICK = {
    **{"steps": 12, "batch_size": 16, "base_lr": 2e-3, "pool": 20, "proposals": 6, "starts": 5},
    **{"maps": 2, "map_steps": 20, "ascent_steps": 3},
}


@pytest.fixture(scope="module")
def searched(digits, deeper, deeper_predictor):
    limit = float(np.median(deeper_predictor.predict(deeper.sample(500, seed=0))))
    device = Device(deeper, deeper_predictor, 1.02)
    return problem(
        deeper, deeper_predictor, [f"latency<={limit}ms"], data=digits, measure=device, seed=1
    )


@pytest.fixture(scope="module")
def found(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found") / "run"
    return folder, nao(Context(searched, Run(folder, {})), Settings(**QUICK))


def test_the_rounds_are_the_pool_and_what_the_maps_proposed(found, searched):
    folder, result = found
    assert result["method"] == "nao"
    assert result["rounds"] == [20, 6, 6]
    events = list(Run(folder, {}).logged("evaluated"))
    names = [event["architecture"] for event in events]
    assert len(set(names)) == len(names) == 20 + 6 + 6 + 50
    archs = np.array([searched.space.parse(name) for name in names])
    assert searched.feasible.contains(archs).all()
    assert result["measured_ms"] <= searched.latency_limit_ms
    assert result["random_paths"]["count"] == 50


def test_the_most_accurate_of_all_is_measured_first(found):
    folder, _ = found
    events = Run(folder, {}).events
    first = next(at for at, event in enumerate(events) if event["event"] == "measured")
    known = {e["architecture"]: e["accuracy"] for e in events[:first] if e["event"] == "evaluated"}
    assert known[events[first]["architecture"]] == max(known.values())


def test_of_finalists_the_best_alone_is_measured_first(searched, found, tmp_path):
    folder, _ = found
    copied = shutil.copytree(folder, tmp_path / "run")
    (copied / "result.json").unlink(missing_ok=True)
    log = copied / "log.jsonl"  # goes on after the rounds, without what was measured
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if '"measured"' not in line))
    settings = Settings(**QUICK, finalists=3, finalist_steps=2)
    result = nao(Context(searched, Run(copied, {})), settings)
    assert len(result["finalists"]) == 3
    first = next(Run(copied, {}).logged("measured"))["architecture"]
    assert first == max(result["finalists"], key=result["finalists"].get)


def test_random_networks_are_evaluated_with_the_weights_of_the_last_round(found):
    folder, result = found
    events = list(Run(folder, {}).logged("evaluated"))
    last = sorted(event["accuracy"] for event in events[32:82])
    assert result["random_paths"]["most"] == last[-1]
    assert result["random_paths"]["least"] == last[0]


def test_the_map_is_kept_and_drawn(found, searched):
    folder, result = found
    assert result["files"]["map"] == "map.safetensors"
    assert (folder / result["files"]["map picture"]).stat().st_size > 10_000
    with safe_open(folder / "map.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["hwnas"])
        embedding = file.get_tensor("1.embedding.weight")
    assert about["space"] == searched.space.identifier
    assert about["scale"][0] < about["scale"][1]
    assert embedding.shape == (sum(searched.space.n_choices) + 1, 32)


def test_each_round_trains_its_share_of_the_steps(found):
    folder, _ = found
    steps = [event["step"] for event in Run(folder, {}).logged("trained")]
    assert {4, 8, 12} <= set(steps)
    assert steps == sorted(steps)


def test_small_networks_are_trained_as_often_only_if_asked(searched):
    from hwnas.search.methods.nao import _paths

    archs = searched.feasible.sample(200, np.random.default_rng(3))
    archs = archs[np.argsort(searched.proxy.params(archs))][[0, -1]]
    sizes, larger = searched.proxy.params(archs), archs[1]
    for sampler, share in (("proportional", sizes.max() / sizes.sum()), ("uniform", 0.5)):
        paths = _paths(searched, Settings(**QUICK, pool_sampler=sampler), archs)
        drawn = np.array([(paths.sample(step) == larger).all() for step in range(2000)])
        assert abs(drawn.mean() - share) < 5 * (0.25 / 2000) ** 0.5
    assert sizes.max() > 1.2 * sizes.min()


def test_sizes_are_those_that_networks_are_deployed_with():
    from hwnas.search.methods.nao import _paths

    proxy = space("nasbench201", input_size=16, channels=8, cells=1)
    cells = SimpleNamespace(space=space("nasbench201"), proxy=proxy, seed=1)
    archs = np.array([[1] * 6, [3] * 6])  # skips and 3x3 convolutions
    shares = {}
    for sampler in (Settings().pool_sampler, "proportional"):
        paths = _paths(cells, Settings(**QUICK, pool_sampler=sampler), archs)
        drawn = np.array([(paths.sample(step) == 3).all() for step in range(2000)])
        shares[sampler] = drawn.mean()
    # parameters of NAS-Bench-201 as published
    share = 1.531546 / (1.531546 + 0.073306)
    assert abs(shares["deployed"] - share) < 5 * (share * (1 - share) / 2000) ** 0.5
    assert shares["proportional"] < 0.9


def test_a_pool_that_is_too_large_is_refused_before_anything_trains(searched, deeper_predictor):
    with pytest.raises(OptionError, match=r"pool of 90000 is more than keep the budgets, \d+ were"):
        check(searched, Settings(**{**QUICK, "pool": 90_000}))
    none = problem(searched.space, deeper_predictor, ["latency<=0.000001ms"], data=searched.data)
    with pytest.raises(InfeasibleBudgetError):
        check(none, Settings(**QUICK))


def test_where_nothing_is_left_to_propose_all_is_trained_on(searched, deeper_predictor, tmp_path):
    latencies = np.sort(deeper_predictor.predict(searched.space.sample(3000, seed=0)))
    few = problem(
        *(searched.space, deeper_predictor, [f"latency<={latencies[40]}ms"]), data=searched.data
    )
    count = few.feasible.count
    assert 2 < count < 40
    quick = {**QUICK, "pool": count, "starts": 2, "steps": 3}  # one a round
    result = nao(Context(few, Run(tmp_path, {})), Settings(**quick))
    assert result["rounds"] == [count]
    assert result["architectures_evaluated"] == result["random_paths"]["count"] == count
    assert max(event["step"] for event in Run(tmp_path, {}).logged("trained")) == 3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"finalists": 21}, "finalists are among the pool's 20 architectures, got 21"),
        ({"starts": 21}, "starts are among the pool's 20 architectures, got 21"),
        ({"ascent_step": 0.0}, "ascent_step is a number above 0, got 0.0"),
        ({"rounds": 13}, "each round trains a step or more, got 13 rounds and 12 steps"),
        ({"pool": 1}, "pool is a whole number of at least 2, got 1"),
        ({"pool_sampler": "fair"}, "is one of deployed, proportional, uniform, got 'fair'"),
    ],
)
def test_wrong_settings_are_refused(wrong, says):
    with pytest.raises(OptionError, match=says):
        Settings(**{**QUICK, **wrong})
