import pytest

from shared.core.errors import ConfigError
from shared.feishu.limits import Limits
from simulator.settings import SimulatorSettings

TOKEN = {"LARK_VERIFICATION_TOKEN": "v"}


def test_only_a_way_to_prove_callbacks_is_required() -> None:
    """Nobody needs an account: app id and secret have defaults, and the receiver is the gateway's own default."""
    settings = SimulatorSettings.load(TOKEN)
    assert ("http://127.0.0.1:7777/webhook/card",) == settings.callback_urls
    assert ("127.0.0.1", 8900, Limits()) == (settings.host, settings.port, settings.limits)


def test_several_receivers_are_separated_by_commas() -> None:
    """Two gateways take turns."""
    settings = SimulatorSettings.load({**TOKEN, "CARDWIRE_SIMULATOR_CALLBACK": "http://a:1/card, http://b:2/card"})
    assert ("http://a:1/card", "http://b:2/card") == settings.callback_urls


@pytest.mark.parametrize("address", ["gateway:7777", "ftp://gateway/card", "http://gateway:port/", "http://a,b"])
def test_an_address_that_is_none_is_refused_with_an_example(address: str) -> None:
    """The line names the setting and shows what would do."""
    with pytest.raises(ConfigError, match=r"CARDWIRE_SIMULATOR_CALLBACK .* for example CARDWIRE_SIMULATOR_CALLBACK="):
        SimulatorSettings.load({**TOKEN, "CARDWIRE_SIMULATOR_CALLBACK": address})


def test_limits_are_those_of_the_worker() -> None:
    """As strict as the documents, unless told otherwise."""
    assert Limits().times(20) == SimulatorSettings.load({**TOKEN, "CARDWIRE_SIMULATOR_LIMITS": "20"}).limits
