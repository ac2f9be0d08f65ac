"""
Every documented number, held by what the worker does with it.

A test for each row of the tables in docs/reference/platform.md ("Rate limits", "Sizes", "Validity" …, each with its
official source), named after the row. Numbers that the simulator alone keeps so far are tried there, by the tests that
`ELSEWHERE` names; a number that is tried nowhere fails here.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shared.clock import ManualClock
from shared.core.cards import CardFormat
from shared.core.effects import (
    PlatformEffect,
    RefreshPreview,
    SendCard,
    SendEphemeral,
    SendText,
    UpdateCard,
    UpdateElement,
)
from shared.core.ids import AppId, EventId, Target, TenantKey
from shared.core.json_text import JsonText
from shared.eventlog.port import Topics
from shared.feishu import limits
from shared.feishu.limits import ApiRate, Limits
from shared.feishu.openapi import Token, idempotency_key
from tests.support.facts import click
from tests.unit.feishu.test_platform_reference import _sections
from tests.unit.worker.test_answered import CARD, NOW, head
from tests.unit.worker.test_decide import written
from tests.unit.worker.test_way import head as shown_to
from tests.unit.worker.test_way import token
from worker.budget import Tats, rate_of, reserve
from worker.ledger.leased import FaceRow, Leased, TargetKey
from worker.performing.choose import Choice
from worker.performing.job import Job
from worker.performing.retry import last_attempt_at
from worker.performing.throttle import Throttle
from worker.performing.turn import Turn
from worker.performing.way import NOTHING, Means, NoWay, Way, way_of
from worker.platform.tokens import Tokens
from worker.policy import Go, Refuse, Unknown, before, refuse_click

_T = TypeVar("_T")
ROOT = Path(__file__).parents[3]
APP = AppId("cli_a")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000

HERE: dict[str, str] = {}
"""Which section the tests of this file cite for each number."""


def holds(section: str, *names: str) -> Callable[[_T], _T]:
    """Say of a test which documented numbers it holds, and where they are documented."""

    def held(test: _T) -> _T:
        HERE.update(dict.fromkeys(names, section))
        return test

    return held


ELSEWHERE = {
    "CHALLENGE_DEADLINE_S": ("Deadlines", "simulator/test_answers.py", "a_challenge_is_met_by_repeating_it"),
    "TOKEN_LIFE_S": ("Access tokens", "simulator/test_tokens.py", "two_hours"),
    "ENTITY_VALID_MS": ("Cards as entities", "simulator/test_cardkit.py", "an_entity_lives_for_fourteen_days"),
    "STREAMING_MS": ("Cards as entities", "simulator/test_cardkit.py", "streaming_ends_by_itself_after_ten_minutes"),
    "CARDKIT_UUID_CHARS": ("Cards as entities", "simulator/test_cardkit.py", "a_uuid_has_one_to_sixty_four_characters"),
    "LAST_SEQUENCE": ("Cards as entities", "simulator/test_cardkit.py", "a_sequence_is_a_positive_whole_number_of_32"),
    "CARD_ELEMENTS": ("Cards as entities", "simulator/test_cardkit.py", "an_entity_is_read_strictly"),
    "STREAMED_CHARS": ("Cards as entities", "app/test_decide.py", "a_part_is_taken_up_to_the_platforms_limits"),
    "ELEMENT_ID_CHARS": ("Cards as entities", "app/test_decide.py", "a_part_is_taken_up_to_the_platforms_limits"),
    "PREVIEW_TOKENS": ("Refreshing link previews", "simulator/test_previews.py", "a_refresh_needs_known_tokens"),
    "PREVIEW_PEOPLE": ("Refreshing link previews", "app/test_decide.py", "an_effect_that_could_not_be_performed"),
    "PREVIEW_REFRESHES": ("Rate limits", "simulator/test_previews.py", "five_refreshes_are_made_in_a_second"),
    "apis": ("Rate limits", "feishu/test_limits.py", "an_api_has_the_usual_rate_unless_it_has_its_own"),
}
"""Numbers that other tests hold: the section of their source, the file below tests/unit, words of the test's name."""


