import math
from typing import Any

import pytest

from shared.core.json_text import JsonText, json_text, json_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True, "好"]}, '{"a":[1,2.5,null,true,"好"]}'),
        ("\x00", '"\\u0000"'),
        ("好\ud800", '"\\u597d\\ud800"'),
        (10**30, "1" + 30 * "0"),
        ("ascii", '"ascii"'),
    ],
)
def test_any_json_value_becomes_text_that_utf_8_can_carry_and_comes_back(value: Any, expected: str) -> None:
    """NUL, lone surrogates and long integers are honest values."""
    assert expected == json_text(value)
    assert expected.encode().decode() == expected
    assert value == json_value(JsonText(expected))


def test_a_number_beyond_floats_is_read_as_infinity() -> None:
    """The text keeps it exactly; only the reader's number type cannot."""
    assert math.inf == json_value(JsonText("1e400"))


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, object(), _endless()], ids=type)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    """It fails as a ValueError where it was made."""
    with pytest.raises(ValueError, match=r"."):
        json_text(value)
