"""Calls that change cards by other ways than their message, as bytes."""

import json
from typing import Any

import pytest

from shared.core.ids import MessageId
from shared.core.json_text import JsonText
from shared.feishu.card_calls import (
    Entity,
    delete_ephemeral,
    entity_found,
    find_entity,
    refresh_previews,
    send_ephemeral,
    set_streaming,
    stream_text,
    update_card_by_token,
    update_element,
    update_entity,
)
from shared.feishu.cards import only_for
from shared.feishu.openapi import ApiRequest

ENTITY = Entity(card_id="7", sequence=3, uuid="key")
ODD = '{"elements":[1e400],  "x":"\\ud800"}'


def body(request: ApiRequest) -> Any:
    """Return what a call says."""
    return json.loads(request.body or b"null")


def test_a_delayed_update_carries_the_card_as_an_object_exactly_as_written() -> None:
    """For everybody as a shared card; what no parser keeps is kept."""
    request = update_card_by_token("c-1", JsonText(ODD), [])
    assert ("POST", "/open-apis/interactive/v1/card/update") == (request.method, request.path)
    assert b'{"token":"c-1","card":{"elements":[1e400],"x":"\\ud800","config":{"update_multi":true}}}' == request.body
    assert "c-1" not in repr(request)


def test_a_card_for_some_people_is_exclusive_and_names_them() -> None:
    """Whatever it said itself; a template is named to beside its data, a 2.0 card is everybody's."""
    cards = {
        '{"elements":[]}': '{"elements":[],"open_ids":["ou_1"],"config":{"update_multi":false}}',
        '{"config":{"update_multi":true,"x":1}}': '{"config":{"update_multi":false,"x":1},"open_ids":["ou_1"]}',
        '{"type":"template","data":{}}': '{"type":"template","data":{},"open_ids":["ou_1"]}',
        '{"schema":"2.0"}': '{"schema":"2.0"}',
        "no JSON": "no JSON",
    }
    assert list(cards.values()) == [only_for(JsonText(card), ["ou_1"]) for card in cards]


@pytest.mark.parametrize(("to", "kind"), [("ou_1", "open_id"), ("a@b.example", "email"), ("7", "user_id")])
def test_an_ephemeral_card_is_for_one_person_of_a_chat(to: str, kind: str) -> None:
    """Known by any of three kinds of id."""
    request = send_ephemeral("oc_1", to, JsonText('{"elements":[]}'))
    assert {"chat_id": "oc_1", kind: to, "msg_type": "interactive", "card": {"elements": []}} == body(request)
    assert "/open-apis/ephemeral/v1/send" == request.path
    assert {"message_id": "om_1"} == body(delete_ephemeral(MessageId("om_1")))


@pytest.mark.parametrize(("people", "more"), [([], {}), (["ou_1"], {"open_ids": ["ou_1"]})])
def test_previews_are_refreshed_for_everybody_or_for_some(people: list[str], more: dict[str, Any]) -> None:
    """The tokens stand in the body alone."""
    request = refresh_previews(["p-1"], people)
    assert {"preview_tokens": ["p-1"], **more} == body(request)


def test_operations_on_an_entity_carry_its_sequence_and_their_key() -> None:
    """Cards, elements and settings as strings of JSON; ids that hold a slash are no other address."""
    requests = {
        "PUT /open-apis/cardkit/v1/cards/7": update_entity(ENTITY, JsonText("{}")),
        "PUT /open-apis/cardkit/v1/cards/7/elements/a%2Fb": update_element(ENTITY, "a/b", JsonText("{}")),
        "PUT /open-apis/cardkit/v1/cards/7/elements/a/content": stream_text(ENTITY, "a", "文"),
        "PATCH /open-apis/cardkit/v1/cards/7/settings": set_streaming(ENTITY, on=True),
    }
    assert list(requests) == [f"{request.method} {request.path}" for request in requests.values()]
    once = {"sequence": 3, "uuid": "key"}
    assert [
        {"card": {"type": "card_json", "data": "{}"}, **once},
        {"element": "{}", **once},
        {"content": "文", **once},
        {"settings": '{"config":{"streaming_mode":true}}', **once},
    ] == [body(request) for request in requests.values()]
    without = update_entity(Entity(card_id="7", sequence=3, uuid=None), JsonText("{}"))
    assert "uuid" not in body(without)


@pytest.mark.parametrize(("data", "expected"), [({"card_id": "7"}, "7"), ({"card_id": 7}, None), ({}, None)])
def test_an_entity_is_found_by_its_message(data: dict[str, object], expected: str | None) -> None:
    """If the platform tells one."""
    assert {"message_id": "om_1"} == body(find_entity(MessageId("om_1")))
    assert expected == entity_found(data)
