"""What is taken for a JSON object is one to the standard library's parser, which reads it back, and nothing else is."""

import json
from typing import NoReturn

from hypothesis import example, given
from hypothesis import strategies as st

from shared.app.valid import object_text, utf8

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=10,
)
PIECES = st.sampled_from(
    ['"', "{", "}", "[", "]", ":", ",", "\\", "\\ud800", "\\u00e9", "\\x", "0", "01", "1.", "1e400", "-", "9" * 30,
     "NaN", "Infinity", "null", " ", "\n", "\x00", "\x1f", "\x7f", "\xa0", "\ufeff", "\u2028", "é", "/*"]
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return JSON, mostly of objects, with pieces put in or taken out at some places."""
    value = draw(st.dictionaries(st.text(max_size=3), VALUES, max_size=3) | VALUES)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    for piece in draw(st.lists(PIECES | st.just(""), max_size=2)):
        at = draw(st.integers(0, len(text)))
        text = f"{text[:at]}{piece}{text[at + (not piece) :]}"
    return text


def no_constant(constant: str) -> NoReturn:
    """Refuse what JSON does not know."""
    raise ValueError(constant)


def is_object(text: str) -> bool:
    """Say whether the standard library's parser reads an object."""
    try:
        return isinstance(json.loads(text, parse_constant=no_constant), dict)
    except ValueError:
        return False


@example('{"a":1e400}')
@example('{"a":"\\ud800"}')
@example('{"a":NaN}')
@given(texts())
def test_an_object_is_what_the_standard_library_reads_as_one(text: str) -> None:
    """Whichever parser looks at it first; and the text is kept as it is, but for halves of characters."""
    try:
        taken: str | None = object_text(text)
    except ValueError:
        taken = None
    assert (utf8(text) if is_object(utf8(text)) else None) == taken
