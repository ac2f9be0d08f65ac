"""Requests at the gateway: what callers are told, and what is told of them."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from gateway.append import Appender
from gateway.requests.accept import MAX_UNDER_WAY, Requests, busy, stranger
from shared.clock import ManualClock
from shared.core.callers import Caller, Callers, digest
from shared.core.codec import decode
from shared.core.errors import LogUnavailable, RecordRefused
from shared.core.ids import AppId
from shared.eventlog.port import TOPICS
from shared.observability.metrics import GATEWAY_METRICS, REQUESTS, Metrics
from tests.support.testable_log import TestableLog

APP = AppId("cli_a")
STORE = AppId("cli_store")
BILLING = Caller(
    name="billing",
    apps=frozenset({APP, STORE, AppId("cli_elsewhere")}),
    effects=frozenset({"SendText"}),
    digests=(digest("tok-planted"),),
)
TEXT = b'{"request_id":"r1","app_id":"cli_a","effects":[{"kind":"SendText","text":"planted","to":"oc_1"}]}'


@pytest.fixture
def log() -> TestableLog:
    """A log that can be told to be away."""
    return TestableLog()


@pytest.fixture
def metrics() -> Metrics:
    """The gateway's numbers."""
    return Metrics(*GATEWAY_METRICS)


@pytest.fixture
def clock() -> ManualClock:
    """The gateway's clock."""
    return ManualClock(7)


@pytest.fixture
async def requests(log: TestableLog, metrics: Metrics, clock: ManualClock) -> AsyncIterator[Requests]:
    """Requests of one caller."""
    appender = Appender(log, clock=clock, metrics=metrics)
    appender.start()
    yield Requests(
        callers=Callers(by_name={"billing": BILLING}),
        apps={APP, STORE},
        stores={STORE},
        appender=appender,
        topics=TOPICS,
        clock=clock,
        metrics=metrics,
    )
    await appender.close()


async def test_an_accepted_request_is_in_the_log_with_its_id(requests: Requests, log: TestableLog) -> None:
    """202 and the id that its outcomes will have."""
    answer = await requests.accept(BILLING, TEXT)
    assert (202, {"id": "req/billing/r1"}, "accepted") == (answer.status, answer.told, answer.outcome)
    (record,) = await log.all(TOPICS.interactions)
    assert decode(record.headers, record.value) == answer.received
    assert "cli_a:req/billing/r1" == record.key


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ((b"cli_a", b"cli_b"), "the caller billing may not ask in the name of app cli_b"),
        ((b"cli_a", b"cli_elsewhere"), "the app cli_elsewhere is not served here"),
        ((b'SendText","text":', b'SendCard","card":'), "effects[0].card is no JSON object"),
        (
            (b'SendText","text":"planted","to"', b'RenameChat","name":"n","chat_id"'),
            "the caller billing may not ask for Rename",
        ),
    ],
)
async def test_what_a_caller_may_not_ask_for_is_not_recorded(
    requests: Requests, log: TestableLog, change: tuple[bytes, bytes], line: str
) -> None:
    """403 with the reason, after the body was understood; 400 before."""
    answer = await requests.accept(BILLING, TEXT.replace(*change))
    assert (400 if "JSON" in line else 403, "refused") == (answer.status, answer.outcome)
    assert answer.told["error"].startswith(line)
    assert [] == await log.all(TOPICS.interactions)


async def test_a_request_of_a_store_app_names_its_organisation(requests: Requests, log: TestableLog) -> None:
    """400 with the field that is missing; with it, it is recorded."""
    nameless = TEXT.replace(b"cli_a", b"cli_store")
    answer = await requests.accept(BILLING, nameless)
    assert (400, "refused") == (answer.status, answer.outcome)
    assert answer.told["error"].startswith("tenant_key is missing: expected the key of an organisation, because many")
    assert [] == await log.all(TOPICS.interactions)
    named = await requests.accept(BILLING, nameless.replace(b'"cli_store"', b'"cli_store","tenant_key":"t1"'))
    assert (202, "t1") == (named.status, named.received and named.received.tenant_key)


