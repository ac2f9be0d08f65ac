"""What people type into forms can be kept out of everything that is written, whichever way it came."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from cardwire import Toast
from gateway.app import serve
from gateway.settings import GatewaySettings
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.events import InteractionReceived
from simulator.app import run_simulator
from simulator.settings import SimulatorSettings
from tests.scenario.handlers import BLANK
from tests.support.apps import ALERTS, BILLING, several
from tests.support.world import ENCRYPTED, LONG_CONNECTION, files, world

TYPED = "what-nobody-is-to-keep"
VALUE = {"action": "submit", "of": "what-is-kept"}
FORM = {"note": TYPED}
KEPT_OUT = {"CARDWIRE_KEEP_FORM_VALUE": "false"}


def _app(seen: list[object]) -> App:
    app = App()

    @app.on_action("submit", answer=Toast.info("ok"))
    def submit(click: Interaction, card: Card | None) -> Decision:
        seen.append(click.form_value)
        return Decision(state=click.form_value)

    return app


def _written(folder: Path) -> bytes:
    """Return all bytes of all files."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("how", [ENCRYPTED, LONG_CONNECTION], ids=["webhook", "long connection"])
@pytest.mark.parametrize("keeps", [False, True], ids=["kept out", "kept"])
async def test_what_was_typed_is_in_no_file_and_no_handlers_hands(
    tmp_path: Path,
    how: Mapping[str, str],
    keeps: bool,  # noqa: FBT001
) -> None:
    """Neither log nor ledger has it; the rest of the click is decided as ever. Without the setting all have it."""
    seen: list[object] = []
    credentials = how if keeps else {**how, **KEPT_OUT}
    async with world(files(tmp_path), _app(seen), credentials=credentials) as running:
        message_id = running.simulator.put_card(await running.chat(), BLANK)
        told = await running.simulator.click(message_id, VALUE, form_value=FORM)
        assert (200, "ok") == (told.status, told.client_text)
        await running.quiet()
        written = _written(tmp_path)
    assert [FORM if keeps else None] == seen
    assert (True, keeps) == (b"what-is-kept" in written, TYPED.encode() in written)


@pytest.mark.parametrize("keeps", [False, True], ids=["kept out", "kept"])
async def test_what_was_typed_is_in_no_spill(tmp_path: Path, keeps: bool) -> None:  # noqa: FBT001
    """While there is no broker, clicks lie on the gateway's disk: without it."""
    spill = tmp_path / "spill"
    env = {
        "LARK_APP_ID": "cli_a1b2c3d4e5f60718", "LARK_APP_SECRET": "s3cr3t-not-real", "CARDWIRE_APP": "tests:app",
        "CARDWIRE_PORT": "0", "CARDWIRE_ADMIN_PORT": "0", "CARDWIRE_SIMULATOR_PORT": "0",
        "CARDWIRE_LOG": "kafka://127.0.0.1:1", "CARDWIRE_SPILL": str(spill), **ENCRYPTED,
    }  # fmt: skip
    settings = GatewaySettings.load(env if keeps else {**env, **KEPT_OUT})
    async with run_simulator(SimulatorSettings.load(env)) as simulator, serve(settings, _app([])) as gateway:
        simulator.callback_urls = (f"{gateway.url}/webhook/card",)
        message_id = simulator.put_card(simulator.platform.new_chat("chat").chat_id, BLANK)
        told = await simulator.click(message_id, VALUE, form_value=FORM)
        assert (200, "ok") == (told.status, told.client_text)
        written = _written(spill)
    assert (True, keeps) == (b"what-is-kept" in written, TYPED.encode() in written)


@pytest.mark.parametrize(
    ("alerts", "kept"),
    [
        pytest.param({"keep_form_value": "false"}, (None, False), id="no form_value"),
        pytest.param({}, (FORM, True), id="everything"),
    ],
)
async def test_each_app_says_what_of_its_callbacks_is_recorded(
    tmp_path: Path, alerts: Mapping[str, str], kept: tuple[object, bool]
) -> None:
    """The other app records forms and no callbacks, whatever this one does; both records lie in one topic."""
    billing = {**BILLING, "keep_callback": "false"}
    async with several(files(tmp_path), tmp_path, _app([]), alerts={**ALERTS, **alerts}, billing=billing) as running:
        for platform in (running.alerts, running.billing):
            message_id = platform.put_card(platform.platform.new_chat("chat").chat_id, BLANK)
            assert 200 == (await platform.click(message_id, VALUE, form_value=FORM)).status
        await running.world.quiet()
        recorded = {
            str(one.app_id): (json.loads(one.action.form_value or "null"), one.callback is not None)
            for one in await running.world.events(running.world.topics.interactions)
            if isinstance(one, InteractionReceived)
        }
    assert {ALERTS["app_id"]: kept, BILLING["app_id"]: (FORM, False)} == recorded
