"""Whatever is changed about a request that comes in, it comes in no more."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.accept import Gate
from gateway.admission import Admission, Admitted, CallbackHeaders
from gateway.answer import Answers
from gateway.append import Appender
from gateway.reply import Arrival
from shared.app.app import App
from shared.clock import ManualClock
from shared.core.errors import CallbackRejected
from shared.core.ids import AppId
from shared.eventlog.port import Topics
from shared.observability.metrics import GATEWAY_METRICS, Metrics
from tests.support.admitting import BOTH_STYLES, headers_of
from tests.support.callbacks import (
    APP_ID,
    NOW,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
)
from tests.support.testable_log import TestableLog

ADMISSION = Admission(BOTH_STYLES)
TOKEN_ONLY = Admission(replace(BOTH_STYLES, encrypt_keys=()))
NEW = signed(encrypted(click()))
LEGACY = signed_legacy(plain(legacy_click()))
SIGNED_HEADERS = ("X-Lark-Signature", "X-Lark-Request-Timestamp", "X-Lark-Request-Nonce")


def _comes_in(wire: Wire) -> bool:
    try:
        ADMISSION.admit(wire.body, headers_of(wire), now=NOW)
    except CallbackRejected:
        return False
    return True


wires = st.sampled_from([NEW, LEGACY])


@given(wires, st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_the_body_is_refused(wire: Wire, at: int, flip: int) -> None:
    """The signature covers every byte."""
    assert _comes_in(wire)
    at %= len(wire.body)
    assert not _comes_in(Wire(body=_flipped(wire.body, at, flip), headers=wire.headers))


@given(wires, st.sampled_from(SIGNED_HEADERS), st.integers(min_value=0), st.integers(min_value=1, max_value=127))
def test_any_changed_character_of_a_signed_header_is_refused(wire: Wire, name: str, at: int, flip: int) -> None:
    """Time and nonce are covered too."""
    text = wire.headers[name].encode()
    changed = _flipped(text, at % len(text), flip).decode("latin-1")
    assert not _comes_in(Wire(body=wire.body, headers={**wire.headers, name: changed}))


@given(wires, st.integers(min_value=0), st.booleans())
def test_a_body_cut_short_or_grown_is_refused(wire: Wire, at: int, grown: bool) -> None:  # noqa: FBT001 -- drawn
    """Not a prefix, not a suffix more."""
    body = wire.body + wire.body[: at % 50 + 1] if grown else wire.body[: at % len(wire.body)]
    assert not _comes_in(Wire(body=body, headers=wire.headers))


@given(st.binary(max_size=300), st.text(max_size=70), st.text(max_size=20), st.text(max_size=20))
def test_nothing_made_up_comes_in(body: bytes, signature: str, timestamp: str, nonce: str) -> None:
    """Any bytes, any headers: a refusal, and never an error of ours."""
    headers = CallbackHeaders(signature=signature, timestamp=timestamp, nonce=nonce)
    for admission in (ADMISSION, TOKEN_ONLY):
        try:
            came: object = admission.admit(body, headers, now=NOW)
        except CallbackRejected as refused:
            came = refused.http_status
        assert 401 == came


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_signed_body_is_answered_with_200(content: Any) -> None:
    """Whatever the platform may think of: an honest body is never a 401 or a 500."""
    assert 200 == asyncio.run(_status(signed(encrypted(content))))


@given(json_values, st.sampled_from(["action", "operator", "context", "token", "host"]))
def test_any_value_at_any_place_of_a_click_is_an_honest_click(content: Any, place: str) -> None:
    """Unknown types where a document names others."""
    body = click()
    body["event"][place] = content
    wire = signed(encrypted(body))
    assert isinstance(ADMISSION.admit(wire.body, headers_of(wire), now=NOW), Admitted)
    assert 200 == asyncio.run(_status(wire))


async def _status(wire: Wire) -> int:
    clock, metrics, log = ManualClock(NOW), Metrics(*GATEWAY_METRICS), TestableLog()
    appender = Appender(log, clock=clock, metrics=metrics)
    appender.start()
    answers = Answers(App(), metrics=metrics)
    gate = Gate(
        app_id=AppId(APP_ID),
        admission=ADMISSION,
        app=App(),
        answers=answers,
        appender=appender,
        topics=Topics(),
        clock=clock,
        metrics=metrics,
    )
    reply = await gate.accept(Arrival(body=wire.body, headers=headers_of(wire), started=clock.monotonic()))
    gate.answered(reply, delivered=True)
    await appender.close()
    answers.close()
    assert isinstance(json.loads(reply.body), dict)
    assert reply.outcome in {"recorded", "parked"}
    return reply.status


def _flipped(text: bytes, at: int, flip: int) -> bytes:
    return text[:at] + bytes([text[at] ^ flip]) + text[at + 1 :]
