"""What torchrun says of a process is whole and makes sense, or it is refused in one line."""

import pytest

from hwnas.errors import OptionError
from hwnas.supernet.ranks import Ranks, torchrun_ranks

WHOLE = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
NUMBERS = [name for name in WHOLE if name != "MASTER_ADDR"]


def test_a_whole_set_is_read():
    assert torchrun_ranks({**WHOLE, "HOME": "x"}) == Ranks(5, 8, 1, 4)
    assert not torchrun_ranks(WHOLE).leads
    assert torchrun_ranks({**WHOLE, "RANK": "0"}).leads


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"MASTER_ADDR": "here"},
        {"MASTER_ADDR": "here", "MASTER_PORT": "29500"},
        {"WORLD_SIZE": "1"},
        {"RANK": "", "WORLD_SIZE": ""},
        {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"},
        {**WHOLE, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"},
    ],
)
def test_one_process_alone(given):
    assert torchrun_ranks(given) == Ranks()


@pytest.mark.parametrize("name", WHOLE)
def test_one_that_is_missing_is_named(name):
    rest = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(OptionError, match=rf"set without {name}: start with torchrun"):
        torchrun_ranks(rest)


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
@pytest.mark.parametrize("value", ["0", "1", "2"])
def test_one_alone_is_refused(name, value):
    if (name, value) == ("WORLD_SIZE", "1"):
        return
    with pytest.raises(OptionError, match=name):
        torchrun_ranks({name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", ["x", "-1", "1.5", "nan", "inf", "1e3", "10" * 15, "\u0663", " 1"]
)
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(
        OptionError, match=rf"^{name} of torchrun is a whole number from \d to 65535"
    ):
        torchrun_ranks({**WHOLE, name: value})


@pytest.mark.parametrize(("name", "value"), [("RANK", "8"), ("LOCAL_RANK", "4")])
def test_a_rank_is_below_the_count(name, value):
    with pytest.raises(OptionError, match=rf"^{name} is below"):
        torchrun_ranks({**WHOLE, name: value})
