"""What waits is listed with its reason and its next try; what is put off on purpose is not."""

import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from shared.clock import ManualClock
from shared.core.events import EffectOutcome
from tests.contract.ledger.words import Decider, effect, only, retried, settle, settling
from tests.support.commands import run
from worker.ledger.leased import EffectChange, Head
from worker.ledger.open import open_ledger
from worker.ledger.sql_ledger import SqlLedger

AGO_S = 3_600


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    """Open a ledger by a clock of an hour ago."""
    clock = ManualClock(time.time_ns() // 1_000_000 - AGO_S * 1_000)
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=clock)
    await opened.upgrade()
    await opened.begin(2)
    yield opened
    await opened.close()


def _refused(head: Head) -> EffectChange:
    told = EffectOutcome(
        event_id=head.event_id, app_id=head.app_id, tenant_key=head.tenant_key, index=head.index, k=1, kind=head.kind,
        target=head.target, status="failed", final=False, reason="configuration", code=99991672, http_status=400,
        finished_at=1,
    )  # fmt: skip
    return replace(retried(head, 7_200_000), outcome=msgspec.json.encode(told))


async def test_what_waits_is_listed(ledger: SqlLedger, tmp_path: Path) -> None:
    """Since when, why, and when it is tried next; for people and for programs."""
    await Decider(ledger).decide("e1", effect("e1"))
    leased = await only(ledger)
    await settle(ledger, settling(leased, changes=[_refused(leased.heads[0])]))
    await Decider(ledger, 1).decide("e2", effect("e2", target="timer:e2", kind="Remind", due_in_ms=86_400_000))
    env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    env["CARDWIRE_LEDGER"] = f"sqlite:///{tmp_path / 'ledger.db'}"
    for_programs = run("pending", "--json", env=env, cwd=tmp_path)
    (told,) = map(json.loads, for_programs.stdout.splitlines())
    assert ("e1/1", "UpdateCard", 1, "configuration", 99991672) == tuple(
        told[name] for name in ("id", "kind", "tries", "reason", "code")
    )
    assert 7_200_000 == told["due"] - told["wanted_at"]
    for_people = run("pending", env=env, cwd=tmp_path)
    assert "configuration: code 99991672: the app lacks a scope" in " ".join(for_people.stdout.split())
    assert for_people.stdout.endswith("1 effects have waited for more than a minute\n")
