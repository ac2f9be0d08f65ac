import math

import pytest

from shared.core.errors import ConfigError
from simulator.settings import SimulatorSettings, limits_of

TOKEN = {"LARK_VERIFICATION_TOKEN": "v"}


def test_only_a_way_to_prove_callbacks_is_required() -> None:
    """Nobody needs an account: app id and secret have defaults, and the receiver is the gateway's own default."""
    settings = SimulatorSettings.load(TOKEN)
    assert ("http://127.0.0.1:7777/webhook/card",) == settings.callback_urls
    assert ("127.0.0.1", 8900, 1.0) == (settings.host, settings.port, settings.limits)


def test_several_receivers_are_separated_by_commas() -> None:
    """Two gateways take turns."""
    settings = SimulatorSettings.load({**TOKEN, "CARDWIRE_SIMULATOR_CALLBACK": "http://a:1/card, http://b:2/card"})
    assert ("http://a:1/card", "http://b:2/card") == settings.callback_urls


@pytest.mark.parametrize("address", ["gateway:7777", "ftp://gateway/card", "http://gateway:port/", "http://a,b"])
def test_an_address_that_is_none_is_refused_with_an_example(address: str) -> None:
    """The line names the setting and shows what would do."""
    with pytest.raises(ConfigError, match=r"CARDWIRE_SIMULATOR_CALLBACK .* for example CARDWIRE_SIMULATOR_CALLBACK="):
        SimulatorSettings.load({**TOKEN, "CARDWIRE_SIMULATOR_CALLBACK": address})


@pytest.mark.parametrize(("text", "factor"), [("20", 20.0), ("none", None)])
def test_limits_are_times_the_documented_ones(text: str, factor: float | None) -> None:
    """A number, or none at all."""
    assert factor == SimulatorSettings.load({**TOKEN, "CARDWIRE_SIMULATOR_LIMITS": text}).limits


def test_the_limits_of_a_factor() -> None:
    """No factor is no limit; nothing and less are mistakes."""
    assert (100, math.inf) == (limits_of(2).api.per_second, limits_of(None).api.per_second)
    with pytest.raises(ValueError, match="greater than 0"):
        limits_of(0)


def test_a_repr_shows_no_secret() -> None:
    """Settings may be logged."""
    assert "hidden-secret" not in repr(SimulatorSettings.load({**TOKEN, "LARK_APP_SECRET": "hidden-secret"}))
