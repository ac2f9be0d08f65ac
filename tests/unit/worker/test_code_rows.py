"""
What each documented code of the platform makes the worker do: called, answered with the code, and settled.

A test for every row of the table, named by the code and by the section of docs/reference/platform.md that holds its
official source; what follows from a code stands here in words of what is stored, not in those of the table.
"""

from typing import Any

import orjson
import pytest

from shared.clock import ManualClock
from shared.core.effects import PlatformEffect, SendText, UpdateCard
from shared.core.ids import AppId, TenantKey
from shared.eventlog.port import Topics
from shared.feishu.codes import CODES, SECTIONS, Verdict
from shared.feishu.openapi import ApiReply, ApiRequest
from tests.unit.feishu.test_codes import EXPECTED
from tests.unit.feishu.test_platform_reference import _sections
from tests.unit.worker.test_answered import NOW, head
from worker.ledger.leased import Leased, TargetKey
from worker.performing.attempt import attempt
from worker.performing.choose import Choice
from worker.performing.job import Job
from worker.performing.result import result
from worker.performing.superseding import Superseded
from worker.performing.turn import Result, Turn
from worker.policy import Go

SECOND_MS = 1_000
NAMED = {
    230031: "expired",
    200750: "expired",
    200510: "streaming_off",
    200850: "streaming_off",
    300309: "streaming_off",
}
"""Refusals that are told by a reason of their own, because somebody may act on it."""

REFUSED_FOR_NOW = {200810, 300317}
"""CardKit did nothing: somebody is just answering a click on the card, or the sequence is behind."""

ONES_OWN = {230020, 232019, 11233}
"""Limits of one message, one group, one chat: their own affair."""


class Answering:
    """A platform that answers every call with one code."""

    def __init__(self, code: int, status: int = 400, reset: str | None = None) -> None:
        headers = {} if reset is None else {"x-ogw-ratelimit-reset": reset}
        self._reply = ApiReply(status=status, headers=headers, body=orjson.dumps({"code": code, "msg": "no"}))

    async def call(self, app_id: AppId, tenant_key: TenantKey, request: ApiRequest) -> ApiReply:
        """Answer."""
        return self._reply


async def came_to(platform: Answering, effect: PlatformEffect | None = None, **fields: Any) -> Result:
    """Return what is settled of a first call that is answered so."""
    wanted = effect or UpdateCard({"elements": []})
    of = head(kind=type(wanted).__name__, index=1, delivered=None, coalesce="card", decided_at=NOW, **fields)
    leased = Leased(key=TargetKey(of.app_id, of.target), leased_at=NOW, heads=(of,))
    older = Superseded(head=head("e0", index=1), by=f"{of.event_id}/1")
    turn = Turn(leased=leased, choice=Choice(call=of, superseded=(older,)), topics=Topics())
    job = Job(turn=turn, head=of, effect=wanted, ruling=Go(), api="im.v1.message.patch")
    made = await attempt(job, platform, ManualClock(NOW), started_at=NOW, pace_ms=0)
    return result(made, lambda: 0.0)


def rows(verdict: Verdict) -> list[Any]:
    """Return the codes of a kind, each named by itself and by where it is documented."""
    return [pytest.param(code, id=f"{code} ({SECTIONS[CODES[code].source]})") for code in sorted(EXPECTED[verdict])]


def told(came: Result) -> Any:
    """Return the outcome of the call itself."""
    return next(outcome for of, outcome in came.outcomes if of.event_id == "e1")


@pytest.mark.parametrize("code", rows("target_final"))
async def test_a_code_that_is_final_for_its_target_ends_the_effect(code: int) -> None:
    """One attempt, no second one, nobody else held up."""
    came = await came_to(Answering(code))
    outcome = told(came)
    assert ("failed", True, NAMED.get(code, "platform_refused"), code, 1) == (
        outcome.status, outcome.final, outcome.reason, outcome.code, outcome.attempts,
    )  # fmt: skip
    assert (None, "failed") == (came.block_ms, came.settlement.changes[-1].status)


