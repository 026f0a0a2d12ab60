"""The methods that ship keep what methods promise, and broken promises are seen."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.search.methods import amended_darts, betanas, nao, spos
from hwnas.search.settings import setting
from hwnas.search.shared_settings import TrainingSettings
from hwnas.testing import check_method

pytestmark = pytest.mark.usefixtures("few_random_paths")
FEW = {"calibration_images": 64, "validation_images": 100}
SMALL = {
    spos: spos.Settings(**FEW, steps=8, batch_size=16, population=6, generations=2, parents=3),
    betanas: betanas.Settings(**FEW, steps=14, batch_size=16, alpha_batch=16, alpha_lr=0.2),
    amended_darts: amended_darts.Settings(
        **FEW,
        steps=8,
        batch_size=16,
        alpha_batch=16,
        alpha_every=2,
        alpha_lr=0.1,
        cutout=3,
        path_drop=0.1,
    ),
    nao: nao.Settings(
        **FEW,
        steps=9,
        batch_size=16,
        pool=12,
        proposals=6,
        starts=4,
        maps=2,
        map_steps=10,
        ascent_steps=2,
    ),
}


@pytest.mark.parametrize("method", SMALL, ids=lambda method: method.__name__.split(".")[-1])
def test_methods_that_ship(method):
    check_method(method, settings=SMALL[method])


def test_finalists_and_bins_are_killed_too():
    settings = replace(SMALL[spos], finalists=2, finalist_steps=4, sampler="constraint")
    check_method(spos, settings=settings)


# Promises that are broken: what is seen, and in which words


def broken(**parts):
    """SPOS with other parts."""
    whole = {"Settings": spos.Settings, "check": spos.check, "search": spos.search}
    return SimpleNamespace(**{**whole, **parts})


def fails(method, complaint, settings=SMALL[spos]):
    with pytest.raises(AssertionError, match=complaint):
        check_method(method, settings=settings)


@dataclass
class Thawed:
    steps: int = setting(3, "Steps.")


@dataclass(frozen=True)
class Mute:
    steps: int = setting(3, " ")


@dataclass(frozen=True)
class Unmade:
    steps: int = 3


@dataclass(frozen=True)
class Wrong:
    steps: int = setting("many", "Steps.")


@dataclass(frozen=True)
class Shared:
    workers: int = setting(3, "Workers.")


@dataclass(frozen=True)
class Doubled:
    steps: int = setting(3, "Steps.")
    length: int = setting(3, "Length.", flag="--steps")


@dataclass(frozen=True)
class Broken:
    steps: int = setting(3, "Steps.")

    def __post_init__(self):
        raise OptionError("never")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (dict, "Settings of the method .* are a frozen dataclass"),
        (Thawed, "not frozen"),
        (Mute, "steps has no line of help"),
        (Unmade, "fields that `setting` did not make: steps"),
        (Wrong, "the default of steps is not allowed"),
        (Shared, "every search has workers"),
        (Doubled, "two settings have one flag: --steps"),
        (Broken, r"Settings\(\) do not work: never"),
    ],
)
def test_settings(settings, complaint):
    fails(broken(Settings=settings), complaint)


def test_parts():
    fails(SimpleNamespace(Settings=spos.Settings, search=spos.search), "lacks check")


def refuses(problem, settings):
    raise OptionError("not today")


def trains(problem, settings):
    problem.data.train_batch(0, 8, 0)
    return settings


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        (lambda problem, settings: None, "check returns None"),
        (refuses, "check refuses a feasible problem: not today"),
        (trains, "check trains"),
    ],
)
def test_check(check, complaint):
    fails(broken(check=check), complaint)


def unfinished(context, settings):
    return {"architecture": "k3e3"}


def another(context, settings):
    return {**spos.search(context, settings), "accuracy": 2.0}


def forgetful(context, settings):
    content = spos.search(context, settings)
    del content["predicted_ms"]
    context.run.write_json("result.json", content)
    return content


@pytest.mark.parametrize(
    ("search", "complaint"),
    [
        (unfinished, "search writes no result.json"),
        (another, "search returns another result.json"),
        (forgetful, "result.json lacks predicted_ms"),
    ],
)
def test_result(search, complaint):
    fails(broken(search=search), complaint)


def conclude_first(context, settings, *, attempts=1, budget=True):
    """A method that trains nothing and takes what it draws, measured or not."""
    from hwnas.search.candidates.verification import Winner
    from hwnas.supernet import Supernet

    problem, space = context.problem, context.problem.space
    evaluation = context.evaluator(Supernet(problem.proxy, sharing="slices", seed=problem.seed))
    rng = np.random.default_rng(problem.seed)
    drawn = problem.feasible.sample(50, rng) if budget else space.sample(50, seed=rng)
    archs = drawn[[problem.predictor.predict(drawn).argmax()]]  # the slowest of them
    accuracies = evaluation.accuracies(archs)
    arch = archs[accuracies.argmax()]
    name = space.format(arch)
    measured = {"latency_ms": problem.measure.latency_ms(name)} if attempts else None
    winner = Winner(arch, float(accuracies.max()), measured, attempts)
    return context.conclude(winner, evaluation, accuracies, {"method": "first"})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"attempts": 0}, "the result was not measured"),
        ({"attempts": 1}, "the device says .* ms, allowed are"),
        ({"attempts": 0, "budget": False}, "the result breaks a budget"),
    ],
)
def test_budgets(options, complaint):
    fails(broken(search=lambda c, s: conclude_first(c, s, **options)), complaint)


def test_what_breaks_a_budget_is_not_looked_at():
    def search(context, settings):
        from hwnas.supernet import Supernet

        problem = context.problem
        supernet = Supernet(problem.proxy, sharing="slices", seed=problem.seed)
        context.evaluator(supernet).accuracies(problem.space.sample(20, seed=0))
        return spos.search(context, settings)

    fails(broken(search=search), "that break a budget were evaluated")


def seeded(problem_of):
    """SPOS with another problem than it was given."""

    def search(context, settings):
        return spos.search(replace(context, problem=problem_of(context.problem)), settings)

    return broken(search=search)


def test_the_seed_is_used_and_nothing_else():
    fails(seeded(lambda p: replace(p, seed=0)), "the seed of the result is not the problem's")
    draws = iter(range(100, 200))
    fails(seeded(lambda p: replace(p, seed=next(draws))), "the same seed gives another result")


def test_a_killed_search_goes_on():
    def from_the_start(context, settings):
        for path in context.run.folder.glob("*"):
            if path.name not in ("config.json", "log.jsonl"):
                path.unlink()
        context.run.events.clear()
        return spos.search(context, settings)

    fails(broken(search=from_the_start), "a search that was killed starts over")

    def silently(context, settings):
        return spos.search(replace(context, progress=lambda *told: None), settings)

    fails(broken(search=silently), "progress was told 0 times")


def test_an_infeasible_budget_trains_nothing():
    class Before:
        """Trains in ``check``, where the budgets are infeasible."""

        Settings, search = TrainingSettings, None

        @staticmethod
        def check(problem, settings):
            try:
                _ = problem.feasible
            except InfeasibleBudgetError:
                problem.data.train_batch(0, 8, 0)
                raise
            return settings

    fails(Before, "an infeasible budget trains", TrainingSettings(steps=4, batch_size=8))
