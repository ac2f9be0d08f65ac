import json
from typing import Any

import pytest

from tests.unit.simulator.world import DAY_S, World, card, card_2_0

TEXT = {"tag": "markdown", "element_id": "md_1", "content": "一"}
BUTTON = {"tag": "button", "element_id": "go", "text": {"tag": "plain_text", "element_id": "label", "content": "去"}}
BOX = {"tag": "form", "element_id": "box", "name": "f", "elements": [{"tag": "input", "element_id": "in_1"}]}


def whole(*elements: dict[str, Any], **config: Any) -> dict[str, Any]:
    """Return a card of format 2.0 with these elements."""
    return {"schema": "2.0", "config": {"update_multi": True, **config}, "body": {"elements": list(elements)}}


class Kit:
    """A world with one card entity, and the operations on it."""

    def __init__(self, content: Any = None, *, is_sent: bool = True) -> None:
        self.world = World()
        self.sequence = 0
        self.content = content or whole(TEXT, BUTTON, BOX)
        self.card_id = self.create(self.content)["data"]["card_id"]
        self.message_id = self.send()["data"]["message_id"] if is_sent else ""

    def create(self, content: Any) -> dict[str, Any]:
        """Keep a card as an entity."""
        data = content if isinstance(content, str) else json.dumps(content)
        return self.world.call("POST", "cardkit/v1/cards", {"type": "card_json", "data": data}).body

    def send(self, **more: Any) -> dict[str, Any]:
        """Send the entity."""
        return self.world.send({"type": "card", "data": {"card_id": self.card_id}}, **more).body

    def do(self, method: str, path: str = "", *, card_id: str | None = None, **body: Any) -> int:
        """Carry out one operation, the next in order unless ``sequence`` is given; return its code."""
        self.sequence += 1
        # Twice in a second is no matter here: how often one may call has a test of its own.
        self.world.clock.advance(0.1)
        target = f"cardkit/v1/cards/{card_id or self.card_id}{path}"
        return self.world.call(method, target, {"sequence": self.sequence, **body}).code

    def stream(self, content: Any, element: str = "md_1", **more: Any) -> int:
        """Stream a text."""
        return self.do("PUT", f"/elements/{element}/content", content=content, **more)

    def settings(self, **config: Any) -> int:
        """Change the card's config."""
        return self.do("PATCH", "/settings", settings=json.dumps({"config": config}))

    def insert(self, *elements: Any, how: str, target: str | None = None) -> int:
        """Add elements."""
        more = {} if target is None else {"target_element_id": target}
        return self.do("POST", "/elements", type=how, elements=json.dumps(elements), **more)

    def shown(self) -> Any:
        """Return the card in the chat."""
        return self.world.shown(self.message_id)

    def elements(self) -> list[dict[str, Any]]:
        """Return the elements of the card in the chat."""
        found = self.shown()["body"]["elements"]
        assert isinstance(found, list)
        return found

    def ids(self) -> list[Any]:
        """Return the ids of the elements of the card in the chat, outermost only."""
        return [each.get("element_id") for each in self.elements()]


def test_a_card_entity_is_created_sent_and_shown() -> None:
    """An entity's id is decimal digits; who sends it shows its card, and the message tells the id."""
    kit = Kit()
    assert kit.card_id.isdecimal()
    assert len(kit.card_id) <= 20
    assert kit.content == kit.shown()
    entity = kit.world.platform.message(kit.message_id).entity
    assert entity is not None
    assert kit.card_id == entity.card_id


def test_an_entity_is_sent_once_and_the_same_uuid_answers_with_that_message() -> None:
    """Another send is refused; a repeat of the first one is not another send."""
    kit = Kit(is_sent=False)
    first = kit.send(uuid="u-1")["data"]["message_id"]
    assert first == kit.send(uuid="u-1")["data"]["message_id"]
    refused = kit.send(uuid="u-2")
    assert 230099 == refused["code"]
    assert "has been sent" in refused["msg"]