def starts(seconds: int, limit: ApiRate | None = None) -> list[int]:
    """Return in which second calls of one API start that are wanted all the time, after a while without any."""
    rate = rate_of(limit or Limits().api)
    found: list[int] = []
    begins_us = 10 * 60 * 1_000_000
    now_us, tats = begins_us, Tats(second=0, minute=0)
    while now_us < begins_us + seconds * 1_000_000:
        made = reserve(tats, now_us=now_us, calls=1, rate=rate, ahead_us=2_000_000)
        tats, now_us = made.tats, now_us + made.wait_us
        if made.granted:
            found.append((now_us - begins_us) // 1_000_000)
    return found


@holds("Rate limits", "api")
def test_each_api_is_called_50_times_in_a_second_at_most() -> None:
    """And nearly as often, while there is work and the minute's limit does not hold it up."""
    assert max(Counter(starts(120)).values()) <= 50
    by_second = Counter(starts(20, ApiRate(per_second=50, per_minute=math.inf)))
    assert all(45 <= by_second[second] <= 50 for second in range(20))


def test_each_api_is_called_1000_times_in_a_minute_at_most() -> None:
    """And nearly as often while there is work."""
    by_minute = Counter(second // 60 for second in starts(180))
    assert all(900 <= by_minute[minute] <= 1_000 for minute in range(3))


def paced(effect: PlatformEffect, target: str, times: float = 1) -> int:
    """Return how far apart calls for this effect to one target begin (ms)."""
    of = head(index=1, target=Target(target))
    leased = Leased(key=TargetKey(APP, of.target), leased_at=NOW, heads=(of,))
    turn = Turn(leased=leased, choice=Choice(call=of), topics=Topics())
    means = Means(card_id="7355372766134157313") if isinstance(effect, UpdateElement) else NOTHING
    job = Job(turn=turn, head=of, effect=effect, ruling=Go(), api="x", means=means)
    return Throttle(Limits().times(times)).pace_ms(job)


PACES: Sequence[tuple[str, PlatformEffect, str, int]] = [
    ("updates of one message, 5 in a second", UpdateCard({}), "message:om_1", 200),
    ("sends to one person, 5 in a second", SendText("x", to="ou_1"), "user:ou_1", 200),
    ("sends to one chat, all its bots together, 5 in a second", SendCard({}, to="oc_1"), "chat:oc_1", 200),
    ("ephemeral cards to one group, 40 in a second", SendEphemeral({}, "ou_1"), "chat:oc_1", 25),
    ("operations on one card entity, 10 in a second", UpdateElement("e", {}), "message:om_1", 100),
    ("refreshes of one link preview, 1 in 5 seconds", RefreshPreview(), "preview:p", 5_000),
]


@holds("Rate limits", "per_message", "per_user", "per_chat", "per_chat_ephemeral", "per_entity", "per_preview")
@holds("Rate limits", "PREVIEW_REFRESH_MS")
@pytest.mark.parametrize(("effect", "target", "least_ms"), [row[1:] for row in PACES], ids=[row[0] for row in PACES])
def test_calls_to_one_target_are_so_far_apart(effect: PlatformEffect, target: str, least_ms: int) -> None:
    """A twentieth further than the platform says, because calls arrive unevenly; half as far where it was doubled."""
    assert least_ms * 1.05 <= paced(effect, target) <= least_ms * 1.1 + 1
    assert least_ms * 0.525 <= paced(effect, target, times=2) <= least_ms * 0.55 + 1


def card_of(size: int) -> JsonText:
    """Return a card of so many bytes that is sent as it is."""
    empty_card = '{"config":{"update_multi":true},"elements":[],"x":""}'
    return JsonText(empty_card.replace('""', '"' + "x" * (size - len(empty_card)) + '"'))


@holds("Sizes", "CARD_BYTES")
@pytest.mark.parametrize("effect", [UpdateCard, SendCard], ids=["an update", "a new card"])
def test_a_card_of_30_kb_is_sent_and_one_byte_more_is_refused(effect: Any) -> None:
    """Without a call: it is known to fail."""
    rulings = [before(effect(card_of(size)), head=head(), face=None, now=NOW) for size in (30 * 1024, 30 * 1024 + 1)]
    assert [Go(), Refuse(reason="too_large")] == rulings


@holds("Sizes", "TEXT_BYTES")
def test_a_text_of_150_kb_is_sent_and_one_byte_more_is_refused() -> None:
    """By the bytes that are sent: a Chinese character is three, a line break two, and ``{"text":""}`` eleven."""
    longest = "\n" * 512 + "好" * (50 * 1024 - 345)
    texts = [longest, longest + "x"]
    rulings = [before(SendText(text), head=head(), face=None, now=NOW) for text in texts]
    assert [Go(), Refuse(reason="too_large")] == rulings


@holds("Idempotency", "UUID_CHARS")
def test_the_uuid_of_a_send_has_50_characters_at_most() -> None:
    """However long the ids are that it is made of."""
    assert len(idempotency_key(AppId("cli_" + "x" * 200), EventId("e" * 500), 1023)) <= 50


@holds("Idempotency", "UUID_VALID_MS")
def test_an_ambiguous_send_is_repeated_within_its_hour_and_not_later() -> None:
    """With a minute to spare, because the call has yet to arrive; then it can no longer be told."""
    begun = head(begun_at=NOW)
    ages = (59 * MINUTE_MS - 1, 59 * MINUTE_MS, HOUR_MS)
    rulings = [before(SendText("x"), head=begun, face=None, now=NOW + age) for age in ages]
    assert [Go(), Unknown(), Unknown()] == rulings


@holds("Access tokens", "TOKEN_REFRESH_S")
async def test_an_access_token_is_renewed_with_30_minutes_left_and_not_earlier() -> None:
    """Earlier, the platform would answer with the same one."""
    asked: list[str] = []

    async def fetch(_app: AppId, _tenant: TenantKey) -> Token:
        asked.append("t")
        return Token(value=f"t-{len(asked)}", expires_in_s=7_200)

    clock = ManualClock()
    tokens = Tokens(fetch, clock)
    counts = []
    for wait_s in (0, 7_200 - 1_801, 1):
        clock.advance(wait_s)
        await tokens.get(APP, TenantKey("t1"))
        await asyncio.sleep(0)
        counts.append(len(asked))
    assert [1, 1, 2] == counts


@holds("Card update tokens", "CARD_TOKEN_VALID_MS", "CARD_TOKEN_USES")
@pytest.mark.parametrize(
    ("uses", "age_ms", "shown"),
    [(1, 0, True), (2, 0, False), (0, 30 * MINUTE_MS - 1, True), (0, 30 * MINUTE_MS, False)],
    ids=["the second use", "a third use", "just under 30 minutes", "30 minutes"],
)
def test_the_right_of_a_click_is_used_twice_within_30_minutes(uses: int, age_ms: int, *, shown: bool) -> None:
    """Beyond either, no call is made."""
    right = token(uses=uses, age_ms=age_ms)
    way = way_of(UpdateCard({}), shown_to(audience="ou_1"), face=None, right=right, now=NOW)
    assert (Way if shown else NoWay) is type(way)


def sent(card_format: CardFormat, age_ms: int) -> FaceRow:
    """Return a card that was sent so long ago."""
    return FaceRow(app_id=APP, message_id=CARD, sent_at=NOW - age_ms, card_format=card_format)


@holds("Validity", "INTERACTIVE_DAYS", "DAY_MS")
@pytest.mark.parametrize(("card_format", "days"), [("1.0", 30), ("2.0", 14)], ids=["1.0, 30 days", "2.0, 14 days"])
def test_a_click_is_decided_for_so_many_days(card_format: CardFormat, days: int) -> None:
    """And an hour more, because the platform let it through; then no handler is called."""
    ages = (days * DAY_MS, days * DAY_MS + HOUR_MS - 1, days * DAY_MS + HOUR_MS)
    assert [None, None, "expired"] == [refuse_click(sent(card_format, age), NOW) for age in ages]


@holds("Validity", "UPDATABLE_DAYS")
@pytest.mark.parametrize("card_format", ["1.0", "2.0"], ids=["1.0, 14 days", "2.0, 14 days"])
def test_a_card_is_updated_for_14_days(card_format: CardFormat) -> None:
    """To the millisecond; nor is a later attempt planned."""
    rulings = [
        before(UpdateCard({}), head=head(), face=sent(card_format, 14 * DAY_MS + more), now=NOW) for more in (-1, 0)
    ]
    assert [Go(), Refuse(reason="expired")] == rulings
    old = sent(card_format, 14 * DAY_MS - 5)
    assert NOW + 4 == last_attempt_at(UpdateCard({}), head=replace(head(), decided_at=NOW), face=old)


def test_a_card_of_unknown_age_is_tried_once() -> None:
    """And the platform believed (docs/reference/platform.md, "Validity")."""
    assert Go() == before(UpdateCard({}), head=head(), face=None, now=NOW + 1_000 * DAY_MS)
    assert refuse_click(None, NOW + 1_000 * DAY_MS) is None


@holds("Deadlines", "CALLBACK_DEADLINE_S")
def test_a_click_is_taken_for_unanswered_after_3_seconds() -> None:
    """As long as the platform waits: then its card is updated without a mark."""
    assert {3_000} == {effect.due_in_ms for effect in written([click()]).effects if effect.kind == "UpdateCard"}


def test_every_documented_number_is_held_by_a_test() -> None:
    """A new one comes with its own."""
    constants = {name for name in vars(limits) if name.isupper()}
    rates = {field.name for field in fields(Limits)}
    assert constants | rates == HERE.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_number_that_is_held_elsewhere_is(name: str) -> None:
    """By a test of that name."""
    _, file, words = ELSEWHERE[name]
    tests = re.findall(r"def (test_\w+)", (ROOT / "tests" / "unit" / file).read_text())
    assert [test for test in tests if words in test]


def test_every_number_cites_a_section() -> None:
    """In which an official document is named."""
    cited = {*HERE.values(), *(section for section, _, _ in ELSEWHERE.values())}
    assert [] == sorted(section for section in cited if "https://open.feishu.cn/document/" not in _sections()[section])
