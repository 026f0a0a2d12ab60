"""The room's face, whose names load on first use."""

import pytest

from hwnas import supernet


def test_every_name_of_the_room_is_there() -> None:
    for name in supernet.__all__:
        assert getattr(supernet, name) is not None


@pytest.mark.parametrize("name", ["load_data", "Dataset", "batch_indices", "nonsense"])
def test_no_other_name_is(name: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
        getattr(supernet, name)
