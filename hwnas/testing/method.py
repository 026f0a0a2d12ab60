"""What a search method must do; `check_method` asserts it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hwnas.costs import Budget
from hwnas.errors import HwnasError, InfeasibleBudgetError
from hwnas.progress import Progress, silent
from hwnas.search.context import Context
from hwnas.search.job import filled
from hwnas.search.methods import Method, accept
from hwnas.search.options import SearchOptions
from hwnas.search.problem import Problem
from hwnas.search.runs.run import RESULT, WEIGHTS, Run
from hwnas.search.settings import fields_of, stored
from hwnas.spaces import SearchSpace
from hwnas.testing.small_problem import SlowDevice, batches_drawn, small_problem, small_space

__all__ = ["check_method"]

_KEYS = (
    *("method", "space", "architecture", "budget", "seed", "data", "deployed", "trained"),
    *("predicted_ms", "predicted_interval_ms", "measured_ms", "macs", "params", "bitops"),
    *("accuracy", "test_accuracy", "random_paths", "weights", "target", "files", "seconds"),
    *("measured", "verify", "networks_measured", "architectures_evaluated"),
)
#: What may differ between two searches that are the same.
_PASSING = ("seconds",)
#: More than any network of these checks is allowed to take.
_INFEASIBLE_MS = 1e-6


def check_method(
    method: Any, *, settings: Any = None, space: SearchSpace | None = None, seed: int = 0
) -> None:
    """Assert what `hwnas.find_network` and the command line rely on in a method.

    Its settings describe themselves and work; it keeps every budget, the measured one too, and
    looks at nothing that breaks one; it uses the seed and nothing else that is random; killed, it
    goes on and ends as it would have ended; nothing trains for an infeasible budget.

    The problem is tiny: synthetic images, and a device that takes the upper end of what was
    predicted, so that the first proposal often misses.

    Args:
        method: a module or object with ``Settings``, ``check`` and ``search``.
        settings: for the searches; small ones keep the check short. By default ``Settings()``.
        space: to be searched, one that is small; by default four blocks at 8 pixels.
        seed: of the problem.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    known = _accepted(method)
    _check_settings(known)
    problem = small_problem(small_space() if space is None else space, seed)
    chosen = filled(known.Settings() if settings is None else settings, problem.space)
    chosen = _checked(known, problem, chosen)
    with TemporaryDirectory() as folder:
        trial = _Trial(known, chosen, Path(folder))
        trial.refuses_infeasible(problem)
        whole, calls = trial.searched("whole", problem)
        trial.keeps_budgets(problem, whole)
        trial.goes_on(problem, whole, calls)
        other, _ = trial.searched("other", dataclasses.replace(problem, seed=seed + 1))
        assert other["seed"] == seed + 1, "the seed of the result is not the problem's"
        assert trial.weights("other") != trial.weights("whole"), "the seed is not used"


def _accepted(method: Any) -> Method:
    try:
        return accept(getattr(method, "__name__", "method"), method)
    except HwnasError as error:
        raise AssertionError(str(error)) from error