def test_an_unknown_entity_cannot_be_sent() -> None:
    """The refusal names the entity's own code."""
    refused = World().send({"type": "card", "data": {"card_id": "7"}})
    assert 230099 == refused.code
    assert "ErrCode: 200740" in refused.body["msg"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", 10002),
        ("{", 200220),
        ("[1]", 200220),
        ("{}", 300307),
        (card(), 300303),
        (card_2_0(header=[]), 0),
        ({**card_2_0(), "elements": []}, 200220),
        ({"schema": "2.0", "config": {"update_multi": False}, "body": {"elements": []}}, 300302),
        (whole({"tag": "note"}), 200220),
        (whole(TEXT, TEXT), 300301),
        (whole({"tag": "hr", "element_id": "1st"}), 200220),
        (whole({"tag": "hr", "element_id": "x" * 21}), 200220),
        (whole(*[{"tag": "hr"}] * 200), 0),
        (whole(*[{"tag": "div", "text": {"tag": "plain_text"}}] * 101), 300305),
        (whole({"tag": "markdown", "content": "x" * 30 * 1024}), 200860),
    ],
)
def test_an_entity_is_read_strictly(content: Any, code: int) -> None:
    """Each flaw of an entity's card has its own code."""
    assert code == Kit().create(content)["code"]


@pytest.mark.parametrize("body", [{"type": "card", "data": "{}"}, {"type": "card_json"}, {"data": "{}"}, {}])
def test_an_entity_needs_type_and_data(body: dict[str, Any]) -> None:
    """What is no creation is a bad parameter."""
    assert 10002 == World().call("POST", "cardkit/v1/cards", body).code


def test_an_entity_of_a_template_can_be_sent_but_not_changed_in_part() -> None:
    """What a template holds, only the real platform knows."""
    kit = Kit(is_sent=False)
    body = {"type": "template", "data": '{"template_id":"AAq1"}'}
    kit.card_id = kit.world.call("POST", "cardkit/v1/cards", body).data["card_id"]
    kit.send()
    assert 300303 == kit.settings(streaming_mode=True)
    body["data"] = "{}"
    assert 300307 == kit.world.call("POST", "cardkit/v1/cards", body).code


def test_a_full_update_replaces_the_card_in_the_chat() -> None:
    """An operation on the entity is a version of the message, made by CardKit."""
    kit = Kit()
    new = whole({"tag": "markdown", "content": "二"})
    assert 0 == kit.do("PUT", card={"type": "card_json", "data": json.dumps(new)})
    assert new == kit.shown()
    assert ["sent", "cardkit"] == kit.world.versions(kit.message_id)


def test_an_entity_can_be_changed_before_it_is_sent() -> None:
    """What is sent is what the operations left."""
    kit = Kit(is_sent=False)
    assert 0 == kit.do("DELETE", "/elements/box")
    kit.message_id = kit.send()["data"]["message_id"]
    assert ["md_1", "go"] == kit.ids()


def test_elements_are_added_beside_another_in_a_container_and_at_the_end() -> None:
    """Before, after and appended are three places."""
    kit = Kit()
    assert 0 == kit.insert({"tag": "hr", "element_id": "a"}, how="insert_before", target="go")
    assert 0 == kit.insert({"tag": "hr", "element_id": "b"}, {"tag": "hr"}, how="insert_after", target="go")
    assert 0 == kit.insert({"tag": "hr", "element_id": "c"}, how="append")
    assert 0 == kit.insert({"tag": "hr", "element_id": "d"}, how="append", target="box")
    assert ["md_1", "a", "go", "b", None, "box", "c"] == kit.ids()
    assert ["in_1", "d"] == [each["element_id"] for each in kit.elements()[5]["elements"]]


@pytest.mark.parametrize(
    ("how", "target", "element", "code"),
    [
        ("insert_before", "nobody", {"tag": "hr"}, 300315),
        ("append", "md_1", {"tag": "hr"}, 300315),
        ("insert_after", "label", {"tag": "hr"}, 300315),
        ("append", None, {"content": "no tag"}, 300315),
        ("insert_after", None, {"tag": "hr"}, 10002),
        ("inside", "box", {"tag": "hr"}, 10002),
        ("append", None, TEXT, 300301),
    ],
)
def test_elements_that_cannot_be_added_change_nothing(how: str, target: Any, element: Any, code: int) -> None:
    """A target that is none, or cannot hold others, is refused."""
    kit = Kit()
    assert code == kit.insert(element, how=how, target=target)
    assert kit.content == kit.shown()


