import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import structlog.testing

from cardwire import App, CardAnswer, Toast
from gateway.append import Appender
from gateway.apps import SHORT_PATHS, Gates, WebhookApps, paths
from gateway.reply import Arrival, Reply
from gateway.settings import GatewayApp
from shared.app.load import Handlers, of_each
from shared.clock import ManualClock
from shared.core.errors import ConfigError
from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.eventlog.port import Topics
from shared.observability.metrics import GATEWAY_METRICS, Metrics
from shared.settings import CallbackSettings, ConnectionSettings
from tests.support.admitting import headers_of
from tests.support.callbacks import NOW, Wire, click, encrypted, legacy_click, plain, signed, signed_legacy
from tests.support.testable_log import TestableLog

ALERTS, BILLING = AppId("cli_alerts"), AppId("cli_billing")


def told(name: str | None, app_id: AppId = ALERTS, **callbacks: Any) -> GatewayApp:
    """Return an app's settings."""
    keys: dict[str, Any] = {name: Secret(text) if name != "style" else text for name, text in callbacks.items()}
    return GatewayApp(
        name=name,
        app_id=app_id,
        callbacks=CallbackSettings(**keys),
        connection=ConnectionSettings(),
        handlers="handlers:app",
    )


ALERTS_TOLD = told("alerts", encrypt_key="key-a", verification_token="token-a", style="both")
BILLING_TOLD = told("billing", BILLING, verification_token="token-b", style="both")


def _click(event_id: str = "ev1", *, key: str = "key-a") -> Wire:
    return signed(encrypted(click(event_id, app_id=ALERTS, token="token-a"), key=key), key=key)


@dataclass(kw_only=True)
class World:
    """Apps behind a webhook, and their gates."""

    apps: WebhookApps
    gates: Gates

    async def send(self, wire: Wire, path: str) -> Reply:
        """Send a request to a path."""
        return await self.apps.routes[path].accept(
            Arrival(body=wire.body, headers=headers_of(wire), started=self.gates.clock.monotonic())
        )


@asynccontextmanager
async def world(*apps: GatewayApp, handlers: Handlers | None = None) -> AsyncIterator[World]:
    """Serve apps by webhook."""
    clock, metrics = ManualClock(NOW), Metrics(*GATEWAY_METRICS)
    appender = Appender(TestableLog(), clock=clock, metrics=metrics)
    appender.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(appender.close)
        gates = Gates(
            handlers=of_each(handlers or App(), apps),
            appender=appender,
            topics=Topics(),
            clock=clock,
            metrics=metrics,
        )
        stack.callback(gates.close)
        yield World(apps=WebhookApps(apps, gates.gate), gates=gates)


class TestPaths:
    """Where callbacks are received."""

    async def test_the_only_app_has_the_short_paths(self) -> None:
        """As the platform's tutorials have them."""
        async with world(replace(ALERTS_TOLD, name=None)) as only:
            assert set(SHORT_PATHS) == set(only.apps.routes)
            assert "recorded" == (await only.send(_click(), "/card")).outcome

    async def test_each_of_several_has_its_own(self) -> None:
        """And nobody the short ones."""
        async with world(ALERTS_TOLD, BILLING_TOLD) as several:
            assert {*paths("alerts"), *paths("billing")} == set(several.apps.routes)
            assert "recorded" == (await several.send(_click(), "/webhook/alerts/card")).outcome
            assert "recorded" == (await several.send(_click("ev2"), "/webhook/alerts/event")).outcome

    async def test_who_comes_by_the_long_connection_alone_has_none(self) -> None:
        """Nobody could be let in there."""
        connected = replace(BILLING_TOLD, callbacks=CallbackSettings(delivery="websocket"))
        async with world(ALERTS_TOLD, connected) as several:
            assert set(paths("alerts")) == set(several.apps.routes)


class TestRefusals:
    """What is not this app's."""

    async def test_the_hint_names_the_app_and_the_field(self) -> None:
        """In the words of the file; in a log line only."""
        async with world(ALERTS_TOLD, BILLING_TOLD) as several:
            reply = await several.send(_click(key="key-b"), "/webhook/alerts/card")
            assert "CARDWIRE_APPS: app alerts: compare encrypt_key with the developer console" == reply.hint
            with structlog.testing.capture_logs():
                several.apps.routes["/webhook/alerts/card"].answered(reply, delivered=True)

    async def test_an_app_without_any_key_is_not_served(self) -> None:
        """The line names it."""
        with pytest.raises(ConfigError, match="CARDWIRE_APPS: app alerts: encrypt_key and verification_token are both"):
            async with world(told("alerts"), BILLING_TOLD):
                pass

    async def test_an_answer_that_is_too_large_names_the_app(self) -> None:
        """Its handlers are those of the file."""
        app = App()
        app.on_action(answer=CardAnswer({"n": "x" * 40_000}))(lambda _click, _card: [])
        with pytest.raises(ConfigError, match="CARDWIRE_APPS: app billing: handlers: the answer of"):
            async with world(ALERTS_TOLD, BILLING_TOLD, handlers={ALERTS: App(), BILLING: app}):
                pass