def _check_settings(method: Method) -> None:
    """Every field says what it is, and its default is one that it allows."""
    settings: Any = method.Settings
    assert settings.__dataclass_params__.frozen, "Settings are not frozen"
    fields = fields_of(settings)
    plain = {f.name for f in dataclasses.fields(settings)} - {f.name for f in fields}
    assert not plain, f"fields that `setting` did not make: {', '.join(sorted(plain))}"
    shared = {f.name for f in fields_of(SearchOptions)} & {f.name for f in fields}
    assert not shared, f"every search has {', '.join(sorted(shared))}: give it another name"
    for what in ("flag", "key"):
        names = [getattr(f, what) for f in fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        assert not twice, f"two settings have one {what}: {', '.join(twice)}"
    for field in fields:
        lines = field.help.strip().splitlines()
        assert len(lines) == 1, f"{field.name} has no line of help"
        value = tuple(field.default) if field.kind is list else field.default
        try:
            field.check(value)
        except HwnasError as error:
            raise AssertionError(f"the default of {field.name} is not allowed: {error}") from error
    try:
        settings()
    except (HwnasError, TypeError) as error:
        raise AssertionError(f"Settings() do not work: {error}") from error


def _checked(method: Method, problem: Problem, settings: Any) -> Any:
    """What ``check`` makes of the settings; it must neither refuse them nor train."""
    try:
        checked = method.check(problem, settings)
    except HwnasError as error:
        raise AssertionError(f"check refuses a feasible problem: {error}") from error
    assert isinstance(checked, method.Settings), f"check returns {checked!r}, no Settings"
    assert batches_drawn(problem) == 0, "check trains"
    return checked


class _Killed(BaseException):
    """What a kill is here."""


@dataclasses.dataclass
class _Trial:
    """Searches of one method, a folder each."""

    method: Method
    settings: Any
    folder: Path

    def searched(
        self, name: str, problem: Problem, kill_at: int | None = None
    ) -> tuple[dict[str, Any], int]:
        """The result of a search, and how often it told its progress; it may be killed at one."""
        calls = 0

        def tell(task: str, share: float, remark: str) -> None:
            nonlocal calls
            calls += 1
            if calls == kill_at:
                raise _Killed

        content = self._search(name, problem, tell)
        path = self.folder / name / RESULT
        assert path.exists(), f"search writes no {RESULT}: end with context.conclude"
        assert isinstance(content, dict), f"search returns {type(content).__name__}, no dict"
        written = json.loads(path.read_text())
        assert json.loads(json.dumps(content)) == written, f"search returns another {RESULT}"
        lacking = [key for key in _KEYS if key not in written]
        assert not lacking, f"{RESULT} lacks {', '.join(lacking)}"
        for what, file in written["files"].items():
            assert (path.parent / file).exists(), f"{what} is not there: {file}"
        return written, calls

    def _search(self, name: str, problem: Problem, progress: Progress) -> Any:
        run = Run(self.folder / name, {**stored(self.settings), "seed": problem.seed})
        return self.method.search(Context(problem, run, progress=progress), self.settings)

    def weights(self, name: str) -> bytes:
        """Those of the network that was found."""
        return (self.folder / name / WEIGHTS).read_bytes()

    def refuses_infeasible(self, problem: Problem) -> None:
        """A budget that nothing keeps is refused, by the problem or the method, before training."""
        none = [Budget("latency", _INFEASIBLE_MS), *problem.budgets[1:]]
        infeasible = dataclasses.replace(problem, budgets=none)
        try:
            self.method.check(infeasible, self.settings)
            self._search("infeasible", infeasible, silent)
        except InfeasibleBudgetError:
            assert batches_drawn(problem) == 0, "an infeasible budget trains"
        else:
            raise AssertionError("an infeasible budget is not refused")

    def keeps_budgets(self, problem: Problem, result: Mapping[str, Any]) -> None:
        """What was found, and all that was looked at on the way, keeps the budgets."""
        space, device = problem.space, problem.measure
        assert isinstance(device, SlowDevice)
        arch = space.parse(result["architecture"])
        assert problem.feasible.contains(arch[None])[0], "the result breaks a budget"
        limit, measured = problem.latency_limit_ms, result["measured_ms"]
        assert limit is not None
        assert measured is not None, "the result was not measured: end with context.verify"
        assert measured == device.latency_ms(result["architecture"]), "measured_ms is of another"
        assert measured <= limit, f"the device says {measured:.4f} ms, allowed are {limit:.4f}"
        run = Run(self.folder / "whole", {**stored(self.settings), "seed": problem.seed})
        seen = {e["architecture"] for kind in ("evaluated", "measured") for e in run.logged(kind)}
        assert result["architecture"] in seen, "the log does not hold the result"
        names = sorted(seen)
        kept = problem.feasible.contains(np.array([space.parse(name) for name in names]))
        wrong = [name for name, good in zip(names, kept, strict=True) if not good]
        assert not wrong, f"{len(wrong)} that break a budget were evaluated, such as {wrong[0]}"

    def goes_on(self, problem: Problem, whole: Mapping[str, Any], calls: int) -> None:
        """Killed twice, a search ends with the same result, and does not do all of it again.

        That this result is the same shows that the seed decides it, as well.
        """
        assert calls >= 8, f"progress was told {calls} times: tell it after every step"
        for kill_at in (calls // 2, calls // 4):
            try:
                self.searched("killed", problem, kill_at)
            except _Killed:
                continue
            raise AssertionError(f"a search ended before it told its progress {kill_at} times")
        result, told = self.searched("killed", problem)
        weights = self.weights("killed")
        if _differing(whole, result) or weights != self.weights("whole"):
            self.repeats(problem, whole)  # what is random is no fault of the kill
        _assert_equal(whole, result, "a search that was killed ends with another result")
        assert told < calls, "a search that was killed starts over"
        assert weights == self.weights("whole"), "killed: other weights"

    def repeats(self, problem: Problem, whole: Mapping[str, Any]) -> None:
        """An undisturbed search with the same seed ends with the same result."""
        again, _ = self.searched("again", problem)
        _assert_equal(whole, again, "the same seed gives another result")
        assert self.weights("again") == self.weights("whole"), "the same seed: other weights"


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    keys = [key for key in {**first, **second} if key not in _PASSING]
    return [key for key in keys if first.get(key) != second.get(key)]


def _assert_equal(first: Mapping[str, Any], second: Mapping[str, Any], what: str) -> None:
    differing = _differing(first, second)
    assert not differing, (
        f"{what}: {differing[0]} is {second.get(differing[0])!r}, was {first.get(differing[0])!r}"
    )
