"""The way to an address, as values: through which proxy, told what."""

import base64

import pytest

from shared.core.secret import Secret
from shared.outbound import Route, route_to

PROXY = Secret("http://ada:p%40ss%3Aword@proxy.example.com:3128")
TOLD = {"Proxy-Authorization": "Basic " + base64.b64encode(b"ada:p@ss:word").decode()}


@pytest.mark.parametrize("address", ["https://open.feishu.cn", "wss://msg-frontier.feishu.cn/ws?id=1"])
def test_a_tls_address_is_reached_by_a_tunnel(address: str) -> None:
    """The credentials are for the proxy alone: nothing is added to what the platform gets."""
    route = route_to(address, PROXY)
    assert ("http://proxy.example.com:3128", TOLD, {}) == (str(route.proxy), route.proxy_headers, route.headers)


def test_a_plain_address_is_asked_of_the_proxy_with_each_request() -> None:
    """There is no tunnel, so each request carries the credentials."""
    route = route_to("http://simulator:8900", PROXY)
    assert ("http://proxy.example.com:3128", {}, TOLD) == (str(route.proxy), route.proxy_headers, route.headers)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8900", "http://127.3.2.1", "http://[::1]:8900", "https://localhost", "ws://a.localhost"],
)
def test_this_machine_itself_is_reached_straight(address: str) -> None:
    """A proxy would look for the simulator on its own machine."""
    assert Route() == route_to(address, PROXY)


def test_without_a_proxy_everything_is_reached_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other programs read changes nothing."""
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example.com:1")
    assert Route() == route_to("https://open.feishu.cn", None)


def test_a_proxy_that_asks_for_nobody_is_told_nothing() -> None:
    """No empty credentials."""
    route = route_to("https://open.feishu.cn", Secret("https://proxy.example.com:3129"))
    assert ("https://proxy.example.com:3129", {}, {}) == (str(route.proxy), route.proxy_headers, route.headers)


def test_letters_beyond_latin_may_be_in_a_password() -> None:
    """UTF-8, as browsers and curl send it."""
    route = route_to("https://open.feishu.cn", Secret("http://ada:%E5%AF%86@proxy:1"))
    assert {"Proxy-Authorization": "Basic " + base64.b64encode("ada:密".encode()).decode()} == route.proxy_headers


def test_a_route_shows_no_credentials() -> None:
    """However it is printed."""
    for address in ("https://open.feishu.cn", "http://simulator:8900"):
        shown = repr(route_to(address, PROXY))
        assert [] == [hidden for hidden in ("ada", "word", "Basic") if hidden in shown]


@pytest.mark.parametrize(
    ("address", "proxy", "status", "expected"),
    [
        ("http://simulator:8900", PROXY, 407, "proxy refused: 407"),
        ("http://simulator:8900", PROXY, 403, None),
        ("https://open.feishu.cn", PROXY, 407, None),
        ("http://simulator:8900", None, 407, None),
    ],
)
def test_only_a_request_for_credentials_is_surely_the_proxys_own(
    address: str, proxy: Secret | None, status: int, expected: str | None
) -> None:
    """In a tunnel the proxy cannot speak, and without one any other status may be the platform's."""
    assert expected == route_to(address, proxy).refused(status)
