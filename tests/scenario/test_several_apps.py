"""Two apps in one gateway and one worker: a Feishu one, encrypted, and a legacy one with a token only."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from cardwire import App, Card, Interaction, RenameChat, Toast
from cardwire.demo import alert_card, app
from gateway.app import serve
from gateway.settings import GatewaySettings
from shared.core.errors import ConfigError
from shared.core.events import InteractionReceived
from shared.core.ids import AppId
from shared.observability.metrics import CALLBACKS, REFUSALS
from simulator.app import RunningSimulator, run_simulator
from simulator.history import KEPT
from simulator.seeing import Seen
from simulator.settings import SimulatorSettings
from tests.support.apps import ALERTS, BILLING, Several, alone, several, write_apps
from tests.support.commands import environment, started
from tests.support.documents import is_documented
from tests.support.dump import dump
from tests.support.world import Stack, files

VALUE = {"action": "follow_up", "alert": "支付超时率 3.2%"}


def put(platform: RunningSimulator) -> tuple[str, str]:
    """Put the alert into a new chat of an app's platform; return chat and message."""
    chat_id = platform.platform.new_chat("支付告警").chat_id
    return chat_id, platform.put_card(chat_id, alert_card("支付超时率 3.2%"))


def callers(platform: RunningSimulator) -> set[str]:
    """Return the apps whose calls a platform saw."""
    return {str(call.app_id) for call in platform.platform.history.calls.after(0, KEPT) if call.app_id}


async def press(platform: RunningSimulator, message_id: str) -> Seen:
    """Press the button."""
    seen = await platform.click(message_id, VALUE)
    assert (200, None) == (seen.status, seen.client_error)
    return seen


async def test_two_apps_are_served_and_nothing_crosses(stack: Stack, tmp_path: Path) -> None:
    """Each click is answered, decided once and shown by its own app's platform; every key begins with its app."""
    async with several(stack, tmp_path, app) as running:
        world = running.world
        cards = [(platform, *put(platform)) for platform in (running.alerts, running.billing)]
        for platform, _, message_id in cards:
            assert "正在跟进" in str((await press(platform, message_id)).body)
        await world.quiet()
        for platform, chat_id, message_id in cards:
            assert "跟进中" == platform.platform.chat(chat_id).name
            assert "跟进中" in str(platform.platform.message(message_id).card)
            assert not platform.platform.judge.violations
        assert [{ALERTS["app_id"]}, {BILLING["app_id"]}] == [callers(running.alerts), callers(running.billing)]
        decided = await world.decisions()
        assert [("decided", ALERTS["app_id"]), ("decided", BILLING["app_id"])] == sorted(
            (one.result, str(one.app_id)) for one in decided
        )
        await keys_begin_with_their_app(running)
        await world.check()


async def keys_begin_with_their_app(running: Several) -> None:
    """Fail unless each record's key, and each row of the ledger that has an app, names the app of its event."""
    world = running.world
    for topic in (world.topics.interactions, world.topics.outcomes):
        for partition, span in (await world.event_log.spans(topic)).items():
            for record in await world.event_log.read(topic, partition, span.begin, limit=1000):
                own = dict(record.headers)["ce_source"].decode().split("/")[2]
                assert own in {ALERTS["app_id"], BILLING["app_id"]}
                assert record.key.startswith(f"{own}:")
    received = [one for one in await world.events(world.topics.interactions) if isinstance(one, InteractionReceived)]
    owners = {one.event_id: one.app_id for one in received}
    assert all(owners[row["event_id"]] == row["app_id"] for row in (await dump(world.ledger.database)).effects)


async def test_what_an_app_signed_is_refused_at_the_others_path(tmp_path: Path) -> None:
    """In both directions, with the body that everybody gets who is not let in; both are counted where they came."""
    async with several(files(tmp_path), tmp_path, app) as running:
        gateway = running.world.gateway
        running.alerts.callback_url = f"{gateway.url}/webhook/billing/card"
        running.billing.callback_url = f"{gateway.url}/webhook/alerts/card"
        for platform in (running.alerts, running.billing):
            seen = await platform.click(put(platform)[1], VALUE)
            assert (401, '{"error":"rejected"}') == (seen.status, seen.body)
        assert [] == await running.world.events(running.world.topics.interactions)
        metrics = gateway.metrics
        for app_id in (ALERTS["app_id"], BILLING["app_id"]):
            assert 1 == metrics.value(CALLBACKS, app_id, "unknown", "rejected")
        assert 1 == metrics.value(REFUSALS, ALERTS["app_id"], "legacy_not_expected")
        assert 1 == metrics.value(REFUSALS, BILLING["app_id"], "encrypted_without_key")