class TestHandlers:
    """Whose answers are given."""

    async def test_each_app_answers_by_its_own_handlers(self) -> None:
        """A press of the same button."""
        handlers = {ALERTS: _answering("正在跟进"), BILLING: _answering("已收到")}
        async with world(ALERTS_TOLD, BILLING_TOLD, handlers=handlers) as several:
            one = await several.send(_click(), "/webhook/alerts/card")
            other = await several.send(signed_legacy(plain(legacy_click()), token="token-b"), "/webhook/billing/card")
        assert ("正在跟进", "已收到") == tuple(
            next(text for text in ("正在跟进", "已收到") if text in reply.body.decode()) for reply in (one, other)
        )


def _answering(text: str) -> App:
    app = App()

    @app.on_action("follow_up", answer=Toast.info(text))
    def follow_up(_click: object, _card: object) -> None: ...

    return app


class TestRenewal:
    """Keys that change while the gateway runs."""

    @staticmethod
    def _changed(**keys: Secret | None) -> GatewayApp:
        return replace(ALERTS_TOLD, callbacks=replace(ALERTS_TOLD.callbacks, **keys))  # type: ignore[arg-type]

    async def _outcomes(self, several: World, *keys: str) -> Mapping[str, str]:
        return {key: (await several.send(_click(f"ev-{key}", key=key), "/webhook/alerts/card")).outcome for key in keys}

    async def test_a_key_is_changed_in_three_steps_and_no_click_is_refused(self) -> None:
        """First both are accepted, then the console changes, then the old one goes."""
        async with world(ALERTS_TOLD, BILLING_TOLD) as several:
            assert {"key-a": "recorded", "key-n": "rejected"} == await self._outcomes(several, "key-a", "key-n")
            both = self._changed(encrypt_key=Secret("key-n"), encrypt_key_old=Secret("key-a"))
            several.apps.renew([both, BILLING_TOLD])
            assert {"key-a": "recorded", "key-n": "recorded"} == await self._outcomes(several, "key-a", "key-n")
            several.apps.renew([self._changed(encrypt_key=Secret("key-n")), BILLING_TOLD])
            assert {"key-a": "rejected", "key-n": "recorded"} == await self._outcomes(several, "key-a", "key-n")

    async def test_a_token_is_changed_the_same_way(self) -> None:
        """Legacy clicks are signed with it."""

        async def outcome(token: str) -> str:
            wire = signed_legacy(plain(legacy_click(f"om_{token}")), token=token)
            return (await several.send(wire, "/webhook/alerts/card")).outcome

        async with world(ALERTS_TOLD, BILLING_TOLD) as several:
            assert "rejected" == await outcome("token-n")
            changed = self._changed(verification_token=Secret("token-n"), verification_token_old=Secret("token-a"))
            several.apps.renew([changed, BILLING_TOLD])
            assert ("recorded", "recorded") == (await outcome("token-n"), await outcome("token-a"))

    async def test_nothing_but_keys_changes(self) -> None:
        """Which styles are let in, and which apps there are, is decided at start."""
        async with world(ALERTS_TOLD, BILLING_TOLD) as several:
            stricter = self._changed(encrypt_key=Secret("key-n"))
            stricter = replace(stricter, callbacks=replace(stricter.callbacks, style="new"))
            several.apps.renew([stricter, told("new", AppId("cli_new"), encrypt_key="k")])
            legacy = signed_legacy(plain(legacy_click()), token="token-a")
            assert "recorded" == (await several.send(legacy, "/webhook/alerts/card")).outcome
            assert {*paths("alerts"), *paths("billing")} == set(several.apps.routes)

    async def test_what_is_under_way_is_not_disturbed(self) -> None:
        """It was let in by the key of its time."""
        async with world(ALERTS_TOLD, BILLING_TOLD) as several:
            clicking = asyncio.create_task(several.send(_click(), "/webhook/alerts/card"))
            await asyncio.sleep(0)
            several.apps.renew([self._changed(encrypt_key=Secret("key-n")), BILLING_TOLD])
            assert "recorded" == (await clicking).outcome
            assert {"key-a": "rejected"} == await self._outcomes(several, "key-a")
