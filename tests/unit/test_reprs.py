"""What the values of a click's way say of themselves: a repr ends up in an error, and an error in a line."""

import pytest

from gateway.admission import Admission, Admitted, CallbackHeaders, Verification
from gateway.reply import Arrival
from gateway.settings import GatewaySettings
from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.codec import encode
from shared.core.events import InteractionReceived
from shared.core.ids import AppId
from shared.eventlog.port import NewRecord, Topics
from shared.feishu.callback import parse
from shared.feishu.crypto import Cipher
from shared.feishu.openapi import ApiReply, send_text, tenant_token
from simulator.settings import SimulatorSettings
from tests.support.admitting import BOTH_STYLES
from tests.support.callbacks import (
    APP_ID,
    CARD_TOKEN,
    ENCRYPT_KEY,
    VERIFICATION_TOKEN,
    Wire,
    click,
    encrypted,
    legacy_click,
    plain,
    signed,
    signed_legacy,
    verification,
)
from tests.support.doorway import doorway
from tests.support.planted import found_in
from worker.settings import WorkerSettings

TEXT = "planted-in-a-text-70b3"
ENV = {
    "LARK_APP_ID": APP_ID,
    "LARK_APP_SECRET": TEXT,
    "LARK_ENCRYPT_KEY": ENCRYPT_KEY,
    "LARK_VERIFICATION_TOKEN": VERIFICATION_TOKEN,
    "CARDWIRE_APP": "unused:app",
    "CARDWIRE_LOG": "sqlite:///unused.db",
    "CARDWIRE_LEDGER": f"postgresql://u:{TEXT}@db/cardwire",
}
BODY = click(value={"action": TEXT})


def _headers(wire: Wire) -> CallbackHeaders:
    return CallbackHeaders(signature=wire.headers["X-Lark-Signature"], nonce=TEXT)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, id=f"{number} {type(value).__name__}")
        for number, value in enumerate(
            (
                BOTH_STYLES,
                Admission(BOTH_STYLES),
                Cipher(ENCRYPT_KEY),
                GatewaySettings.load(ENV),
                WorkerSettings.load(ENV),
                SimulatorSettings.load({**ENV, "CARDWIRE_SIMULATOR_CALLBACK": "http://127.0.0.1:7777/card"}),
                Arrival(body=plain(BODY), headers=_headers(signed(encrypted(BODY))), started=0.0),
                parse(plain(BODY)),
                parse(plain(legacy_click())),
                parse(plain(verification())),
                parse(encrypted(BODY)),
                Admitted(callback=parse(plain(BODY)), signature=signed_legacy(plain(BODY)).headers["X-Lark-Signature"]),  # type: ignore[arg-type]  # it is a click
                Verification(challenge=TEXT),
                NewRecord(topic="t", key="k", value=plain(BODY), headers=(), timestamp=0),
                tenant_token(AppId(APP_ID), TEXT),
                send_text("oc_1", TEXT, uuid="u"),
                ApiReply(status=200, body=TEXT.encode()),
            )
        )
    ],
)
def test_a_repr_tells_no_secret(value: object) -> None:
    """Nor what somebody typed."""
    assert found_in(f"{value!r} {value}") is None
    assert found_in(repr([value])) is None


async def test_a_click_tells_no_secret_anywhere_on_its_way() -> None:
    """From the reply to the record and what handlers see."""
    async with doorway(App(), app_id=APP_ID, verification_token=VERIFICATION_TOKEN, encrypt_key=ENCRYPT_KEY) as door:
        replies = [
            await door.send(wire)
            for wire in (signed(encrypted(BODY)), signed_legacy(plain(legacy_click())), signed(encrypted(b"nonsense")))
        ]
        events = await door.events()
        records = [await door.log.all(topic) for topic in (Topics().interactions, Topics().dead)]
    interactions = [Interaction(event) for event in events if isinstance(event, InteractionReceived)]
    assert 2 == len(interactions)
    encoded = [encode(event) for event in events]
    assert found_in(repr((replies, events, records, interactions, encoded))) is None
    assert CARD_TOKEN in str([bytes(record.value) for each in records for record in each])