@pytest.mark.parametrize("path", ["/card", "/webhook/card", "/webhook/event", "/webhook/other/card"])
async def test_no_app_has_the_short_paths_where_there_are_several(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody could say whose they are; a line says why, or a console that still names one would never be found out."""
    async with (
        several(files(tmp_path), tmp_path, app) as running,
        aiohttp.ClientSession() as session,
        session.post(running.world.gateway.url + path, data=b"{}") as response,
    ):
        assert 404 == response.status
    assert ("other" not in path) == ("path_without_app" in capsys.readouterr().out)


async def test_each_app_may_have_handlers_of_its_own(tmp_path: Path) -> None:
    """The same button does one thing in one app and another in the other, answers included."""
    other = App()

    @other.on_action("follow_up", answer=Toast.info("已收到"))
    def follow_up(_click: Interaction, _card: Card | None) -> list[RenameChat]:
        return [RenameChat("已付款")]

    handlers = {AppId(ALERTS["app_id"]): app, AppId(BILLING["app_id"]): other}
    async with several(files(tmp_path), tmp_path, handlers) as running:
        chats = []
        for platform, toast in ((running.alerts, "正在跟进"), (running.billing, "已收到")):
            chat_id, message_id = put(platform)
            chats.append((platform, chat_id))
            assert toast in str((await press(platform, message_id)).body)
        await running.world.quiet()
        names = [platform.platform.chat(chat_id).name for platform, chat_id in chats]
        assert ["跟进中", "已付款"] == names


async def test_clicks_of_an_app_that_the_worker_does_not_know_are_kept_and_stop_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is a dead letter; one line says which app is missing; the other app's clicks are decided."""
    async with several(files(tmp_path), tmp_path, app, known_to_worker=("alerts",)) as running:
        world = running.world
        for platform in (running.billing, running.alerts, running.billing):
            await press(platform, put(platform)[1])
        await world.quiet()
        results = sorted((one.result, one.reason or "", str(one.app_id)) for one in await world.decisions())
        assert [
            ("decided", "", ALERTS["app_id"]),
            ("failed", "unknown_app", BILLING["app_id"]),
            ("failed", "unknown_app", BILLING["app_id"]),
        ] == results
        assert set() == callers(running.billing)
        await world.check()
    lines = [line for line in capsys.readouterr().out.splitlines() if "app_unknown" in line]
    assert 1 == len(lines)
    assert BILLING["app_id"] in lines[0]
    assert "CARDWIRE_APPS" in lines[0]


async def test_each_app_may_have_a_long_connection_of_its_own(tmp_path: Path) -> None:
    """One by webhook, one connected; or both connected, and the gateway listens to nobody."""
    connected = {**BILLING, "delivery": "websocket", "callbacks": "new"}
    for alerts in (ALERTS, {**ALERTS, "delivery": "websocket"}):
        folder = tmp_path / alerts.get("delivery", "webhook")
        folder.mkdir()
        async with several(files(folder), folder, app, alerts=alerts, billing=connected) as running:
            gateway = running.world.gateway
            assert bool(gateway.url) == (alerts is ALERTS)
            assert BILLING["app_id"] in {connection.app_id for connection in gateway.connections}
            for platform in (running.alerts, running.billing):
                assert "正在跟进" in str((await press(platform, put(platform)[1])).body)
            await running.world.quiet()
            decided = [(one.result, str(one.app_id)) for one in await running.world.decisions()]
            assert [("decided", ALERTS["app_id"]), ("decided", BILLING["app_id"])] == sorted(decided)


async def test_a_long_connection_that_is_refused_names_its_app(tmp_path: Path) -> None:
    """The others' settings are not what must change."""
    async with several(files(tmp_path), tmp_path, app) as running:
        folder = tmp_path / "second"
        folder.mkdir()
        tables = {
            "billing": {**BILLING, "app_secret": "wrong", "delivery": "websocket", "domain": running.billing.url},
            "alerts": {**ALERTS, "domain": running.alerts.url},
        }
        env = {**running.world.env, "CARDWIRE_APPS": str(write_apps(folder / "apps.toml", tables))}
        with pytest.raises(ConfigError) as refused:
            async with serve(GatewaySettings.load(env), app):
                pass
    assert str(refused.value).startswith("CARDWIRE_APPS: app billing: app_secret: the platform refused the long")
    assert is_documented(str(refused.value))


@pytest.mark.slow
async def test_two_apps_run_as_processes_from_one_file(tmp_path: Path) -> None:
    """`cardwire run` serves both, and tells of no secret."""
    tables = {"alerts": ALERTS, "billing": BILLING}
    async with AsyncExitStack() as stack:
        platforms = {
            name: await stack.enter_async_context(run_simulator(SimulatorSettings.load(alone(table))))
            for name, table in tables.items()
        }
        apps = write_apps(
            tmp_path / "apps.toml", {name: {**table, "domain": platforms[name].url} for name, table in tables.items()}
        )
        own = environment(tmp_path, CARDWIRE_LOG=None, CARDWIRE_LEDGER=None)
        env = {name: text for name, text in own.items() if not name.startswith("LARK_")}
        both = stack.enter_context(started("run", env={**env, "CARDWIRE_APPS": str(apps)}, cwd=tmp_path))
        gateway = (await asyncio.to_thread(both.until, r"^gateway ready callbacks=(\S+)"))[1]
        await asyncio.to_thread(both.until, "^worker ready")
        for name, platform in platforms.items():
            platform.callback_url = f"{gateway}/webhook/{name}/card"
            chat_id, message_id = put(platform)
            await press(platform, message_id)
            async with asyncio.timeout(20):
                while platform.platform.chat(chat_id).name != "跟进中":  # noqa: ASYNC110 -- other processes work
                    await asyncio.sleep(0.05)
        assert 0 == await asyncio.to_thread(both.stop)
        told = both.out.read_text() + both.err.read_text()
        assert [] == [text for table in tables.values() for text in table.values() if "-of-" in text and text in told]
