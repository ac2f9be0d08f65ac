import json
from typing import Any, Final

import pytest

from shared.core.ids import AppId
from shared.feishu.connection import (
    DEFAULTS,
    Endpoint,
    Parameters,
    Refusal,
    endpoint_request,
    read_endpoint,
    read_handshake,
    read_parameters,
    written,
)
from tests.vectors import FEISHU

URL: Final = (
    "wss://msg-frontier.feishu.cn/ws/v2?fpid=493&aid=552564&device_id=76&access_key=k&service_id=33554678&ticket=t"
)
CONFIG: Final = {"ReconnectCount": 3, "ReconnectInterval": 60, "ReconnectNonce": 10, "PingInterval": 90}
ASKED: Final = Parameters(reconnect_count=3, reconnect_interval_s=60, reconnect_nonce_s=10, ping_interval_s=90)


def given(*, code: object = 0, **data: object) -> bytes:
    """Return an answer of the platform's."""
    return json.dumps({"code": code, "msg": "", "data": data}).encode()


def test_the_request_is_the_sdks() -> None:
    """The same members."""
    sent: dict[str, Any] = next(
        request for request in FEISHU["sdk_outbound_requests"]["requests"] if request["path"] == "/callback/ws/endpoint"
    )
    told = json.loads(sent["body"])
    assert told == json.loads(endpoint_request(AppId(told["AppID"]), told["AppSecret"]))


def test_an_address_is_read_with_the_servers_parameters() -> None:
    """And with the service that goes into each ping."""
    found = read_endpoint(200, given(URL=URL, ClientConfig=CONFIG), is_secure=True)
    assert Endpoint(url=URL, service=33554678, parameters=ASKED) == found


def test_without_parameters_the_usual_ones_hold() -> None:
    """Those of the platform's own clients."""
    found = read_endpoint(200, given(URL=URL), is_secure=True)
    assert isinstance(found, Endpoint)
    assert DEFAULTS == found.parameters


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, None),
        (1000040343, None),
        (1000040344, "credentials"),
        (1000040345, "credentials"),
        (1000040350, "too_many"),
        (403, "not_allowed"),
        (514, "not_allowed"),
        (987, "not_allowed"),
    ],
)
def test_a_refusal_says_whether_an_operator_must_act(code: int, reason: str | None) -> None:
    """What passes by itself is tried again, as the SDKs do."""
    assert Refusal(code=code, reason=reason) == read_endpoint(200, json.dumps({"code": code}).encode(), is_secure=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"code":"0"}',
        b'{"code":0}',
        b'{"code":0,"data":[]}',
        given(),
        given(URL=7),
        given(URL="wss://h/ws"),
        given(URL="wss://h/ws?service_id=x"),
        given(URL="wss://h/ws?service_id=99999999999"),
        given(URL="wss://[h/ws?service_id=1"),
        given(URL="https://h/ws?service_id=1"),
        given(URL="wss://h:99999/ws?service_id=1"),
        given(URL="ws://h/ws?service_id=1"),
        given(URL="wss://h/\nws?service_id=1"),
    ],
)
def test_an_answer_that_makes_no_sense_may_do_next_time(body: bytes) -> None:
    """Also an address without TLS, where the platform itself was asked with."""
    assert Refusal(code=None) == read_endpoint(200, body, is_secure=True)


def test_a_simulator_may_be_reached_without_tls() -> None:
    """It was asked without, too."""
    assert isinstance(read_endpoint(200, given(URL="ws://h/ws?service_id=1"), is_secure=False), Endpoint)


def test_another_http_status_may_do_next_time() -> None:
    """Whatever stands in the body."""
    assert Refusal(code=502) == read_endpoint(502, given(URL=URL), is_secure=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"handshake-status": "514", "handshake-autherrcode": "1000040350"},
            Refusal(code=1000040350, reason="too_many"),
        ),
        ({"handshake-status": "514", "handshake-autherrcode": "7"}, Refusal(code=514)),
        ({"handshake-status": "403"}, Refusal(code=403, reason="not_allowed")),
        ({"handshake-status": "500"}, Refusal(code=500)),
        ({"handshake-status": "many"}, Refusal(code=400)),
        ({}, Refusal(code=400)),
    ],
)
def test_a_handshake_that_fails_is_understood(headers: dict[str, str], expected: Refusal) -> None:
    """By its headers, or by HTTP's status."""
    assert expected == read_handshake(headers, 400)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (json.dumps(CONFIG).encode(), ASKED),
        (b'{"PingInterval":30}', Parameters(ping_interval_s=30)),
        (b'{"ReconnectCount":-1}', Parameters()),
        (b'{"ReconnectCount":0}', Parameters(reconnect_count=0)),
        (b'{"PingInterval":0,"ReconnectInterval":0}', Parameters()),
        (b'{"PingInterval":"30","ReconnectNonce":null}', Parameters()),
        (b'{"PingInterval":1e400}', Parameters()),
        (b'{"PingInterval":86401}', Parameters()),
        (b"", Parameters()),
        (b"null", Parameters()),
        (None, Parameters()),
    ],
)
def test_parameters_are_taken_where_they_make_sense(payload: bytes | None, expected: Parameters) -> None:
    """No pause of no length, which would be a busy loop, and none for good."""
    assert expected == read_parameters(payload, DEFAULTS)


def test_written_parameters_are_read_again() -> None:
    """All four of them, always."""
    assert ASKED == read_parameters(json.dumps(written(ASKED)).encode(), DEFAULTS)
    assert CONFIG == written(ASKED)
    assert -1 == written(DEFAULTS)["ReconnectCount"]


def test_neither_address_nor_secret_is_shown() -> None:
    """The address holds a ticket."""
    found = read_endpoint(200, given(URL=URL), is_secure=True)
    assert "ticket" not in repr(found)
