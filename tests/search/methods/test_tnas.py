"""Both searches of TNAS on a small space, against a synthetic device."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from problems import Device, Unseen, problem

from hwnas.errors import CheckpointError, OptionError
from hwnas.search.candidates.evaluation import calibration_images
from hwnas.search.context import Context
from hwnas.search.methods import METHODS, tnas_g, tnas_os
from hwnas.search.runs.run import CHECKPOINT, Run
from hwnas.search.settings import stored
from hwnas.spaces import space
from hwnas.testing import check_method

pytestmark = pytest.mark.usefixtures("few_random_paths")
TRAINED = {
    **{"steps": 40, "batch_size": 16, "base_lr": 2e-3, "rounds": 4},
    **{"metric_share": 1.0, "vae_steps": 5, "top_share": 1.0},
}
SMALL = {
    "tnas-os": tnas_os.Settings(**TRAINED, population=6, generations=2, parents=3, eps_inc=0.5),
    "tnas-g": tnas_g.Settings(**TRAINED, alpha_batch=16, alpha_lr=0.1),
}
BOTH = pytest.mark.parametrize("name", SMALL)
#: With as many images a step as pay for four evaluations a round.
DIGITS = {name: replace(settings, batch_size=128) for name, settings in SMALL.items()}


class Counted(Unseen):
    """Data whose images can be counted, and which draws no batches of validation images."""

    def calibration(self, count):
        return np.zeros((count, *self.input_shape), np.float32)

    def validation(self):
        yield self.calibration(100), np.zeros(100, np.int64)


@pytest.fixture(scope="module")
def limit(deeper, deeper_predictor):
    return float(np.median(deeper_predictor.predict(deeper.sample(500, seed=0))))


@pytest.fixture(scope="module")
def asked(deeper, deeper_predictor, digits, limit):
    device = Device(deeper, deeper_predictor)
    return problem(deeper, deeper_predictor, [f"latency<={limit}ms"], data=digits, measure=device)


@pytest.fixture(scope="module")
def found(asked, tmp_path_factory):
    """Folder and result of a search by each method."""
    results = {}
    for name, settings in DIGITS.items():
        run = Run(tmp_path_factory.mktemp(name) / "run", {})
        results[name] = run.folder, METHODS.get(name).search(Context(asked, run), settings)
    return results


def logged(folder, kind):
    return list(Run(folder, {}).logged(kind))


@BOTH
def test_it_keeps_what_methods_promise(name):
    check_method(METHODS.get(name), settings=SMALL[name])


def test_tnas_os_keeps_it_with_several_balanced_paths_a_step():
    grouped = replace(SMALL["tnas-os"], steps=20, paths=2, sampler="balanced")
    check_method(tnas_os, settings=grouped)


def test_a_step_trains_each_choice_once_where_the_vae_draws_nothing(asked, tmp_path, monkeypatch):
    from hwnas.search import supernet_training

    trained, train_path = [], supernet_training.train_path

    def spied(supernet, optimizer, batch, archs, *rest, **more):
        trained.append(archs)
        return train_path(supernet, optimizer, batch, archs, *rest, **more)

    monkeypatch.setattr(supernet_training, "train_path", spied)
    most = max(asked.proxy.n_choices)
    settings = replace(
        DIGITS["tnas-os"], steps=4, rounds=1, eps_inc=0.0, paths=most, sampler="balanced"
    )
    tnas_os.search(Context(asked, Run(tmp_path, {})), settings)
    assert [archs.shape for archs in trained] == [(most, len(asked.proxy.n_choices))] * 4
    for column, count in zip(np.concatenate(trained).T, asked.proxy.n_choices, strict=True):
        turns = column[: len(column) // count * count].reshape(-1, count)
        assert (np.sort(turns) == np.arange(count)).all()


def test_what_tnas_os_took_before_is_stored_as_it_was():
    assert not {"paths", "sampler"} & stored(tnas_os.Settings()).keys()
    several = stored(tnas_os.Settings(paths=5, sampler="balanced"))
    assert (several["paths"], several["sampler"]) == (5, "balanced")
    with pytest.raises(OptionError, match="sampler is one of uniform, balanced, got 'feasible'"):
        tnas_os.Settings(sampler="feasible")
    with pytest.raises(OptionError, match="paths is a whole number of at least 1, got 0"):
        tnas_os.Settings(paths=0)


@BOTH
def test_it_ends_measured_within_the_budget(found, name, limit):
    folder, result = found[name]
    assert result["method"] == name
    assert result["measured_ms"] == result["predicted_ms"] <= limit
    assert json.loads((folder / "result.json").read_text()) == result
    assert all((folder / file).stat().st_size > 1000 for file in result["files"].values())


@BOTH
def test_the_vae_learns_in_rounds_that_the_training_pays_for(found, name, digits):
    folder, result = found[name]
    rounds = logged(folder, "vae")
    images = len(calibration_images(digits)) + digits.validation_count
    each = int(40 * 3 * 128 / images) // 4
    assert each == 4
    assert result["vae"]["architectures_evaluated"] == 4 * each
    assert [e["step"] for e in rounds] == [8, 16, 24, 32]
    # all of a round are learned, and 10 are needed: from the third round on
    rate = {"tnas-os": 0.5, "tnas-g": 1.0}[name]
    assert [e["eps"] for e in rounds] == [0, 0, 0, min(1.0, 3 * rate)]
    assert rounds[-1]["of_vae"] == 4
    assert result["vae"]["eps"] == 1.0


def test_tnas_os_evolves_from_what_the_vae_draws(found, few_random_paths):
    folder, result = found["tnas-os"]
    # random ones, the VAE's 6, and one generation of 6, unless some were met before
    assert 0 < result["architectures_evaluated"] - few_random_paths <= 12
    accuracies = {e["architecture"]: e["accuracy"] for e in logged(folder, "evaluated")}
    assert result["accuracy"] == max(accuracies.values())
    assert min(accuracies.values()) <= result["vae"]["drawn_mean"] <= result["accuracy"]


def test_tnas_g_ends_with_the_most_probable_within_the_budget(
    found, deeper, deeper_predictor, limit
):
    folder, result = found["tnas-g"]
    last = logged(folder, "alpha")[-1]
    every = np.stack(np.meshgrid(*map(np.arange, deeper.n_choices), indexing="ij"), -1)
    every = every.reshape(-1, len(deeper.n_choices))
    kept = every[deeper_predictor.predict(every) <= limit]
    alphas = [np.array(row, float) for row in last["alpha"]]
    sums = sum(row[kept[:, at]] for at, row in enumerate(alphas))
    chosen = sum(
        row[c] for row, c in zip(alphas, deeper.parse(result["architecture"]), strict=True)
    )
    assert chosen == pytest.approx(sums.max(), abs=1e-3)  # the log is rounded
    assert np.ptp(np.concatenate([row[np.isfinite(row)] for row in alphas])) > 0
    # each path trained a choice of each decision, 40 times
    assert [sum(row) for row in last["trained"]] == [40] * len(alphas)


def test_a_checkpoint_of_another_method_is_refused(found, asked, tmp_path):
    run = Run(tmp_path, {})
    (tmp_path / CHECKPOINT).write_bytes((found["tnas-g"][0] / CHECKPOINT).read_bytes())
    with pytest.raises(CheckpointError, match=r"holds a training of .*tnas-g.*not of") as error:
        tnas_os.search(Context(asked, run), DIGITS["tnas-os"])
    assert "\n" not in str(error.value)


@BOTH
def test_a_checkpoint_of_another_space_is_refused(found, name, tiny, digits, asked, tmp_path):
    from hwnas.predictors import load_predictor
    from hwnas.profilers import Plan, profile_space
    from hwnas.testing import SyntheticRuntime

    plan = Plan(tolerance=1.0, min_runs=20, max_runs=20)
    table = profile_space(tiny, SyntheticRuntime(), plan=plan)
    other = problem(tiny, load_predictor(table, tiny), ["macs<=1G"], data=digits)
    run = Run(tmp_path, {})
    (tmp_path / CHECKPOINT).write_bytes((found[name][0] / CHECKPOINT).read_bytes())
    with pytest.raises(CheckpointError, match="give another --out") as error:
        METHODS.get(name).search(Context(other, run), DIGITS[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("eps_inc", [-0.1, 1.5, float("nan")])
def test_eps_inc_is_a_share(eps_inc):
    with pytest.raises(OptionError, match="eps_inc is a number of at least 0 up to 1, got"):
        tnas_os.Settings(eps_inc=eps_inc)


@BOTH
def test_a_share_of_nothing_is_refused(name):
    with pytest.raises(OptionError, match="metric_share is a number above 0 up to 1, got 0"):
        METHODS.get(name).Settings(metric_share=0.0)


@BOTH
def test_rounds_that_the_training_does_not_pay_for_are_refused_before_there_is_a_run(name, asked):
    method, few = METHODS.get(name), replace(SMALL[name], steps=4, metric_share=0.01)
    with pytest.raises(OptionError, match="4 rounds need 4 evaluations and steps"):
        method.check(asked, few)
    assert method.check(asked, DIGITS[name]) == DIGITS[name]


def test_tnas_g_needs_validation_images(deeper, deeper_predictor, limit):
    unseen = problem(deeper, deeper_predictor, [f"latency<={limit}ms"], data=Unseen(deeper))
    with pytest.raises(OptionError, match="tnas-g trains alpha on validation images"):
        tnas_g.check(unseen, SMALL["tnas-g"])
    seen = replace(unseen, data=Counted(deeper))
    assert tnas_os.check(seen, DIGITS["tnas-os"]) is DIGITS["tnas-os"]


def test_tnas_g_refuses_choices_that_say_what_is_read_before_it_trains(digits):
    cells = space("darts", input_size=8, channels=4, cells=3)
    asked = SimpleNamespace(proxy=cells, space=cells, data=digits)
    with pytest.raises(OptionError, match="tnas-g needs an operator for each choice, and choices"):
        tnas_g.check(asked, tnas_g.Settings())
