"""How a card is shown, and when there is no way to show it."""

from dataclasses import replace

import pytest

from shared.core.effects import UpdateCard
from shared.core.folded import RightKey
from shared.core.ids import AppId, EventId, MessageId, Target, TenantKey
from shared.core.secret import Secret
from shared.feishu.limits import CARD_TOKEN_USES, CARD_TOKEN_VALID_MS
from worker.ledger.leased import FaceRow, GivenRight, Head
from worker.performing.way import NoRight, NoWay, Way, right_for, way_of

NOW = 1_750_000_000_000
APP, EVENT = AppId("cli_1"), EventId("e1")


def head(*, audience: str = "*", kind: str = "UpdateCard", target: str = "message:om_1") -> Head:
    """Return an effect's head."""
    return Head(
        app_id=APP,
        event_id=EVENT,
        index=1,
        tenant_key=TenantKey("t1"),
        message_id=MessageId("om_1"),
        kind=kind,
        target=Target(target),
        audience=audience,
        coalesce=None,
        order=1025,
        due=0,
        occurred_at=NOW,
        received_at=NOW,
        decided_at=NOW,
        k=0,
        attempts=0,
        begun_at=None,
        marked_at=None,
    )


def token(*, uses: int = 0, age_ms: int = 0) -> GivenRight:
    """Return a click's right."""
    return GivenRight(key=RightKey(APP, EVENT, "card"), token=Secret("c-1"), received_at=NOW - age_ms, uses=uses)


def _way(given: GivenRight | None, *, audience: str = "*", card: str = "{}", card_id: str | None = None) -> Way | NoWay:
    face = FaceRow(app_id=APP, message_id=MessageId("om_1"), card_id=card_id)
    return way_of(UpdateCard(card), head(audience=audience), face=face, right=given, now=NOW)


def test_everybodys_card_goes_by_its_message() -> None:
    """Whether or not there is a right, which is spared for who needs it."""
    assert [Way(by="message", because="shared")] * 2 == [_way(given) for given in (None, token())]


def test_one_persons_card_goes_by_the_right_of_a_click() -> None:
    """And names that person."""
    given = token(uses=1, age_ms=CARD_TOKEN_VALID_MS - 1)
    assert Way(by="token", because="exclusive", people=("ou_1",), right=given) == _way(given, audience="ou_1")


@pytest.mark.parametrize(
    ("audience", "given", "reason"),
    [
        ("ou_1", None, "no_token"),
        ("", token(), "no_token"),
        ("ou_1", token(uses=CARD_TOKEN_USES), "token_spent"),
        ("ou_1", token(age_ms=CARD_TOKEN_VALID_MS), "token_expired"),
    ],
)
def test_without_a_right_that_counts_there_is_no_way(audience: str, given: GivenRight | None, reason: NoRight) -> None:
    """Card update tokens: two uses within 30 minutes (docs/reference/platform.md, "Card update tokens")."""
    assert NoWay(reason=reason) == _way(given, audience=audience)


@pytest.mark.parametrize("event_id", ["e1", "e1/1/returned", "e1/2/fired/1/returned"])
def test_the_right_is_that_of_the_click_with_which_it_began(event_id: str) -> None:
    """However much came back in between."""
    one = replace(head(audience="ou_1"), event_id=EventId(event_id))
    assert RightKey(APP, EVENT, "card") == right_for(one)


def test_a_right_is_asked_for_where_it_may_be_needed() -> None:
    """By effects for one person on a card, and by refreshes of a preview; a personal message needs none."""
    assert [None, RightKey(APP, EVENT, "card"), RightKey(APP, EVENT, "preview"), None] == [
        right_for(head()),
        right_for(head(audience="ou_1")),
        right_for(head(kind="RefreshPreview", target="preview:1")),
        right_for(head(audience="ou_1", target="chat:oc_1")),
    ]


def test_a_card_that_is_an_entity_goes_by_its_sequence() -> None:
    """So that an earlier change of a part cannot arrive behind it; a card of JSON 1.0 is none."""
    assert Way(by="cardkit", because="entity", card_id="7") == _way(None, card='{"schema":"2.0"}', card_id="7")
    assert Way(by="message", because="shared") == _way(None, card="{}", card_id="7")
