"""What a method cannot search is refused before anything trains."""

import pytest

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.search.limits import check_fits, check_gates
from hwnas.search.methods.spos import Settings

SIZES = {"input_size": 8, "classes": 10, "channels": 4}


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("nasbench201", {"cells": 1}), ("darts-s1", {"cells": 3}), ("darts-s2", {"cells": 3})],
)
def test_gates_are_of_choices_that_are_operators(name: str, sizes: dict[str, int]) -> None:
    check_gates(spaces.space(name, **SIZES, **sizes), "betanas")


@pytest.mark.parametrize(("name", "sizes"), [("darts", {"cells": 3}), ("nao", {"repeats": 1})])
def test_choices_of_what_is_read_have_no_gates(name: str, sizes: dict[str, int]) -> None:
    space = spaces.space(name, **SIZES, **sizes)
    with pytest.raises(OptionError, match=f"choices of {name} say what is read as well"):
        check_gates(space, "betanas")


def test_separate_weights_count_once_for_each_candidate(monkeypatch) -> None:
    # 14 edges of 7 operators in each of 5 cells fit, 980 choices of pairs a cell would not
    space = spaces.proxy(spaces.space("darts"), 16, 10, 0.25)
    monkeypatch.setattr("hwnas.memory.machine_bytes", lambda: 2e8)
    check_fits(space, space, Settings(sharing="separate", batch_size=16))
