"""No key of one app lets anything in for another, whatever its style, and whatever the other lets in."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final, Literal

from hypothesis import given
from hypothesis import strategies as st

from gateway.accept import Gate
from gateway.admission import Admission
from gateway.answer import Answers
from gateway.append import Appender
from gateway.credentials import Credentials, Style
from gateway.reply import REJECTED, Arrival
from shared.app.app import App
from shared.clock import ManualClock
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.eventlog.port import Topics
from shared.observability.metrics import GATEWAY_METRICS, Metrics
from tests.support.admitting import headers_of
from tests.support.callbacks import (
    NOW,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    subscribed,
    verification,
)
from tests.support.testable_log import TestableLog

Name = Literal["a", "b"]
Sends = Literal["encrypted", "token only", "legacy", "event", "encrypted challenge", "plain challenge", "unreadable"]
SENDS: Final[Sequence[Sends]] = (
    "encrypted", "token only", "legacy", "event", "encrypted challenge", "plain challenge", "unreadable",
)  # fmt: skip

keyed = st.sampled_from([(True, True), (True, False), (False, True)])
"""Whether an app has an Encrypt Key, and whether it has a Verification Token."""

styles = st.sampled_from(["new", "legacy", "both"])


def credentials(name: Name, has: tuple[bool, bool], style: Style, *, old: bool) -> Credentials:
    """Return an app's keys, two of each kind if an old one is still accepted."""
    has_key, has_token = has
    versions = ("", "-old") if old else ("",)
    return Credentials(
        app_id=AppId(f"cli_{name}"),
        encrypt_keys=tuple(Secret(f"key-{name}{version}") for version in versions) if has_key else (),
        verification_tokens=tuple(Secret(f"token-{name}{version}") for version in versions) if has_token else (),
        style=style if has_token else "new",
    )


def sent(name: Name, what: Sends, version: str, *, claims: Name) -> Wire:
    """Return what the owner of an app's keys can send, saying that it is of app ``claims``."""
    key, token, app_id = f"key-{name}{version}", f"token-{name}{version}", f"cli_{claims}"
    body = click(app_id=app_id, token=token)
    wires: dict[Sends, Wire] = {
        "encrypted": signed(encrypted(body, key=key), key=key),
        "token only": signed(plain(body), key=""),
        "legacy": signed_legacy(plain(legacy_click()), token=token),
        "event": signed(encrypted(subscribed(app_id=app_id), key=key), key=key),
        "encrypted challenge": signed(encrypted(verification(token), key=key), key=key),
        "plain challenge": Wire(body=plain(verification(token))),
        "unreadable": signed(b"\xff not json", key=key),
    }
    return wires[what]


async def knock(gate: Credentials, wire: Wire) -> tuple[int, bytes, int]:
    """Send it to an app's gate; return status, body and how many records it left."""
    clock, metrics, log = ManualClock(NOW), Metrics(*GATEWAY_METRICS), TestableLog()
    appender = Appender(log, clock=clock, metrics=metrics)
    appender.start()
    answers = Answers(App(), metrics=metrics)
    door = Gate(
        app_id=gate.app_id,
        admission=Admission(gate),
        app=App(),
        answers=answers,
        appender=appender,
        topics=Topics(),
        clock=clock,
        metrics=metrics,
    )
    reply = await door.accept(Arrival(body=wire.body, headers=headers_of(wire), started=clock.monotonic()))
    door.answered(reply, delivered=True)
    await appender.close()
    answers.close()
    topics = Topics()
    records = [await log.all(topic) for topic in (topics.interactions, topics.dead)]
    return reply.status, reply.body, sum(map(len, records))


@given(
    what=st.sampled_from(SENDS), version=st.sampled_from(["", "-old"]), claims=st.sampled_from(["a", "b"]),
    has=keyed, style=styles, old=st.booleans(),
)  # fmt: skip
def test_who_has_one_apps_keys_comes_in_nowhere_else(
    what: Sends, version: str, claims: Name, has: tuple[bool, bool], style: Style, *, old: bool
) -> None:
    """Not even saying that it is the other; refused in the words that everybody gets, and nothing is recorded."""
    gate = credentials("b", has, style, old=old)
    assert (401, REJECTED, 0) == asyncio.run(knock(gate, sent("a", what, version, claims=claims)))


@given(what=st.sampled_from(["encrypted", "token only", "event"]), has=keyed, style=styles)
def test_at_its_own_path_an_app_may_not_say_that_it_is_another(
    what: Sends, has: tuple[bool, bool], style: Style
) -> None:
    """The path and the body must agree."""
    gate = credentials("a", has, style, old=False)
    assert (401, REJECTED, 0) == asyncio.run(knock(gate, sent("a", what, "", claims="b")))


@given(version=st.sampled_from(["", "-old"]), what=st.sampled_from(SENDS))
def test_at_its_own_path_each_of_them_comes_in(version: str, what: Sends) -> None:
    """Or the refusals above would say nothing."""
    has = (what != "token only", True)
    gate = credentials("a", has, "both", old=True)
    status, body, records = asyncio.run(knock(gate, sent("a", what, version, claims="a")))
    assert 200 == status
    assert isinstance(json.loads(body), dict)
    assert ("challenge" not in what and what != "event") == (records > 0)
