"""Events of a log as scalars for TensorBoard: each once, whatever was resumed."""

import json
import math
import sys
from types import ModuleType

import pytest

import hwnas
from hwnas import spaces
from hwnas.cli import group
from hwnas.cli.errors import guarded
from hwnas.errors import MissingPackageError
from hwnas.search.options import UNIMPORTANT, SearchOptions
from hwnas.search.runs.run import Run
from hwnas.search.runs.tensorboard import Scalars, tensorboard
from hwnas.search.settings import stored


def scalars_of(*events):
    scalars = Scalars()
    return [
        (s.tag, s.value, s.step, s.seconds)
        for event in events
        for s in scalars({"seconds": 0.0, **event})
    ]


def test_numbers_of_an_event_are_scalars_at_its_step():
    assert scalars_of(
        {"event": "start"},
        {"event": "trained", "seconds": 2.0, "step": 50, "loss": 2.25, "lr": 0.1},
        {"event": "epoch", "seconds": 3.0, "step": 60, "converged": True, "change": 0.5},
        {"event": "own", "seconds": 4.0, "words": "x", "runs": [1.0, 2.0], "count": 7},
    ) == [
        ("trained/loss", 2.25, 50, 2.0),
        ("trained/lr", 0.1, 50, 2.0),
        ("epoch/change", 0.5, 60, 3.0),
        ("own/count", 7.0, 1, 4.0),
    ]


def test_accuracies_are_counted_and_their_best_is_kept():
    evaluated = [{"event": "evaluated", "accuracy": value} for value in (0.5, 0.75, 0.25)]
    found = scalars_of(*evaluated)
    assert [s[1:3] for s in found if s[0] == "evaluated/accuracy"] == [
        *((0.5, 1), (0.75, 2), (0.25, 3))
    ]
    assert [s[1:3] for s in found if s[0] == "evaluated/best"] == [(0.5, 1), (0.75, 2), (0.75, 3)]


def test_of_an_own_metric_the_metric_is_shown_and_not_the_score():
    error = {"metric": {"name": "miles off", "lower_is_better": True}}
    evaluated = [{"event": "evaluated", "accuracy": -far, **error} for far in (4.0, 2.0, 3.0)]
    tested = {"event": "tested alone", "step": 9, "validation": -1.5, "test": -1.75, **error}
    assert [s[:3] for s in scalars_of(*evaluated, tested)] == [
        *(("evaluated/miles off", 4.0, 1), ("evaluated/best", 4.0, 1)),
        *(("evaluated/miles off", 2.0, 2), ("evaluated/best", 2.0, 2)),
        *(("evaluated/miles off", 3.0, 3), ("evaluated/best", 2.0, 3)),
        *(("tested alone/validation", 1.5, 9), ("tested alone/test", 1.75, 9)),
    ]


def test_what_a_resumed_run_does_again_is_there_once_and_time_goes_on():
    found = scalars_of(
        {"event": "start"},
        {"event": "trained", "seconds": 10.0, "step": 1, "loss": 3.0},
        {"event": "trained", "seconds": 20.0, "step": 2, "loss": 2.0},
        {"event": "start"},
        {"event": "trained", "seconds": 5.0, "step": 2, "loss": 2.0},
        {"event": "trained", "seconds": 6.0, "step": 3, "loss": 1.0},
    )
    assert [s[1:] for s in found] == [(3.0, 1, 10.0), (2.0, 2, 20.0), (1.0, 3, 26.0)]


def test_what_no_file_holds_is_left_out():
    assert scalars_of({"event": "trained", "step": 3, "loss": math.nan, "lr": math.inf}) == []
    own = {"event": "own", "huge": 10**400, "far": -1e300, "good": 2}
    for step in (10**400, -1, "x", None):
        assert scalars_of(own | {"step": step}) == [("own/good", 2.0, 1, 0.0)]


def test_alphas_are_summed_up():
    """Of three decisions one is even between two, one is sure, one was pruned to one choice."""
    rows = [[1.0, 1.0, None], [0.0, -1000.0, None], [None, None, 5.0]]
    alpha = {"step": 9, "alpha": rows, "expected": [2.5], "beta": [0.1], "trained": [[1], [2], [3]]}
    found = {tag: value for tag, value, step, _ in scalars_of({"event": "alpha", **alpha})}
    assert found == {
        "alpha/expected 0": 2.5,
        "alpha/beta 0": 0.1,
        "alpha/choices": pytest.approx((2 + 2 + 1) / 3),
        "alpha/entropy": pytest.approx(math.log(2) / 3),
        "alpha/largest probability": pytest.approx((0.5 + 1 + 1) / 3),
    }