def test_an_element_is_replaced_changed_in_part_and_taken_out() -> None:
    """Each operation does one of the three, also deep inside; children go with their container."""
    kit = Kit()
    assert 0 == kit.do("PUT", "/elements/md_1", element=json.dumps({"tag": "hr", "element_id": "line"}))
    assert 0 == kit.do("PATCH", "/elements/label", partial_element=json.dumps({"content": "来", "element_id": "l2"}))
    assert 0 == kit.do("DELETE", "/elements/box")
    assert ["line", "go"] == kit.ids()
    assert {"tag": "plain_text", "element_id": "l2", "content": "来"} == kit.elements()[1]["text"]


@pytest.mark.parametrize(
    ("method", "element", "body", "code"),
    [
        ("PUT", "nobody", {"element": '{"tag":"hr"}'}, 300121),
        ("PATCH", "nobody", {"partial_element": "{}"}, 300313),
        ("PATCH", "md_1", {"partial_element": '{"tag":"hr"}'}, 300312),
        ("PATCH", "md_1", {"partial_element": '{"tag":"markdown"}'}, 0),
        ("PATCH", "md_1", {"partial_element": {"content": "an object"}}, 10002),
        ("PATCH", "md_1", {"partial_element": "{"}, 10002),
        ("PUT", "md_1", {}, 10002),
        ("DELETE", "nobody", {}, 300314),
        ("DELETE", "label", {}, 300314),
    ],
)
def test_an_element_that_cannot_be_changed_says_why(method: str, element: str, body: Any, code: int) -> None:
    """Each operation has its own code for an element that is not there."""
    assert code == Kit().do(method, f"/elements/{element}", **body)


def test_what_a_button_carries_is_no_element() -> None:
    """A value that looks like an element is the app's own business."""
    button = {"tag": "button", "behaviors": [{"type": "callback", "value": {"tag": "x", "element_id": "md_1"}}]}
    kit = Kit(whole(button, TEXT))
    assert 0 == kit.do("DELETE", "/elements/md_1")
    assert [button] == kit.elements()


def test_a_batch_is_carried_out_whole_or_not_at_all() -> None:
    """Five kinds of change in one operation; one that fails undoes the others."""
    kit = Kit()
    actions: list[Any] = [
        {"action": "partial_update_setting", "params": {"settings": {"config": {"streaming_mode": True}}}},
        {
            "action": "add_elements",
            "params": {"type": "insert_before", "target_element_id": "md_1", "elements": [{"tag": "hr"}]},
        },
        {"action": "delete_elements", "params": {"element_ids": ["box"]}},
        {"action": "partial_update_element", "params": {"element_id": "md_1", "partial_element": {"content": "二"}}},
        {"action": "update_element", "params": {"element_id": "go", "element": {"tag": "hr"}}},
    ]
    failing = [*actions, {"action": "delete_elements", "params": {"element_ids": ["box"]}}]
    assert 300314 == kit.do("POST", "/batch_update", actions=json.dumps(failing))
    assert kit.content == kit.shown()
    assert 0 == kit.do("POST", "/batch_update", actions=json.dumps(actions))
    assert [{"tag": "hr"}, {**TEXT, "content": "二"}, {"tag": "hr"}] == kit.elements()
    assert 0 == kit.stream("二三")


@pytest.mark.parametrize("actions", ["{}", "[]", "[1]", '[{"action":"x","params":{}}]', '[{"action":"add_elements"}]'])
def test_a_batch_needs_actions(actions: str) -> None:
    """What is no list of known actions is a bad parameter."""
    assert 10002 == Kit().do("POST", "/batch_update", actions=actions)


