"""JSON as other people write it: any value, any spacing, escapes where they are not needed."""

import json
from typing import Any, Final

from hypothesis import strategies as st

STRINGS: Final = st.text(st.characters(codec=None), max_size=8)  # lone surrogates and NUL included
NUMBERS: Final = st.one_of(
    st.integers(min_value=-(10**40), max_value=10**40).map(str),
    st.sampled_from(["1e400", "-0", "-1.5E-7", "0.10", "1" + "0" * 5000]),
)
SPACES: Final = st.sampled_from(["", "", " ", "\n\t "])


def _string(text: str, *, ascii_only: bool) -> str:
    written = json.dumps(text, ensure_ascii=ascii_only)
    return (
        written if written.isascii() or not any("\ud800" <= char <= "\udfff" for char in written) else json.dumps(text)
    )


def strings() -> st.SearchStrategy[str]:
    """Return JSON strings, some with needless escapes."""
    return st.builds(lambda text, ascii_only: _string(text, ascii_only=ascii_only), STRINGS, st.booleans())


def objects(values: st.SearchStrategy[str], *, max_size: int = 4) -> st.SearchStrategy[str]:
    """Return JSON objects of these values; names may be doubled."""
    member = st.builds(lambda *parts: "".join(parts), SPACES, strings(), SPACES, st.just(":"), SPACES, values, SPACES)
    return st.builds(
        lambda parts, space: "{" + (",".join(parts) or space) + "}", st.lists(member, max_size=max_size), SPACES
    )


def _deeper(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(values, max_size=3).map(lambda parts: "[" + " , ".join(parts) + "]")
    return st.one_of(lists, objects(values, max_size=3))


VALUES: Final[st.SearchStrategy[str]] = st.recursive(
    st.one_of(strings(), NUMBERS, st.sampled_from(["null", "true", "false"])), _deeper, max_leaves=6
)


def tolerant(text: str) -> Any:
    """Read JSON as our readers do, with numbers as their own text so that none is too long or too large."""
    return json.loads(text, parse_int=lambda number: ("number", number), parse_float=lambda number: ("number", number))