def test_a_listener_hears_what_was_and_what_comes_for_a_while(tmp_path):
    run = Run(tmp_path, {})
    run.log("trained", step=1, loss=2.0)
    heard = []
    with run.told_to(lambda event: heard.append(event["event"])):
        assert heard == ["start", "trained"]
        run.log("measured", architecture="x", latency_ms=1.0)
    run.log("trained", step=2, loss=1.0)
    assert heard == ["start", "trained", "measured"]
    assert list(run.events[-1].values())[2:] == [2, 1.0]


@pytest.fixture
def written(monkeypatch):
    """A writer that keeps what it is told: (folder, tag, value, step)."""
    points = []

    class SummaryWriter:
        def __init__(self, folder, flush_secs):
            self.folder = folder

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def add_scalar(self, tag, value, step, walltime):
            points.append((self.folder, tag, value, step))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return points


@pytest.fixture
def searched(tmp_path):
    """Searches among 60 networks of which all is known."""
    space = spaces.space("nasbench201")
    archs = space.sample(60, seed=0)
    rows = {space.format(a): 50 + m / 1e7 for a, m in zip(archs, space.macs(archs), strict=True)}
    path = tmp_path / "nb.csv"
    path.write_text("\n".join(["arch,accuracy", *(f"{a},{v}" for a, v in rows.items())]) + "\n")

    def search(**more):
        small = {"population": 6, "generations": 2, "parents": 2, "missing": "infeasible"}
        return hwnas.find_network(
            "nasbench201",
            None,
            ["macs<=150M"],
            accuracies=f"{path}:accuracy",
            out=tmp_path / "run",
            progress=lambda *_: None,
            **small,
            **more,
        )

    return search


def test_a_search_writes_what_it_evaluates_and_one_that_is_finished_may_be_asked_for_it(
    searched, written
):
    plain = searched()
    assert written == []
    config = json.loads((plain.folder / "config.json").read_text())
    events = Run(plain.folder, config).events
    before = (plain.folder / "result.json").read_bytes()
    searched(tensorboard=True)  # the same run: it changes nothing of the search
    assert (plain.folder / "result.json").read_bytes() == before
    accuracies = [e["accuracy"] for e in events if e["event"] == "evaluated"]
    told = [point for point in written if point[1] == "evaluated/accuracy"]
    assert [value for _, _, value, _ in told] == accuracies
    assert [step for *_, step in told] == [*range(1, len(accuracies) + 1)]
    assert {folder for folder, *_ in written} == {str(plain.folder / "tensorboard")}


def test_the_name_of_a_folder_does_not_hang_on_it():
    assert "tensorboard" in UNIMPORTANT
    assert "tensorboard" not in stored(SearchOptions())


def test_where_the_package_is_lacking_it_is_said_before_anything_is_done(
    searched, monkeypatch, tmp_path, capsys
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackageError, match="pip install tensorboard"):
        searched(tensorboard=True)
    assert not (tmp_path / "run").exists()
    for words in (
        ["search", "--latency", "9ms", "--tensorboard"],
        ["train", str(tmp_path), "--tensorboard"],
    ):

        def command(standalone_mode, words=words):
            return group(words, standalone_mode=standalone_mode)

        with pytest.raises(SystemExit) as left:
            guarded(command)
        assert left.value.code == 2
        said = capsys.readouterr().err
        assert "pip install tensorboard" in said
        assert said.count("\n") == 1


def test_a_file_of_a_resumed_run_holds_each_step_once(tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    for steps in ([1, 2], [3, 4]):
        run = Run(tmp_path, {})
        with tensorboard(run, True):
            for step in steps:
                run.log("trained", step=step, loss=1.0 / step)
    (file,) = (tmp_path / "tensorboard").iterdir()
    events = reader.EventAccumulator(str(file))
    events.Reload()
    points = [(point.step, point.value) for point in events.Scalars("trained/loss")]
    assert points == [(step, pytest.approx(1.0 / step)) for step in (1, 2, 3, 4)]