async def test_what_is_newly_allowed_is_kept_back_until_workers_know(
    requests: Requests, log: TestableLog, clock: ManualClock
) -> None:
    """503 with the time to wait, nothing recorded; then 202. What was allowed before is not held up."""
    wider = replace(BILLING, effects=BILLING.effects | {"RenameChat"})
    rename = b'{"request_id":"r2","app_id":"cli_a","effects":[{"kind":"RenameChat","name":"n","chat_id":"oc_1"}]}'
    requests.renew(Callers(by_name={"billing": wider}))
    clock.advance(1.5)
    early = await requests.accept(wider, rename)
    assert (503, "not_recorded", 5) == (early.status, early.outcome, early.after_s)
    assert (
        "this is allowed here since 1 s, and workers may not know it yet: expected a pause, send the same request_id "
        "again in 5 s"
    ) == early.told["error"]
    assert [] == await log.all(TOPICS.interactions)
    assert 202 == (await requests.accept(wider, TEXT)).status
    clock.advance(early.after_s)
    assert 202 == (await requests.accept(wider, rename)).status


async def test_what_is_no_longer_allowed_counts_at_once(requests: Requests) -> None:
    """A token that is taken away is nobody's."""
    requests.renew(Callers())
    assert requests.who("Bearer tok-planted") is None


async def test_a_log_that_is_away_is_told_as_such(requests: Requests, log: TestableLog) -> None:
    """503: it may be in the log, and sending it again is safe."""
    log.error = LogUnavailable("away")
    answer = await requests.accept(BILLING, TEXT)
    assert (503, "not_recorded") == (answer.status, answer.outcome)
    assert "send the same request_id again" in answer.told["error"]


async def test_a_request_that_the_log_never_takes_is_told_to_be_too_large(requests: Requests, log: TestableLog) -> None:
    """413: sending it again would not help."""
    log.error = RecordRefused("too large")
    answer = await requests.accept(BILLING, TEXT)
    assert (413, "refused") == (answer.status, answer.outcome)


def test_only_so_many_are_under_way(requests: Requests) -> None:
    """Who is one too many has no room until another one is done."""
    with ExitStack() as stack:
        assert all(stack.enter_context(requests.room(BILLING)) for _ in range(MAX_UNDER_WAY))
        with requests.room(BILLING) as has_room:
            assert not has_room
    with requests.room(BILLING) as has_room:
        assert has_room
    assert (429, "busy") == (busy().status, busy().outcome)


def test_no_caller_takes_the_room_of_another(requests: Requests) -> None:
    """Each has its share, which is smaller where there are more, and one place at least."""
    others = {f"c{n}": replace(BILLING, name=f"c{n}") for n in range(3)}
    requests.renew(Callers(by_name={"billing": BILLING, **others}))
    with ExitStack() as stack:
        taken = [stack.enter_context(requests.room(BILLING)) for _ in range(MAX_UNDER_WAY)]
        assert MAX_UNDER_WAY // 4 == sum(taken)
        assert all(stack.enter_context(requests.room(other)) for other in others.values())
    many = {f"c{n}": replace(BILLING, name=f"c{n}") for n in range(MAX_UNDER_WAY + 1)}
    requests.renew(Callers(by_name=many))
    with ExitStack() as stack:
        assert all(stack.enter_context(requests.room(each)) for each in many.values())


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic tok-planted", "tok-planted", "Bearer tok"])
async def test_nobody_is_let_in_without_a_token(requests: Requests, header: str | None) -> None:
    """Whatever else the header says."""
    assert requests.who(header) is None
    assert 401 == stranger().status


async def test_a_token_is_taken_as_http_allows_it_to_be_written(requests: Requests) -> None:
    """The scheme's case is free."""
    assert [BILLING, BILLING] == [requests.who(f"{scheme} tok-planted") for scheme in ("Bearer", "bearer")]


async def test_each_request_is_one_line_and_one_count(
    requests: Requests, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    """With who asked for what, and nothing of what is to be shown."""
    requests.answered(BILLING, await requests.accept(BILLING, TEXT), started=0)
    requests.answered(None, stranger(), started=0)
    accepted, refused = capsys.readouterr().out.splitlines()
    assert all(part in accepted for part in ("req/billing/r1", "SendText", "billing", "202"))
    assert all(part in refused for part in ("unknown", "401"))
    assert "planted" not in accepted
    assert 1 == metrics.value(REQUESTS, "billing", "accepted") == metrics.value(REQUESTS, "unknown", "refused")
