"""What settings allow, from a person, from Python and from a file of an earlier version."""

import json
import math
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, dataclass
from typing import Annotated, Literal

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt

from hwnas.errors import OptionError
from hwnas.search.methods import betanas, spos
from hwnas.search.options import SearchOptions
from hwnas.search.retraining.settings import RankSettings, RetrainSettings
from hwnas.search.settings import fields_of, make, setting, stored
from hwnas.search.shared_settings import EvolutionSettings, TrainingSettings

ALL = (
    *(TrainingSettings, EvolutionSettings, SearchOptions, spos.Settings, betanas.Settings),
    *(RetrainSettings, RankSettings),
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A field of each kind."""

    whole: Annotated[int, Ge(1), Le(9)] = setting(3, "A whole number.")
    number: Annotated[float, Gt(0), Lt(1)] = setting(0.5, "A number.")
    far: float | None = setting(1.0, "A number without end.", most=math.inf)
    choice: Literal["a", "b"] = setting("a", "One of two.", key="was")
    flag: bool = setting(False, "Yes or no.")
    text: str | None = setting(None, "A text.", flag="--words", old_flag="--w")
    texts: Sequence[str] = setting((), "Several texts.")
    edges: str | Sequence[float] | None = setting(None, "A text or numbers.")
    unseen: int = 7


def test_fields_are_read_from_their_types():
    found = {field.name: field for field in fields_of(Example)}
    assert "unseen" not in found  # it is no setting
    assert [f.kind for f in found.values()] == [int, float, float, str, bool, str, list, str]
    assert found["whole"].bounds == (Ge(1), Le(9))
    assert found["choice"].choices == ("a", "b")
    assert [name for name, f in found.items() if f.optional] == ["far", "text", "edges"]
    assert [name for name, f in found.items() if f.numbers] == ["edges"]
    assert (found["choice"].key, found["whole"].key) == ("was", "whole")
    assert (found["text"].flag, found["text"].old_flag) == ("--words", "--w")
    assert found["whole"].flag == "--whole"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"whole": 1},
        {"whole": 9},
        {"number": 1e-9},
        {"far": float("inf")},
        {"far": -float("inf")},
        {"far": None},
        {"choice": "b"},
        {"flag": True},
        {"text": ""},
        {"texts": ["x", "y"]},
        {"texts": ("x",)},
        {"edges": "1:2:3"},
        {"edges": None},
    ],
)
def test_what_is_allowed_is_kept_as_it_is(given):
    made = make(Example, given, "an example")
    for name, value in given.items():
        assert getattr(made, name) == value
    rest = {f.name for f in fields_of(Example)} - set(given)
    assert all(getattr(made, name) == getattr(Example(), name) for name in rest)


def test_whole_numbers_stand_for_numbers_and_lists_for_edges():
    made = make(Example, {"far": 2, "edges": [1, 2]}, "an example")
    assert type(made.far) is float
    assert made.edges == (1.0, 2.0)
    assert make(Example, {"number": np.float64(0.25)}, "an example").number == 0.25


def test_numbers_of_numpy_become_python_s_own_however_settings_are_made():
    given = {"whole": np.int64(4), "number": np.float32(0.25), "far": np.int32(7)}
    for made in (make(Example, given, "an example"), make(Example, {"whole": np.uint8(4)}, "it")):
        assert type(made.whole) is int
        assert made.whole == 4
    made = make(Example, given, "an example")
    assert (type(made.number), type(made.far)) == (float, float)
    direct = spos.Settings(steps=np.int64(5), mutation=np.float64(0.5), base_lr=np.float32(1))
    assert json.dumps([direct.steps, direct.mutation, direct.base_lr]) == "[5, 0.5, 1.0]"
    for value in (np.bool_(True), np.float64(3), np.array(3), np.array([3])):
        with pytest.raises(OptionError, match="whole is a whole number"):
            make(Example, {"whole": value}, "an example")


@pytest.mark.parametrize("settings", ALL)
def test_every_number_has_an_end(settings):
    for field in fields_of(settings):
        if field.kind in (int, float):
            for value in (10**30, 10**400) if field.kind is int else (1e300, 10**400):
                if math.isinf(field.most):
                    continue
                with pytest.raises(OptionError, match=f"^{field.name} is "):
                    make(settings, {field.name: value}, "it")


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"whole": 0}, "whole is a whole number of at least 1 up to 9, got 0"),
        ({"whole": 10}, "of at least 1 up to 9, got 10"),
        ({"whole": 3.0}, "whole is a whole number .* got 3.0"),
        ({"whole": True}, "whole is a whole number .* got True"),
        ({"whole": "3"}, "whole is a whole number .* got '3'"),
        ({"whole": None}, "whole is a whole number .* got None"),
        ({"number": 0}, "number is a number above 0 below 1, got 0"),
        ({"number": 1.0}, "above 0 below 1, got 1.0"),
        ({"number": NAN}, "got nan"),
        ({"number": INF}, "got inf"),
        ({"number": False}, "got False"),
        ({"far": NAN}, "far is a number, or None, got nan"),
        ({"choice": "c"}, "choice is one of a, b, got 'c'"),
        ({"choice": ["a"]}, "choice is one of a, b, got"),
        ({"flag": 1}, "flag is True or False, got 1"),
        ({"text": 5}, "text is a text, or None, got 5"),
        ({"texts": "x"}, "texts is a list of texts, got 'x'"),
        ({"texts": [1]}, "texts is a list of texts, got"),
        ({"edges": 5}, "edges is a text or a list of numbers, or None, got 5"),
        ({"edges": ["a", "b"]}, "edges is a text or a list of numbers, or None, got"),
        ({"edges": [1.0, NAN]}, "edges is a text or a list of numbers, or None, got"),
        ({"unseen": 8}, "an example takes whole, number, .*edges; got 'unseen'"),
        ({"no_such": 1}, "an example takes whole, .*got 'no_such'"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(given, message):
    with pytest.raises(OptionError, match=message):
        make(Example, given, "an example")


@pytest.mark.parametrize("settings", ALL)
def test_every_setting_has_help_a_flag_of_its_own_and_a_default_that_is_allowed(settings):
    fields = fields_of(settings)
    assert all(f.help and f.flag.startswith("--") for f in fields)
    for names in ([f.flag for f in fields], [f.key for f in fields], [f.name for f in fields]):
        assert len(set(names)) == len(names)
    assert make(settings, {f.name: f.default for f in fields}, "it") == settings()
    with pytest.raises(FrozenInstanceError):
        setattr(settings(), fields[0].name, None)


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        (spos.Settings, {"steps": 0}, "steps is a whole number of at least 1, got 0"),
        (spos.Settings, {"mutation": 0.0}, "mutation is a number above 0 up to 1, got 0.0"),
        (spos.Settings, {"optimizer": "lion"}, "optimizer is one of adam, sgd"),
        (spos.Settings, {"bins": "1M:2M:1M"}, "--bins are of --sampler constraint"),
        (betanas.Settings, {"alpha_every": 0}, "alpha_every is a whole number of at least 1"),
        (betanas.Settings, {"base_lr": NAN}, "base_lr is a number above 0, or None, got nan"),
        (betanas.Settings, {"beta": ["watts=1"]}, "a beta is written latency=0.1"),
        (RankSettings, {"count": 2}, "count is a whole number of at least 3, got 2"),
    ],
)
def test_settings_made_in_python_are_checked_too(settings, given, message):
    with pytest.raises(OptionError, match=message):
        settings(**given)


def test_a_config_holds_the_names_that_earlier_versions_wrote():
    assert set(stored(spos.Settings())) == {
        *("sharing", "steps", "train_batch", "optimizer", "base_rate"),
        *("population", "generations", "top", "mutation", "sampler", "bins", "shares"),
        *("finalists", "finalist_steps"),
    }
    assert set(stored(betanas.Settings())) == {
        *("sharing", "steps", "train_batch", "optimizer", "base_rate", "beta", "warm_up"),
        *("alpha_every", "alpha_rate", "alpha_batch"),
        *("drop_margin", "drop_threshold", "drop_start", "drop_every"),
    }
    assert set(stored(RetrainSettings())) == {
        *("steps", "batch", "optimizer", "base_rate", "label_smoothing", "ema", "autocast"),
    }
    assert stored(spos.Settings(batch_size=5, parents=4))["train_batch"] == 5
    assert stored(Example(choice="b")) == {
        **{f.name: f.default for f in fields_of(Example) if f.name != "choice"},
        "was": "b",
    }


def test_the_flags_of_earlier_versions_are_known():
    old = {f.name: f.old_flag for s in ALL for f in fields_of(s) if f.old_flag}
    assert old == {
        "parents": "--top",
        "micro_batches": "--shares",
        "alpha_lr": "--alpha-rate",
        "prune_margin": "--drop-margin",
        "prune_threshold": "--drop-threshold",
        "prune_start": "--drop-start",
        "prune_every": "--drop-every",
    }


def test_settings_are_a_dataclass():
    with pytest.raises(OptionError, match="settings are a frozen dataclass, got"):
        fields_of(int)
