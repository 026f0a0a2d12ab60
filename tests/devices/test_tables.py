import json
import logging

import pytest

from hwnas.devices import ProfileJob, profile_to_file, table_for, transfer_to_file
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable
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
