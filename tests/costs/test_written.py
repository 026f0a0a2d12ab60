import pytest

from hwnas.costs.written import millions


@pytest.mark.parametrize(
    ("count", "places", "text"),
    [
        (566_240_000, 1, "566.2 M"),
        (50_000, 1, "0.1 M"),
        (49_999, 1, "0.050 M"),
        (12_345, 1, "0.012 M"),
        (1, 1, "0.0000010 M"),
        (0, 1, "0"),
        (1_234_567, 2, "1.23 M"),
        (4_210, 2, "0.0042 M"),
    ],
)
def test_a_count_that_is_not_zero_never_reads_as_zero(count, places, text):
    assert millions(count, places) == text
