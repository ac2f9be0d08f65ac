"""What a call is counted by: custom apps as one, store apps by organisation."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from shared.core.effects import RenameChat
from shared.core.ids import AppId, ChatId, TenantKey
from shared.core.targets import chat_target
from shared.eventlog.port import Topics
from shared.feishu.limits import Limits
from tests.unit.worker.test_answered import NOW, head
from worker.ledger.leased import BudgetKey, Leased, TargetKey
from worker.performing.choose import Choice
from worker.performing.job import Job
from worker.performing.throttle import Throttle
from worker.performing.turn import Turn
from worker.policy import Go

APP = AppId("cli_a")
API = "im.v1.chat.update"


def job(tenant: str, chat: str = "oc_1") -> Job:
    """Return a call in an organisation."""
    target = chat_target(ChatId(chat))
    of = replace(head(kind="RenameChat", index=1), tenant_key=TenantKey(tenant), target=target)
    leased = Leased(key=TargetKey(APP, target), leased_at=NOW, heads=(of,))
    turn = Turn(leased=leased, choice=Choice(call=of), topics=Topics())
    return Job(turn=turn, head=of, effect=RenameChat("n"), ruling=Go(), api=API)


@pytest.mark.parametrize(
    ("stores", "budgets"),
    [((), {BudgetKey(APP, TenantKey(""), API): 3}),
     ((APP,), {BudgetKey(APP, TenantKey("t1"), API): 2, BudgetKey(APP, TenantKey("t2"), API): 1})],
)  # fmt: skip
def test_a_store_app_has_a_budget_for_each_organisation(
    stores: Collection[AppId], budgets: dict[BudgetKey, int]
) -> None:
    """The documents count by app, organisation and API; an app of one's own has one organisation."""
    wants = Throttle(Limits(), frozenset(stores)).wants([job("t1"), job("t2"), job("t1")])
    assert budgets == {key: calls for key, (calls, _) in wants.items()}


def test_what_one_organisation_is_told_to_wait_for_holds_up_no_other() -> None:
    """A rate limit's answer is about its own budget."""
    throttle = Throttle(Limits(), frozenset({APP}))
    throttle.silence(throttle.budget(job("t1")), NOW + 5_000)
    silenced = throttle.silenced(job("t1"), NOW)
    assert silenced is not None
    assert 5_000 == silenced.settlement.pace_ms
    assert throttle.silenced(job("t2"), NOW) is None


def test_calls_of_two_organisations_are_spaced_apart_from_each_other() -> None:
    """Each begins at its own reservation."""
    throttle = Throttle(Limits(), frozenset({APP}))
    jobs = [job("t1"), job("t1"), job("t2")]
    waits = {throttle.budget(job("t1")): 100, throttle.budget(job("t2")): 0}
    ready, put_off = throttle.spaced(jobs, waits, NOW)
    assert [] == put_off
    assert [0.1, 0.0] == [ready[0].wait_s, ready[2].wait_s]
    assert ready[1].wait_s > ready[0].wait_s
