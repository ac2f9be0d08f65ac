"""
`cardwire send`: a card to a chat or a person, as a request of the command line.

It goes straight into the log, as the gateway's requests do, so it needs the log's settings and no token: whoever may
write the log may do anything anyway. The worker performs it within the platform's limits, like everything else.
"""

import asyncio
import json
import re
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from cardwire.cli.ids import expect
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.run import with_files
from shared.app.valid import object_text
from shared.core.codec import encode
from shared.core.effects import SendCard
from shared.core.errors import ConfigError
from shared.core.events import COMMAND_LINE, RequestReceived, request_event_id
from shared.core.ids import AppId, TenantKey
from shared.core.json_text import JsonText
from shared.eventlog.open import open_log
from shared.eventlog.port import NewRecord, Topics
from shared.settings import APPS, AppType, LogSettings, app_id, app_type, load, one_of_each, section, several

EXAMPLE: Final = "cardwire send --to oc_… card.json"

_TO: Final = re.compile(r"[!-~]{1,256}")
_TENANT: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TENANT_EXAMPLE: Final = "--tenant 2ed263bf32cf1651"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendApp:
    """An app that sends."""

    name: str | None = None
    app_id: AppId = app_id()
    app_type: AppType = app_type()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSettings:
    """What sending needs to know."""

    apps: tuple[SendApp, ...] = several(APPS, SendApp, check=one_of_each)
    log: LogSettings = section(LogSettings)


def send(
    env: Mapping[str, str],
    card: str,
    *,
    to: str,
    name: str | None,
    tenant: str | None,
    request_id: str | None,
    as_json: bool,
) -> None:
    """
    Record that a card is to be sent, and print the id that its outcomes will have.

    Args:
        card: Path of a file with the card's JSON, or ``-`` for standard input.
        to: A chat or a person, as for `SendCard`.
        name: Which of several apps sends it.
        tenant: In which organisation, of the many that have a store app.
        request_id: Who sends the same id again sends nothing more.

    Raises:
        ConfigError: Something given is not as expected.
        LogUnavailable: The log cannot be reached; sending the same id again is safe.
    """
    only_our_lines()
    text = _card(card)
    _check("--to", to, _TO, "a chat, a person or an address", "--to oc_…")
    expect("--to", to, "receiver", example="--to oc_…")
    known = request_id if request_id is not None else secrets.token_hex(8)
    _check("--request-id", known, _REQUEST_ID, "letters, digits, dots, colons, dashes", "--request-id invoice-1042")
    if tenant is not None:
        _check("--tenant", tenant, _TENANT, "the key of an organisation", _TENANT_EXAMPLE)
    settings = load(SendSettings, _with_log(env))
    app = _app(settings.apps, name)
    if app.app_type == "store" and tenant is None:
        raise ConfigError(
            "--tenant is missing: expected the key of an organisation, because many have a store app, for example "
            f"{_TENANT_EXAMPLE}"
        )
    request = _request(app.app_id, TenantKey(tenant or ""), known, SendCard(text, to))
    asyncio.run(_append(settings.log, request))
    typer.echo(json.dumps({"id": request.event_id}) if as_json else f"{request.event_id}: recorded")


def _card(path: str) -> JsonText:
    try:
        return object_text((sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()).decode("utf-8-sig"))
    except OSError as error:
        why = error.strerror or type(error).__name__
    except (ValueError, RecursionError):
        why = "it is no JSON object"
    raise ConfigError(
        f"the card {path} cannot be used ({why}): expected a file with a card's JSON object, or - for standard input, "
        f"for example {EXAMPLE}"
    )


def _check(option: str, text: str, pattern: re.Pattern[str], expected: str, example: str) -> None:
    if not pattern.fullmatch(text):
        raise ConfigError(f"{option} is malformed: expected {expected}, for example {example}")


def _with_log(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the log of a `cardwire run` in this folder, where it names none."""
    log = with_files(env, Path.cwd())["CARDWIRE_LOG"]
    return {**env, "CARDWIRE_LOG": log} if Path(log.removeprefix("sqlite:///")).exists() else env


def _app(apps: Sequence[SendApp], name: str | None) -> SendApp:
    named = {app.name: app for app in apps}
    if len(apps) == 1 and name is None:
        return apps[0]
    if name not in named:
        names = [known for known in named if known is not None]
        expected = f"one of {', '.join(names)}" if names else "none, because there is one app"
        example = f", for example --name {names[0]}" if names else ""
        raise ConfigError(f"--name {'is missing' if name is None else 'is no app'}: expected {expected}{example}")
    return named[name]


def _request(whose: AppId, tenant_key: TenantKey, request_id: str, effect: SendCard) -> RequestReceived:
    now = time.time_ns() // 1_000_000
    return RequestReceived(
        event_id=request_event_id(COMMAND_LINE, request_id),
        app_id=whose,
        tenant_key=tenant_key,
        caller=COMMAND_LINE,
        request_id=request_id,
        effects=(effect,),
        occurred_at=now,
        received_at=now,
    )


async def _append(settings: LogSettings, request: RequestReceived) -> None:
    topics = Topics.prefixed(settings.topic_prefix)
    event_log = open_log(settings.url, topics=topics, kafka=settings.kafka)
    try:
        await event_log.append([NewRecord.of(topics.interactions, encode(request))])
    finally:
        await event_log.close()