def test_settings_change_what_they_name() -> None:
    """The rest of the config stays; what is no setting is refused."""
    kit = Kit()
    link = {"url": "https://example.com"}
    assert 0 == kit.do("PATCH", "/settings", settings=json.dumps({"config": {"width_mode": "fill"}, "card_link": link}))
    assert {"update_multi": True, "width_mode": "fill"} == kit.shown()["config"]
    assert link == kit.shown()["card_link"]
    assert 300122 == kit.do("PATCH", "/settings", settings='{"header":{}}')
    assert 300302 == kit.settings(update_multi=False)


def test_text_is_streamed_while_streaming_is_on() -> None:
    """Text streams into texts only, and only between on and off."""
    kit = Kit()
    assert 300309 == kit.stream("一二")
    assert 0 == kit.settings(streaming_mode=True)
    assert 0 == kit.stream("一二")
    assert "一二" == kit.elements()[0]["content"]
    assert [0, 300310, 300313] == [kit.stream("去吧", each) for each in ("label", "box", "nobody")]
    assert [10002, 10002, 10002] == [kit.stream(text) for text in ("", "x" * 100_001, None)]
    assert 0 == kit.settings(streaming_mode=False)
    assert 300309 == kit.stream("一二三")


def test_streaming_ends_by_itself_after_ten_minutes() -> None:
    """The text stays as it is until streaming is switched on again."""
    kit = Kit(whole(TEXT, streaming_mode=True))
    kit.world.clock.advance(599)
    assert 0 == kit.stream("一二")
    kit.world.clock.advance(1)
    assert 200850 == kit.stream("一二三")
    assert 0 == kit.settings(streaming_mode=True)
    assert 0 == kit.stream("一二三")


def test_while_text_is_streamed_an_answer_changes_nothing() -> None:
    """The click is delivered all the same; afterwards answers count again."""
    kit = Kit(whole(TEXT, streaming_mode=True))
    answer = {"card": {"type": "raw", "data": whole(BUTTON)}}
    kit.world.close_click(kit.world.open_click(kit.message_id), answer)
    assert ["md_1"] == kit.ids()
    kit.settings(streaming_mode=False)
    kit.world.close_click(kit.world.open_click(kit.message_id), answer)
    assert ["go"] == kit.ids()


def test_operations_come_in_rising_order() -> None:
    """A number that was there is refused and noted, gaps are not; a refused operation uses up nothing."""
    kit = Kit()
    assert [0, 300317, 0] == [
        kit.do("PATCH", "/elements/md_1", partial_element="{}", sequence=n) for n in (5, 5, 2**31 - 1)
    ]
    assert ["sequence_not_increased"] == kit.world.broken()


@pytest.mark.parametrize("sequence", [0, -1, 2**31, "1", 1.5, True, None])
def test_a_sequence_is_a_positive_whole_number_of_32_bits(sequence: object) -> None:
    """Anything else is a bad parameter."""
    assert 10002 == Kit().do("DELETE", "/elements/box", sequence=sequence)


def test_a_uuid_counts_once() -> None:
    """A repeat of an operation that was carried out says so, before its number is looked at."""
    kit = Kit()
    assert 0 == kit.do("DELETE", "/elements/box", uuid="u-1", sequence=1)
    assert 200770 == kit.do("DELETE", "/elements/box", uuid="u-1", sequence=1)
    assert 200770 == kit.do("DELETE", "/elements/go", uuid="u-1", sequence=9)
    assert ["md_1", "go"] == kit.ids()
    assert [] == kit.world.broken()


def test_a_uuid_of_a_refused_operation_is_free() -> None:
    """Nothing was done under it."""
    kit = Kit()
    assert 300314 == kit.do("DELETE", "/elements/nobody", uuid="u-1")
    assert 0 == kit.do("DELETE", "/elements/box", uuid="u-1")


@pytest.mark.parametrize("uuid", ["", "u" * 65, 7])
def test_a_uuid_has_one_to_sixty_four_characters(uuid: object) -> None:
    """Anything else is a bad parameter."""
    assert 10002 == Kit().do("DELETE", "/elements/box", uuid=uuid)


