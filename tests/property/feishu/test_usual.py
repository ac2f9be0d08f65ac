"""The quick way to read a click gives what the thorough way gives."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.feishu.callback import CardAction, UnreadableCallback, parse
from shared.feishu.usual import usual_click
from tests.property.feishu.texts import VALUES, strings, tolerant

Pairs = list[tuple[str, str]]

ANY = st.one_of(strings(), VALUES, st.sampled_from(["null", '""', '"x"', "true", "1", "{}", '"a\\ud800"', '["a"]']))
NEARLY_ALWAYS = st.sampled_from(['"card.action.trigger"'] * 9 + ['"url.preview.get"', "null"])


def _members(*names: str, also: st.SearchStrategy[Pairs] | None = None) -> st.SearchStrategy[Pairs]:
    pairs = st.lists(st.tuples(st.sampled_from([*names, "x"]), ANY), max_size=6)
    return pairs if also is None else st.builds(lambda some, more: [*some, *more], pairs, also)


def _object(pairs: Pairs) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in pairs) + "}"


HEADERS = _members("event_id", "token", "tenant_key", "app_id", "create_time").flatmap(
    lambda pairs: st.builds(
        lambda kind, time: _object([*pairs, ("event_type", kind), ("create_time", time)]),
        NEARLY_ALWAYS,
        st.sampled_from(['"1750000000000000"'] * 5 + ['""', "1750000000000", "null"]),
    )
)
OPERATORS = _members("tenant_key", "open_id", "user_id", "union_id").map(_object)
CONTEXTS = _members("open_message_id", "open_chat_id", "url", "preview_token", "token").map(_object)
ACTIONS = _members(
    "tag", "name", "value", "form_value", "input_value", "option", "options", "checked", "timezone", "token"
).map(_object)
EVENTS = st.builds(
    lambda some, operator, action, context: _object(
        [*some, ("operator", operator), ("action", action), ("context", context)]
    ),
    _members("token", "host", "delivery_type"),
    OPERATORS,
    ACTIONS,
    CONTEXTS,
)
BODIES = st.builds(
    lambda some, header, event: _object([*some, ("header", header), ("event", event)]),
    _members("schema", "token"),
    HEADERS,
    EVENTS,
)
FULL = (
    '{"schema":"2.0","header":{"event_type":"card.action.trigger","create_time":"1","event_id":"e","token":"t"},'
    '"event":{"operator":{"open_id":"ou"},"token":"c","host":"h","context":{"open_message_id":"om","preview_token":"p"},'
    '"action":{"value":{"a":1e400},"tag":"b","options":["x"],"checked":true,"form_value":null}}}'
)


@given(body=BODIES)
@example(body=FULL)
@example(body=FULL.replace('"b"', '"b","token":"t"'))
@example(body=FULL.replace('"token":"t"', '"token" :"t"').replace('{"a":1e400}', '{"token":"t"}'))
@example(body=FULL.replace('"c"', '"t"').replace('{"a":1e400}', '{"a":1,"token":"t"}'))
@example(body=FULL.replace('{"a":1e400}', '{"a":"token"}'))
@example(body=FULL.replace('"c"', "null"))
def test_what_is_read_at_one_go_is_what_is_read_member_by_member(body: str) -> None:
    """A member that says nothing sends the same body the other way."""
    with suppress(UnreadableCallback):
        quick = parse(body.encode())
        thorough = parse(f'{body[:-1]},"type":0}}'.encode())
        if isinstance(quick, CardAction) and isinstance(thorough, CardAction):
            assert tolerant(f'{quick.text[:-1]},"type":0}}') == tolerant(thorough.text)
            assert quick == replace(thorough, text=quick.text)
        else:
            assert type(quick) is type(thorough)


def test_the_usual_click_is_read_at_one_go() -> None:
    """Or all this would test nothing."""
    assert usual_click(FULL.encode()) is not None
    assert usual_click(f'{FULL[:-1]},"type":0}}'.encode()) is None


def test_a_click_shows_nothing_of_what_it_holds() -> None:
    """Tokens, and what people typed."""
    assert repr(usual_click(FULL.encode())) == "Click"


@pytest.mark.parametrize("more", ["", "\\n"])
def test_bytes_that_are_not_utf8_are_read_as_ever(more: str) -> None:
    """Surrogates that were encoded one by one, as some programs write them, wherever they stand."""
    for place in ('"b"', '{"a":1e400}', '"ou"'):
        body = FULL.replace(place, f'"{more}\ud83d"').encode("utf-8", "surrogatepass")
        quick, thorough = parse(body), parse(body[:-1] + b',"type":0}')
        assert isinstance(quick, CardAction)
        assert isinstance(thorough, CardAction)
        assert quick == replace(thorough, text=quick.text)
        assert "\\ud83d" in quick.text or "\ufffd" in quick.text


@given(st.lists(st.tuples(st.sampled_from(["encrypt", "type", "schema", "x"]), ANY), max_size=4))
@example([("encrypt", '"a"'), ("encrypt", '"b"')])
@example([("encrypt", '"a"'), ("encrypt", "1")])
def test_what_is_encrypted_is_read_alike(pairs: Pairs) -> None:
    """Wherever the one member stands that matters."""
    with suppress(UnreadableCallback):
        quick = parse(_object([("encrypt", '"first"'), *pairs]).encode())
        assert parse(b" " + _object([("encrypt", '"first"'), *pairs]).encode()) == quick
