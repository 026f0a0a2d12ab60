"""What a table says about the device while it was measured."""

import json
from dataclasses import replace

import pytest

from hwnas.errors import TableFormatError
from hwnas.latency_tables import Conditions, DeviceState, LatencyTable, Measurement, check_table

COOL = DeviceState("before", 1530, 877, 40, 60.5, ())
HOT = DeviceState("during", 900, 877, 83, None, ("software power cap", "hardware slowdown"))


def conditions(kept_throttled):
    return Conditions("550.54", "12.4", 1000, 30, kept_throttled, (COOL, HOT))


def on_a_card(table, kept_throttled=0):
    provenance = replace(table.provenance, conditions=conditions(kept_throttled))
    return replace(table, target=replace(table.target, kind="gpu"), provenance=provenance)


def test_conditions_are_kept_and_old_tables_have_none(small_table):
    table = on_a_card(small_table)
    again = LatencyTable.from_json(table.to_json())
    assert again.provenance.conditions == conditions(0)
    record = json.loads(small_table.to_json())
    del record["provenance"]["conditions"], record["unmeasured"]
    old = LatencyTable.from_json(json.dumps(record))
    assert old.provenance.conditions is None
    assert old.unmeasured == {}


def test_a_device_that_held_back_is_named_with_its_reasons():
    assert conditions(0).warning is None
    warning = conditions(12).warning
    assert "held back (hardware slowdown, software power cap) in 12 of 1000 windows" in warning


def test_a_table_of_a_throttling_device_is_marked(small_table):
    assert "table" not in {f.entry for f in check_table(on_a_card(small_table))}
    found = [f for f in check_table(on_a_card(small_table, 12)) if f.entry == "table"]
    assert [f.problem for f in found] == [conditions(12).warning]


@pytest.mark.parametrize(("variation", "marked"), [(0.024, False), (0.026, True)])
def test_unsteady_entries_are_marked_on_a_card_only(small_table, variation, marked):
    key = next(iter(small_table.workloads))
    half = variation * 2.563 / 2  # the outer deciles of a normal distribution
    entry = Measurement(1.0, 0.001, 1.0 - half, 1.0 + half, 100)
    table = replace(small_table, workloads={key: entry})
    assert "unsteady" not in str(check_table(table))
    found = [f for f in check_table(on_a_card(table)) if f.entry == key]
    assert [f.problem for f in found] == (
        ["unsteady: coefficient of variation 2.6%"] if marked else []
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("windows", -1, "windows"),
        ("driver", None, "driver"),
        ("fan", 3, "fan"),
        ("states", 1, "st"),
    ],
)
def test_damaged_conditions_are_refused(small_table, name, value, says):
    record = json.loads(on_a_card(small_table).to_json())
    record["provenance"]["conditions"][name] = value
    with pytest.raises(TableFormatError, match=f"conditions.{says}"):
        LatencyTable.from_json(json.dumps(record))
