import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from shared.core.codec import decode, encode
from shared.core.ids import AppId
from shared.feishu.callback import CardAction, Challenge, Encrypted, LegacyCardAction, UnreadableCallback, parse
from shared.feishu.members import exact, joined, members
from shared.feishu.normalize import normalize
from tests.property.feishu.texts import VALUES, objects, strings, tolerant


def _body(value: str, form_value: str, extra: str, typed: str) -> bytes:
    return (
        f'{{"schema":"2.0","header":{{"event_id":"e1","token":"vtok-secret","event_type":"card.action.trigger","x":{extra}}},'
        f'"event":{{"operator":{{"open_id":{typed}}},"token":"c-secret","x":{extra},'
        f'"action":{{"tag":"button","value":{value},"form_value":{form_value},"input_value":{typed},"x":{extra}}},'
        f'"context":{{"open_message_id":"om_1","preview_token":"p-secret","x":{extra}}}}},"x":{extra}}}'
    ).encode()


def _legacy(value: str, extra: str) -> bytes:
    return f'{{"open_message_id":"om_1","token":"c-secret","x":{extra},"action":{{"value":{value}}}}}'.encode()


@given(text=objects(VALUES))
def test_members_say_the_same_as_the_standard_library(text: str) -> None:
    """Taken apart and put together again, an object means what it meant."""
    found = members(text.encode())
    assert found is not None
    assert tolerant(text) == {name: tolerant(exact(part)) for name, part in found.items()}
    assert tolerant(text) == tolerant(joined(found))


@given(value=VALUES, form_value=VALUES, extra=VALUES, typed=strings())
def test_any_value_survives_parsing_normalizing_and_the_log(
    value: str, form_value: str, extra: str, typed: str
) -> None:
    """A click with any JSON in it becomes a record that decodes to the same text."""
    callback = parse(_body(value, form_value, extra, typed))
    assert isinstance(callback, CardAction)
    interaction = normalize(
        callback,
        app_id=AppId("cli_1"),
        received_at=1,
        request_id=None,
        delivery_key=None,
        signature=None,
        signed_at=None,
    )
    record = encode(interaction)
    decoded = decode(record.headers, record.value)
    assert interaction == decoded
    assert [None if text == "null" else text for text in (value, form_value)] == [
        interaction.action.value,
        interaction.action.form_value,
    ]


@given(value=VALUES, extra=VALUES)
def test_no_token_is_kept_and_nothing_else_is_lost(value: str, extra: str) -> None:
    """The kept text is the body less its tokens, whatever else is in it."""
    callback = parse(_body(value, "{}", extra, '"ou_1"'))
    assert isinstance(callback, CardAction)
    assert not [secret for secret in ("vtok-secret", "c-secret", "p-secret") if secret in callback.text]
    expected = tolerant(_body(value, "{}", extra, '"ou_1"').decode())
    del expected["header"]["token"], expected["event"]["token"], expected["event"]["context"]["preview_token"]
    assert expected == tolerant(callback.text)


@given(value=VALUES, extra=VALUES)
def test_a_legacy_click_keeps_any_value(value: str, extra: str) -> None:
    """Its value may be any JSON as well."""
    callback = parse(_legacy(value, extra))
    assert isinstance(callback, LegacyCardAction)
    assert (None if value == "null" else value) == callback.action.value
    assert "c-secret" == callback.card_token
    assert "c-secret" not in callback.text


@given(
    body=st.one_of(
        st.binary(max_size=60), VALUES.map(str.encode), st.text().map(lambda text: text.encode("utf-8", "replace"))
    )
)
def test_any_bytes_are_a_callback_or_unreadable(body: bytes) -> None:
    """No body gives another exception."""
    try:
        callback = parse(body)
    except UnreadableCallback:
        return
    assert isinstance(callback, Encrypted | Challenge | CardAction | LegacyCardAction) or callback.event_type


SHAPES = st.sampled_from(
    ["schema", "header", "event", "action", "type", "encrypt", "challenge", "uuid", "context", "operator"]
)


@given(
    members_=st.dictionaries(
        SHAPES,
        st.one_of(
            VALUES,
            st.sampled_from(
                ['"url_verification"', '"event_callback"', '{"event_type":"card.action.trigger"}', '{"type":"x"}']
            ),
        ),
    )
)
def test_any_mixture_of_the_platforms_names_is_a_callback_or_unreadable(members_: dict[str, str]) -> None:
    """Shapes that no document knows do no harm."""
    body = "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members_.items()) + "}"
    with suppress(UnreadableCallback):
        parse(body.encode())
