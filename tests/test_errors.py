"""What a person's own code raises, as an error of ours."""

import pytest

from hwnas.errors import DataError, MeasurementError, OptionError, quoting


def test_what_is_raised_is_quoted_with_its_cause():
    cause = KeyError("no disk")
    with pytest.raises(DataError) as caught, quoting(DataError, "data 'mine' raises", "; look"):
        raise cause
    assert str(caught.value) == "data 'mine' raises KeyError: 'no disk'; look"
    assert caught.value.__cause__ is cause


def test_our_own_errors_and_the_end_of_a_process_pass_as_they_are():
    for error in (MeasurementError("the clock stood"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(error)) as caught, quoting(OptionError, "mine raises"):
            raise error
        assert caught.value is error


def test_a_generator_that_is_left_early_says_nothing():
    def numbers():
        with quoting(OptionError, "mine raises"):
            yield from (1, 1 / 0)

    found = numbers()
    with pytest.raises(OptionError, match="mine raises ZeroDivisionError"):
        next(found)

    def endless():
        with quoting(OptionError, "mine raises"):
            while True:
                yield 1

    found = endless()
    assert next(found) == 1
    found.close()
    assert list(found) == []
