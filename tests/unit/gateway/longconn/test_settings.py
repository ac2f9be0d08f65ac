"""What the long connection needs to be told, and what it costs those who do without."""

import subprocess
import sys

import pytest

from gateway.settings import GatewaySettings
from shared.core.errors import ConfigError

ENV = {"LARK_APP_ID": "cli_a1", "CARDWIRE_APP": "handlers:app", "CARDWIRE_LOG": "sqlite:///log.db"}


@pytest.mark.parametrize("delivery", ["websocket", "both"])
def test_a_long_connection_needs_the_apps_secret(delivery: str) -> None:
    """The line says which setting asks for it."""
    with pytest.raises(ConfigError, match=rf"LARK_APP_SECRET is missing: LARK_DELIVERY={delivery} expects it"):
        GatewaySettings.load({**ENV, "LARK_DELIVERY": delivery, "LARK_ENCRYPT_KEY": "k"})


@pytest.mark.parametrize("delivery", ["websocket", "both"])
def test_a_store_app_has_no_long_connection(delivery: str) -> None:
    """The platform opens none, and the line says what to choose instead."""
    told = {"LARK_DELIVERY": delivery, "LARK_APP_SECRET": "s", "LARK_ENCRYPT_KEY": "k", "LARK_APP_TYPE": "store"}
    with pytest.raises(ConfigError, match=f"LARK_DELIVERY={delivery} expects a custom app, because .*=webhook"):
        GatewaySettings.load({**ENV, **told})
    assert "store" == GatewaySettings.load({**ENV, **told, "LARK_DELIVERY": "webhook"}).apps[0].app_type


def test_a_long_connection_alone_needs_no_key_of_callbacks() -> None:
    """The connection says who is speaking."""
    settings = GatewaySettings.load({**ENV, "LARK_DELIVERY": "websocket", "LARK_APP_SECRET": "s"})
    assert "https://open.feishu.cn" == settings.apps[0].connection.domain


@pytest.mark.parametrize("delivery", ["webhook", "both"])
def test_beside_a_webhook_keys_are_needed_as_ever(delivery: str) -> None:
    """Or anybody could click."""
    with pytest.raises(ConfigError, match="LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN are both missing"):
        GatewaySettings.load({**ENV, "LARK_DELIVERY": delivery, "LARK_APP_SECRET": "s"})


def test_a_webhook_needs_no_secret_of_the_app() -> None:
    """It calls nobody."""
    env = {**ENV, "LARK_ENCRYPT_KEY": "k"}
    assert GatewaySettings.load(env).apps[0].connection.app_secret is None
    assert GatewaySettings.load({**env, "LARK_APP_SECRET_FILE": "/nowhere"}).apps[0].connection.app_secret is None


def test_a_webhook_does_not_load_the_protobuf_library() -> None:
    """It starts fast, and needs no frames."""
    loading = "import sys, gateway.app; sys.exit(any(name.startswith('google') for name in sys.modules))"
    assert 0 == subprocess.run([sys.executable, "-c", loading], check=False, timeout=60).returncode
