import json
import logging
from pathlib import Path

import pytest

from hwnas.devices import ProfileJob, profile_to_file, table_for, transfer_to_file
from hwnas.errors import CheckpointError, OptionError
from hwnas.latency_tables import LatencyTable
from hwnas.profilers import Plan
from hwnas.testing import SyntheticRuntime


def test_a_profile_is_kept_and_tells_its_progress(small_space, tmp_path):
    told = []
    path, table = profile_to_file(
        small_space,
        SyntheticRuntime(),
        ProfileJob(seconds=0.0, out=tmp_path / "t.json"),
        lambda *what: told.append(what),
    )
    assert path == tmp_path / "t.json"
    assert LatencyTable.load(path).to_json() == table.to_json()
    assert [at for at in tmp_path.iterdir() if at.suffix == ".partial"] == []
    assert told[-1][:2] == ("measuring", 1.0)


def test_a_table_is_measured_once_and_then_found_then_completed(small_space, five_classes, caplog):
    caplog.set_level(logging.INFO, "hwnas")
    runtime = SyntheticRuntime()
    path, table = table_for(small_space, runtime, "fp32", 1)
    assert "measuring one first" in caplog.text
    runs = runtime.runs
    again, same = table_for(small_space, runtime, "fp32", 1)
    assert (again, same.to_json()) == (path, table.to_json())
    assert runtime.runs == runs
    other, wider = table_for(five_classes, runtime, "fp32", 1)
    assert "lacks 1 workloads of this space: measuring them" in caplog.text
    assert wider.missing(five_classes.distinct_workloads) == []
    assert LatencyTable.load(other).to_json() == wider.to_json()


def test_a_transfer_needs_a_measured_table_of_the_same_space(small_space, five_classes, tmp_path):
    runtime = SyntheticRuntime(name="similar")
    _, source = profile_to_file(small_space, SyntheticRuntime(), ProfileJob(seconds=0.0))
    path, table = transfer_to_file(small_space, runtime, source, 10, ProfileJob())
    assert path.stem.endswith("-transferred")
    assert table.target.device == "similar"
    assert json.loads(path.read_text())["provenance"]["transfer"]["networks"] == len(table.networks)
    with pytest.raises(OptionError, match="is a transferred table itself: --from-table takes"):
        transfer_to_file(small_space, runtime, table, 10, ProfileJob())
    with pytest.raises(OptionError, match="lacks 1 workloads of proxyless, such as ConvHead"):
        transfer_to_file(five_classes, runtime, source, 10, ProfileJob())


class KilledError(Exception):
    pass


@pytest.fixture
def killed_at():
    """Makes the removal of a file whose name ends so a kill, until it is undone."""

    def kill(ending):
        patched = pytest.MonkeyPatch()
        unlink = Path.unlink

        def killed(path, missing_ok=False):
            if path.name.endswith(ending) and path.exists():
                raise KilledError
            unlink(path, missing_ok)

        patched.setattr(Path, "unlink", killed)
        return patched

    return kill


@pytest.mark.parametrize("where", [None, "t.json"])
def test_a_profile_killed_after_it_was_saved_counts_once(small_space, tmp_path, killed_at, where):
    job = ProfileJob(seconds=0.0, out=where and tmp_path / where)
    first = SyntheticRuntime(seed=1)
    profile_to_file(small_space, first, ProfileJob(seconds=0.0))  # an earlier one, to be pooled
    patched = killed_at(".partial")
    with pytest.raises(KilledError):
        profile_to_file(small_space, SyntheticRuntime(seed=2), job)
    patched.undo()
    (journal,) = (path for path in tmp_path.rglob("*.partial"))
    path = journal.with_suffix("")
    before = LatencyTable.load(path)
    assert len(before.reference_sessions_ms) == 2
    after = SyntheticRuntime(seed=3)
    again, table = profile_to_file(small_space, after, job)
    assert (again, after.runs) == (path, 0)
    assert table.to_json() == before.to_json() == path.read_text()
    assert not journal.exists()
    _, third = profile_to_file(small_space, SyntheticRuntime(seed=4), job)
    sessions = 3 if where is None else 2  # the earlier profile among the user's tables, and this
    assert len(third.reference_sessions_ms) == sessions


def test_kernels_that_were_saved_are_not_measured_again(
    small_space, tmp_path, monkeypatch, killed_at
):
    monkeypatch.setattr("hwnas.profilers.kernels._POOL", 9)
    monkeypatch.setattr("hwnas.profilers.kernels._LOOSE", 0)
    monkeypatch.setattr("hwnas.devices.tables.kernel_plan", lambda: Plan(min_runs=3, max_runs=3))
    job = ProfileJob(seconds=0.0, kernels=20, out=tmp_path / "t.json")
    patched = killed_at("t.json.partial")  # the journal of the kernels is gone by then
    with pytest.raises(KilledError):
        profile_to_file(small_space, SyntheticRuntime(), job)
    patched.undo()
    assert [path.name for path in tmp_path.glob("*.partial")] == ["t.json.partial"]
    after = SyntheticRuntime(seed=3)
    _, table = profile_to_file(small_space, after, job)
    assert after.runs == 0
    assert table.kernels is not None


