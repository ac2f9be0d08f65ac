"""Where a user's code stands."""

import functools
import json

import pytest

from shared.app.place import place_of


def _reads(text: str) -> object:
    """Raise where the text is no JSON, in somebody else's file."""
    found: object = json.loads(text)
    return found


class Called:
    """An object that can be called."""

    def __call__(self) -> None:
        """Do nothing."""


@functools.wraps(_reads)
def _wrapped(text: str) -> object:
    return _reads(text)


def test_a_function_is_where_it_is_defined() -> None:
    """Also one that another was wrapped around."""
    expected = f"{__file__}:{_reads.__code__.co_firstlineno}"
    assert [expected] * 2 == [place_of(_reads), place_of(_wrapped)]


def test_of_an_error_it_is_the_line_of_the_users_file() -> None:
    """Not the one in a library that it called."""
    with pytest.raises(json.JSONDecodeError) as raised:
        _reads("{")
    assert f"{__file__}:{_reads.__code__.co_firstlineno + 2}" == place_of(_reads, raised.value)


def test_an_error_from_elsewhere_leaves_the_function() -> None:
    """It was raised about what the function returned."""
    assert place_of(len_of) == place_of(len_of, ValueError())


def len_of(text: str) -> int:
    """Return a length."""
    return len(text)


@pytest.mark.parametrize(
    ("function", "told"), [(Called(), f"{__name__}.Called"), (functools.partial(_reads, "{}"), "functools.partial")]
)
def test_what_has_no_code_of_its_own_is_told_by_its_type(function: Called, told: str) -> None:
    """Nothing more is known of it."""
    assert told == place_of(function)