def test_while_a_click_waits_for_its_answer_the_card_cannot_be_changed() -> None:
    """The operation is refused, uses up nothing, and succeeds after the answer."""
    kit = Kit()
    click = kit.world.open_click(kit.message_id)
    assert 200810 == kit.do("DELETE", "/elements/box", uuid="u-1", sequence=1)
    kit.world.close_click(click)
    assert 0 == kit.do("DELETE", "/elements/box", uuid="u-1", sequence=1)
    assert [] == kit.world.broken()


def test_an_entity_lives_for_fourteen_days() -> None:
    """Afterwards nothing can be done with it, and a good caller knows."""
    kit = Kit(is_sent=False)
    kit.world.clock.advance(14 * DAY_S)
    assert 200750 == kit.do("DELETE", "/elements/box")
    assert 230099 == kit.send()["code"]
    assert ["update_expired"] == kit.world.broken()


def test_an_unknown_entity_is_refused() -> None:
    """Whatever the operation."""
    assert 200740 == Kit().do("DELETE", "/elements/box", card_id="7")


def test_one_card_is_changed_ten_times_a_second() -> None:
    """The eleventh call is one too many, another card's is not."""
    kit = Kit()
    path = f"cardkit/v1/cards/{kit.card_id}/elements/nobody"
    replies = [kit.world.call("DELETE", path, {"sequence": 1}) for _ in range(11)]
    assert [300314] * 10 + [99991400] == [each.code for each in replies]
    assert ("10", "1") == tuple(replies[-1].headers[f"x-ogw-ratelimit-{name}"] for name in ("limit", "reset"))
    assert 200740 == kit.world.call("DELETE", "cardkit/v1/cards/7/elements/x", {"sequence": 1}).code
    assert ["entity_per_second"] == kit.world.broken()


def test_a_card_over_thirty_kilobytes_is_refused_and_noted() -> None:
    """A good caller knows the size before it calls."""
    kit = Kit()
    kit.settings(streaming_mode=True)
    assert 200860 == kit.stream("进" * 10_240)
    assert ["card_too_large"] == kit.world.broken()


def test_a_sent_card_becomes_an_entity() -> None:
    """The id of a message's card is the same whenever it is asked for, and changes the message."""
    kit = Kit()
    message_id = kit.world.put(whole(TEXT))
    asked = [kit.world.call("POST", "cardkit/v1/cards/id_convert", {"message_id": message_id}) for _ in range(2)]
    (card_id,) = {each.data["card_id"] for each in asked}
    assert 0 == kit.do("DELETE", "/elements/md_1", card_id=card_id)
    assert whole() == kit.world.shown(message_id)


def test_a_sent_card_is_an_entity_as_old_as_its_message() -> None:
    """Its fourteen days and the ten minutes of its streaming began when it was sent."""
    kit = Kit()
    kit.message_id = kit.world.put(whole(TEXT, streaming_mode=True))
    kit.world.clock.advance(600)
    kit.card_id = kit.world.call("POST", "cardkit/v1/cards/id_convert", {"message_id": kit.message_id}).data["card_id"]
    assert 200850 == kit.stream("一二")
    kit.world.clock.advance(14 * DAY_S - 600)
    assert 200750 == kit.do("DELETE", "/elements/md_1")


@pytest.mark.parametrize(("content", "code"), [(card(), 300303), (None, 10002)])
def test_only_2_0_cards_become_entities(content: Any, code: int) -> None:
    """A card of format 1.0 and a message that is none are refused."""
    world = World()
    message_id = world.put(content) if content else "om_unknown"
    assert code == world.call("POST", "cardkit/v1/cards/id_convert", {"message_id": message_id}).code


def test_a_card_patched_by_message_is_what_the_next_operation_changes() -> None:
    """Entity and message are one card."""
    kit = Kit()
    assert 0 == kit.world.patch(kit.message_id, whole(BUTTON)).code
    assert 300314 == kit.do("DELETE", "/elements/box")
    assert 0 == kit.do("DELETE", "/elements/go")
    assert [] == kit.elements()
