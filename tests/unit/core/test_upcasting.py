import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from shared.core.codec import UPCASTERS, decode, encode
from shared.core.errors import NewerThanUs
from shared.core.events import Event, InteractionAnswered
from tests.unit.core.golden import GOLDEN

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "events" / "README.md"
V1: Final = "lark.card.interaction.answered.v1"
V2: Final = "lark.card.interaction.answered.v2"
MARK: Final = next(event for event, _ in GOLDEN.values() if isinstance(event, InteractionAnswered))
SECONDS: Final = MARK.answered_at // 1000
OLD: Final = {**msgspec.to_builtins(MARK), "answered_at": SECONDS, "member_of_later": 1}

# Were there a version 2 of the mark, today's type would be its shape.
DECODERS: Final[dict[str, msgspec.json.Decoder[Event]]] = {V2: msgspec.json.Decoder(InteractionAnswered)}


@pytest.fixture
def shown() -> dict[str, Any]:
    """Return what the page's block of code defines."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  our own document
    return names


def _headers(ce_type: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, ce_type.encode() if name == "ce_type" else text) for name, text in encode(MARK).headers)


def test_the_upcaster_that_the_page_shows_lifts_an_old_record(shown: dict[str, Any]) -> None:
    """A record of version 1 means to a program of version 2 what it meant when it was written."""
    lifted = decode(_headers(V1), msgspec.json.encode(OLD), upcasters=shown["UPCASTERS"], decoders=DECODERS)
    assert msgspec.structs.replace(MARK, answered_at=SECONDS * 1000) == lifted


def test_the_upcaster_that_the_page_shows_leaves_the_new_version_alone(shown: dict[str, Any]) -> None:
    """Both versions stand side by side in a log while it is upgraded."""
    value = msgspec.json.encode(MARK)
    assert MARK == decode(_headers(V2), value, upcasters=shown["UPCASTERS"], decoders=DECODERS)


def test_a_program_before_the_change_stops_at_the_new_version() -> None:
    """It must not read milliseconds as seconds."""
    with pytest.raises(NewerThanUs, match="upgrade workers before gateways"):
        decode(_headers(V2), msgspec.json.encode(MARK))


def test_the_example_is_not_shipped() -> None:
    """Every type is in its first version: nothing is lifted."""
    assert {} == UPCASTERS