def test_a_profile_without_kernels_leaves_the_kernels_of_an_unfinished_one(
    small_space, tmp_path, monkeypatch
):
    monkeypatch.setattr("hwnas.profilers.kernels._POOL", 9)
    monkeypatch.setattr("hwnas.profilers.kernels._LOOSE", 0)
    monkeypatch.setattr("hwnas.devices.tables.kernel_plan", lambda: Plan(min_runs=9, max_runs=9))
    out = tmp_path / "t.json"

    def kill(task, share, remark):
        kernels = out.with_name("t.json.kernels.partial").exists()
        if kernels and task == "measuring" and share > 0.5:
            raise KilledError

    with pytest.raises(KilledError):
        profile_to_file(
            small_space, SyntheticRuntime(), ProfileJob(seconds=0.0, kernels=20, out=out), kill
        )
    profile_to_file(small_space, SyntheticRuntime(), ProfileJob(seconds=0.0, out=out))
    assert len(out.with_name("t.json.kernels.partial").read_text().splitlines()) > 2


def test_an_unfinished_profile_of_another_seed_is_refused(small_space, tmp_path, caplog):
    caplog.set_level(logging.INFO, "hwnas")
    out = tmp_path / "t.json"

    def kill(task, share, remark):
        if task == "measuring":
            raise KilledError

    with pytest.raises(KilledError):
        profile_to_file(small_space, SyntheticRuntime(), ProfileJob(seconds=0.0, out=out), kill)
    before = out.with_name("t.json.partial").read_bytes()
    with pytest.raises(CheckpointError, match="seed 0 instead of 1"):
        profile_to_file(small_space, SyntheticRuntime(), ProfileJob(seed=1, seconds=0.0, out=out))
    assert "going on" not in caplog.text
    assert out.with_name("t.json.partial").read_bytes() == before
    profile_to_file(small_space, SyntheticRuntime(), ProfileJob(seconds=0.0, out=out))
    assert "going on with the unfinished profile" in caplog.text


def killed_in_round(last):
    """Progress that ends the process's work when it is told of a round."""
    rounds = 0

    def kill(task, share, remark):
        nonlocal rounds
        rounds += task == "measuring"
        if rounds == last:
            raise KilledError

    return kill


def test_a_killed_completion_goes_on(small_space, five_classes, caplog):
    caplog.set_level(logging.INFO, "hwnas")
    table_for(small_space, SyntheticRuntime(), "fp32", 1)
    with pytest.raises(KilledError):
        table_for(five_classes, SyntheticRuntime(), "fp32", 1, killed_in_round(20))
    path, table = table_for(five_classes, SyntheticRuntime(), "fp32", 1)
    assert ".partial: 20 rounds are there" in caplog.text
    assert table.missing(five_classes.distinct_workloads) == []
    assert list(path.parent.glob("*.partial")) == []


def test_a_killed_transfer_goes_on(small_space, tmp_path):
    _, source = profile_to_file(small_space, SyntheticRuntime(), ProfileJob(seconds=0.0))
    job = ProfileJob(out=tmp_path / "shaped.json")
    kill = killed_in_round(30)
    with pytest.raises(KilledError):
        transfer_to_file(small_space, SyntheticRuntime(name="b"), source, 10, job, kill)
    whole, after = SyntheticRuntime(name="b"), SyntheticRuntime(name="b")
    transfer_to_file(small_space, whole, source, 10, ProfileJob(out=tmp_path / "o.json"))
    transfer_to_file(small_space, after, source, 10, job)
    assert after.runs < 0.7 * whole.runs
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.parametrize(
    ("again", "seconds", "least", "slower"),
    [(20, None, 21, 60), (None, None, 38, 60), (20, 5.0, 5, 20)],
)
def test_a_profile_is_half_as_long_where_models_are_loaded_anew(
    small_space, tmp_path, again, seconds, least, slower
):
    class Slow(SyntheticRuntime):
        runs_a_load = again

        def true_ms(self, model):
            return slower * super().true_ms(model)

    device = Slow(spell=1, outliers=0, slow_first=1)
    profile_to_file(small_space, device, ProfileJob(seconds=seconds, out=tmp_path / "t.json"))
    assert least <= device.clock_ms / 1000 < least + 8
