"""Bodies of requests: whatever is sent, a request comes out that can be recorded, or one line."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.requests.body import BadRequest, Requested, read_request
from shared.core.codec import decode, encode
from shared.core.effects import UpdateCard

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ID = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
CARD = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1)
TO = st.from_regex(r"[!-~]{1,30}", fullmatch=True)
FREE = st.one_of(
    st.fixed_dictionaries({"kind": st.just("SendCard"), "card": CARD, "to": TO}),
    st.fixed_dictionaries({"kind": st.just("SendText"), "text": TEXT, "to": TO}),
    st.fixed_dictionaries({"kind": st.just("RenameChat"), "name": TEXT, "chat_id": ID}),
)

UPDATE = st.fixed_dictionaries({"kind": st.just("UpdateCard"), "message_id": ID, "card": CARD})


def as_bytes(body: Any) -> bytes:
    """Return a body as it is sent."""
    return json.dumps(body).encode()


def bodies(effects: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return bodies with such effects."""
    request_id = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)
    return st.fixed_dictionaries(
        {"request_id": request_id, "app_id": ID, "effects": effects}, optional={"tenant_key": ID}
    )


def read(body: bytes) -> Requested | str:
    """Return what a body asks for, or the line about it."""
    try:
        return read_request(body)
    except BadRequest as error:
        return str(error)


@given(bodies(st.lists(FREE, min_size=1, max_size=20)), ID)
def test_a_well_formed_body_survives_the_log(body: dict[str, Any], caller: str) -> None:
    """What was asked for is what the worker reads: ids, order and contents."""
    received = read_request(json.dumps(body, ensure_ascii=False).encode()).by(caller, 7)
    record = encode(received)
    assert received == decode(record.headers, record.value)
    assert f"req/{caller}/{body['request_id']}" == received.event_id
    assert [effect["kind"] for effect in body["effects"]] == [type(effect).__name__ for effect in received.effects]
    assert received.message_id is None
    assert f"{body['app_id']}:{received.event_id}" == record.key


@given(bodies(st.lists(UPDATE, min_size=1)))
def test_a_request_is_about_one_card_or_refused(body: dict[str, Any]) -> None:
    """Under that card's key; never about two."""
    cards = {effect["message_id"] for effect in body["effects"]}
    match read(as_bytes(body)):
        case str() as line:
            assert len(cards) > 1 or len(body["effects"]) > 20
            assert " expected " in line
        case requested:
            assert cards == {requested.message_id}
            assert cards == {effect.message_id for effect in requested.effects if isinstance(effect, UpdateCard)}


@given(st.binary() | JSON.map(as_bytes) | bodies(JSON).map(as_bytes) | bodies(st.lists(FREE | UPDATE)).map(as_bytes))
def test_whatever_is_sent_there_is_a_request_or_one_line(body: bytes) -> None:
    """Nothing raises anything else, and a line is one line."""
    match read(body):
        case str() as line:
            assert "\n" not in line
            assert " for example " in line
        case requested:
            record = encode(requested.by("billing", 7))
            assert decode(record.headers, record.value) == requested.by("billing", 7)
