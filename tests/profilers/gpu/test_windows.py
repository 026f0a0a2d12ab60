"""Windows and the watch over the card, on a card with a known truth."""

import time

import pytest

from hwnas.latency_tables import DeviceState
from hwnas.profilers.gpu.nvml import throttle_reasons
from hwnas.profilers.gpu.windows import CardWatch, Window, runs_in_window


class Card:
    """Throttles while ``until`` windows have not passed; a throttled window takes twice as long."""

    def __init__(self, until=0):
        self.until, self.windows = until, 0

    def run(self):
        self.windows += 1
        return 20.0 if self.throttles_now() else 10.0

    def throttles_now(self):
        return self.windows <= self.until

    def throttles(self):
        return self.throttles_now()

    def state(self, moment):
        return DeviceState(moment, 1530, 877, 60, 200.0, ("heat",) if self.throttles_now() else ())

    def driver_version(self):
        return "550.1"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("hwnas.profilers.gpu.windows.time.sleep", lambda seconds: None)


@pytest.mark.parametrize(
    ("single_ms", "runs"),
    [(0.0, 1000), (0.001, 1000), (0.01, 500), (0.1, 50), (0.3, 17), (4.0, 2), (5.0, 2), (60.0, 1)],
)
def test_a_window_is_at_least_five_ms_long(single_ms, runs):
    assert runs_in_window(single_ms) == pytest.approx(runs, abs=1)
    if single_ms > 0.005:
        assert runs_in_window(single_ms) * single_ms >= 5.0


def test_a_window_returns_ms_a_run():
    assert Window(lambda: 10.0, 4, CardWatch(None, "12.4"))() == 10.0 / 4


def test_a_card_that_has_idled_is_kept_busy_for_200_ms_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hwnas.profilers.gpu.windows.time.monotonic", lambda: now[0])
    card = Card()
    window = Window(card.run, 10, CardWatch(card, "12.4"))
    window()
    assert card.windows == 200 / 10.0 + 1
    window()
    assert card.windows == 200 / 10.0 + 2
    now[0] = 5.0  # an engine was built meanwhile
    window()
    assert card.windows == 2 * 200 / 10.0 + 3


def test_a_throttled_window_is_measured_again():
    card = Card(until=2)
    watch = CardWatch(card, "12.4")
    window = Window(card.run, 10, watch)
    watch._busy_until = time.monotonic()  # warm already
    assert [window() for _ in range(4)] == [1.0] * 4  # none of the 2.0 was kept
    conditions = watch.conditions()
    assert (conditions.windows, conditions.repeated, conditions.kept_throttled) == (4, 2, 0)
    assert conditions.warning is None


def test_a_card_that_never_stops_is_measured_all_the_same_and_says_so():
    card = Card(until=10**9)
    watch = CardWatch(card, "12.4")
    window = Window(card.run, 10, watch)
    assert {window() for _ in range(400)} == {2.0}
    # repeats are bounded: a tenth, and some at first; and ten windows to warm up
    assert card.windows <= 400 * 1.1 + 25 + 10
    conditions = watch.conditions()
    assert conditions.kept_throttled == 400
    assert "it held back (heat) in 400 of 400 windows" in conditions.warning
    assert [state.moment for state in conditions.states] == ["before", "during", "after"]


def test_a_card_that_cannot_be_asked_is_unknown():
    watch = CardWatch(None, "12.4")
    Window(lambda: 1.0, 1, watch)()
    conditions = watch.conditions()
    assert (conditions.driver, conditions.states) == ("unknown", ())
    assert conditions.warning is None


def test_reasons_that_slow_a_card_and_those_that_do_not():
    assert throttle_reasons(0x1 | 0x2 | 0x10 | 0x100) == ()  # idle, set clocks, display
    assert throttle_reasons(0x4) == ("software power cap",)
    assert [len(throttle_reasons(bit)) for bit in (0x4, 0x8, 0x20, 0x40, 0x80)] == [1] * 5
    assert len(throttle_reasons(0x24)) == 2