@pytest.mark.parametrize("code", rows("configuration"))
async def test_a_code_of_configuration_ends_the_effect_for_an_operator(code: int) -> None:
    """Kept with the reason that somebody has to act, so that it can be sent again."""
    outcome = told(await came_to(Answering(code)))
    assert ("failed", True, "configuration", code) == (outcome.status, outcome.final, outcome.reason, outcome.code)


@pytest.mark.parametrize("code", rows("rate_limit"))
async def test_a_code_of_a_rate_limit_is_waited_out_and_counts_no_attempt(code: int) -> None:
    """At least a second; and where it is the limit of an API, everybody waits who calls that API."""
    came = await came_to(Answering(code))
    outcome, change = told(came), came.settlement.changes[-1]
    assert (False, 0, "rate_limit") == (outcome.final, outcome.attempts, outcome.reason)
    assert ("pending", SECOND_MS) == (change.status, change.retry_in_ms)
    assert (None if code in ONES_OWN else SECOND_MS) == came.block_ms


@pytest.mark.parametrize("code", rows("rate_limit"))
async def test_a_rate_limit_that_says_how_long_is_obeyed_by_everybody(code: int) -> None:
    """``x-ogw-ratelimit-reset``, in seconds (docs/reference/platform.md, "Rate limits")."""
    came = await came_to(Answering(code, reset="7"))
    assert (7_000, 7_000) == (came.settlement.changes[-1].retry_in_ms, came.block_ms)


@pytest.mark.parametrize("code", rows("retry"))
async def test_a_passing_code_is_tried_again_and_may_have_been_performed(code: int) -> None:
    """A send is noted as begun, and repeated under the same uuid; CardKit says so where nothing was done."""
    came = await came_to(Answering(code), SendText("hi", to="oc_1"), target="chat:oc_1")
    outcome, change = told(came), came.settlement.changes[-1]
    unsure = code not in REFUSED_FOR_NOW
    assert (False, "pending") == (outcome.final, change.status)
    assert ("no_usable_answer" if unsure else "retry", unsure, unsure) == (
        outcome.reason, change.begun, came.settlement.called,
    )  # fmt: skip


@pytest.mark.parametrize("code", rows("refresh_token"))
async def test_a_code_about_our_token_is_tried_again_and_counts_no_attempt(code: int) -> None:
    """The client has asked for a fresh one by then; nothing was done, and the target is not at fault."""
    came = await came_to(Answering(code))
    outcome = told(came)
    assert (False, 0, "refresh_token", False) == (
        outcome.final, outcome.attempts, outcome.reason, came.settlement.called,
    )  # fmt: skip


async def test_the_code_of_full_hours_holds_up_all_sends_for_a_second() -> None:
    """11232: the platform's own limit, which all of its callers share (docs/reference/platform.md, "Rate limits")."""
    came = await came_to(Answering(11232), SendText("hi", to="oc_1"), target="chat:oc_1")
    assert SECOND_MS == came.block_ms
    assert "11232" in _sections()["Rate limits"]


@pytest.mark.parametrize("code", [230031, 200750])
async def test_a_card_that_is_called_too_old_is_remembered_as_that_and_followed(code: int) -> None:
    """By its message or as an entity: no later update is tried, and what is wanted in its place is asked for."""
    came = await came_to(Answering(code), UpdateCard({"elements": []}, on_expired="successor"))
    assert (True, True) == (came.settlement.face is not None and came.settlement.face.expired, came.followed)


@pytest.mark.parametrize("code", [0, 230020, 230031])
async def test_an_outcome_tells_how_many_updates_it_stands_for(code: int) -> None:
    """Those that it took the place of, whatever came of it."""
    assert 1 == told(await came_to(Answering(code, status=400 if code else 200))).folded
