"""
Card entities: cards that are known by an id of their own and changed in part.

Source: docs/reference/platform.md, "Cards as entities".
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from shared.core.effects.parts import ELEMENT_ID
from shared.core.ids import MessageId, TenantKey
from shared.core.json_text import EpochMs, JsonText, json_text
from shared.feishu.limits import CARD_BYTES, ENTITY_VALID_MS, STREAMING_MS
from simulator.cards import TOO_DEEP, CardRead, flaw_of_2_0, is_too_deep
from simulator.elements import elements
from simulator.refusals import Refused
from simulator.wire_json import any_json

UUID_CONFLICT: Final = 200770
SEQUENCE_NOT_INCREASED: Final = 300317
TOO_BIG: Final = 200860
NOT_A_CARD: Final = 200220
DUPLICATE_ID: Final = 300301
NOT_2_0: Final = 300303
EMPTY: Final = 300307
STREAMING_OFF: Final = 300309
STREAMING_ENDED: Final = 200850

_OWN_CODES: Final = frozenset({300302, 300305})
_ELEMENT_ID: Final = re.compile(ELEMENT_ID)


@dataclass(slots=True, kw_only=True)
class Entity:
    """
    One card entity.

    Attributes:
        card: What it was before it was sent; afterwards the message's card counts.
        message_id: The message that it was sent as, once.
        sequence: Of the newest operation.
        uuids: Of all operations that were carried out.
        streaming_since: When streaming was last switched on; ``None``: it is off.
    """

    card_id: str
    tenant_key: TenantKey
    created_at: EpochMs
    card: CardRead
    message_id: MessageId | None = None
    sequence: int = 0
    uuids: set[str] = field(default_factory=set)
    streaming_since: EpochMs | None = None

    def check(self, *, now: EpochMs) -> None:
        """
        Check that it may still be used.

        Raises:
            Refused: 200750 older than 14 days.
        """
        if now - self.created_at >= ENTITY_VALID_MS:
            raise Refused(200750)

    def check_turn(self, uuid: str | None, sequence: int) -> None:
        """
        Check that an operation is new and comes after all others.

        Raises:
            Refused: 200770 it was carried out before; 300317 its number is no higher than the last one.
        """
        if uuid is not None and uuid in self.uuids:
            raise Refused(UUID_CONFLICT)
        if sequence <= self.sequence:
            raise Refused(SEQUENCE_NOT_INCREASED)

    def take_turn(self, uuid: str | None, sequence: int) -> None:
        """Note that an operation was carried out."""
        self.sequence = sequence
        if uuid is not None:
            self.uuids.add(uuid)

    def is_streaming(self, now: EpochMs) -> bool:
        """Return whether text may be streamed into it: for ten minutes since that was switched on."""
        return self.streaming_since is not None and now - self.streaming_since < STREAMING_MS

    def check_streaming(self, *, now: EpochMs) -> None:
        """
        Check that text may be streamed into it.

        Raises:
            Refused: 300309 streaming is off; 200850 it ended by itself.
        """
        if self.streaming_since is None:
            raise Refused(STREAMING_OFF)
        if not self.is_streaming(now):
            raise Refused(STREAMING_ENDED)


def read_entity(text: object) -> CardRead:
    """
    Read the card of an entity from its JSON text.

    Raises:
        Refused: 10002 no text; 300307 empty; 200860 over 30 KB; 200220 not a card; 300303 not of format 2.0; 300302
            exclusive; 300301 an element's id twice; 300305 over 200 elements.
    """
    if not isinstance(text, str):
        raise Refused(10002, "expected a card as a string of JSON")
    if len(text.encode(errors="surrogatepass")) > CARD_BYTES:
        raise Refused(TOO_BIG)
    try:
        content = any_json(text)
    except ValueError as error:
        raise Refused(NOT_A_CARD, "not JSON") from error
    return read_entity_value(content, JsonText(text))


def read_entity_value(content: object, text: JsonText | None = None) -> CardRead:
    """Read the card of an entity from its JSON value; raises as `read_entity` does."""
    if not content:
        raise Refused(EMPTY)
    if not isinstance(content, dict):
        raise Refused(NOT_A_CARD, "a card is a JSON object")
    if is_too_deep(content):
        raise Refused(NOT_A_CARD, TOO_DEEP)
    if content.get("schema") != "2.0":
        raise Refused(NOT_2_0)
    flaw = flaw_of_2_0(content)
    if flaw is not None:
        code, reason = flaw
        raise Refused(code if code in _OWN_CODES else NOT_A_CARD, reason)
    _check_ids(content)
    kept = text if text is not None else json_text(content)
    if len(kept.encode(errors="surrogatepass")) > CARD_BYTES:
        raise Refused(TOO_BIG)
    return CardRead(text=kept, format="2.0", shared=True)


def is_asked_to_stream(content: dict[str, Any]) -> bool:
    """Return whether a card switches streaming on."""
    config = content.get("config")
    return isinstance(config, dict) and config.get("streaming_mode") is True


def _check_ids(content: dict[str, Any]) -> None:
    ids = Counter(str(each["element_id"]) for each in elements(content) if "element_id" in each)
    for element_id, times in ids.items():
        if times > 1:
            raise Refused(DUPLICATE_ID, element_id)
        if not _ELEMENT_ID.fullmatch(element_id):
            raise Refused(NOT_A_CARD, f"element_id {element_id}")
