"""The bytes that the fuzzer begins with: what the platform's own SDK sends and takes, and the oddities we know of."""

from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.callbacks import click, legacy_click, plain, subscribed, verification
from tests.vectors import FEISHU

ODD_VALUES: Final[Mapping[str, bytes]] = {
    "duplicate keys": b'{"a":1,"a":{"b":2},"b":1}',
    "beyond any float": b"[1e400,-1e400,1e-400]",
    "thirty digits": b"123456789012345678901234567890",
    "NUL": b'"\\u0000a\\u0000"',
    "half a surrogate pair": b'"\\ud83d\\ude00 \\ud800"',
    "deep": b'[{"a":' * 40 + b"0" + b"}]" * 40,
    "spaced out": b' { "a" : [ 1 , 2.50 , -0 ] } ',
}
"""Honest JSON that strict or fast parsers refuse, round or reorder."""


def with_value(value: bytes) -> bytes:
    """Return a click's body with this text as its ``value`` and, beside it, as its ``form_value``."""
    return plain(click(value="@")).replace(b'"value":"@"', b'"value":%b,"form_value":%b' % (value, value))


def starts() -> Iterator[tuple[str, bytes]]:
    """Yield names of targets, and bytes for them."""
    for body in _bodies():
        for target in ("callbacks", "admitted", "objects"):
            yield target, body
        yield "answers", b"toast\0" + body + b"\0title\0https://example.com/"
    for case in FEISHU["aes_256_cbc"]["accepted"] + FEISHU["aes_256_cbc"]["rejected"]:
        yield "ciphertexts", str(case["encrypt"]).encode()
    for stamp in ("1750000000", "Monday, 09-Nov-20 23:33:53 CST", "1749108924132000", "1502199207.7"):
        yield "headers", b"\n".join((b"0" * 64, stamp.encode(), b"950646929", b"0f0e0d0c"))
    data = [bytes.fromhex(frame["hex"]) for frame in FEISHU["ws_frames"]["frames"]]
    yield "long_connection", b"".join(len(one).to_bytes(2, "big") + one for one in data)
    yield "handshakes", _ENDPOINT
    yield "handshakes", b"514\n1000040350"
    for body in _requests():
        yield "requests", body
    yield "replies", _REPLY
    yield "replies", b'{"code":0,"expire":7200,"tenant_access_token":"t-0"}'


def _bodies() -> Iterator[bytes]:
    for case in FEISHU["http_callbacks"]:
        yield str(case["body"]).encode()
    for body in (click(), legacy_click(), subscribed(), subscribed("app_ticket"), verification()):
        yield plain(body)
    for value in ODD_VALUES.values():
        yield with_value(value)


def _requests() -> Iterator[bytes]:
    """Yield one with each effect, and one that asks for two cards."""
    head = b'{"request_id":"r1","app_id":"cli_a","tenant_key":"t","effects":['
    card = b'{"config":{"update_multi":true},"elements":[{"n":%b}]}'
    update = b'{"kind":"UpdateCard","message_id":"om_%b","card":%b}'
    for odd in ODD_VALUES.values():
        yield head + update % (b"1", card % odd) + b"]}"
    yield head + update % (b"1", b"{}") + b"," + update % (b"2", b"{}") + b"]}"
    yield head + b'{"kind":"SendCard","card":%b,"to":"oc_1"}]}' % (card % b"1")
    yield head + b'{"kind":"SendText","text":"\\u597d","to":"ou_1"},{"kind":"RenameChat","name":"x","chat_id":"oc_1"}]}'


_ENDPOINT: Final = (
    b'{"code":0,"data":{"URL":"wss://msg-frontier.feishu.cn/ws/v2?service_id=1&ticket=x",'
    b'"ClientConfig":{"ReconnectCount":-1,"ReconnectInterval":120,"ReconnectNonce":30,"PingInterval":120}}}'
)
_REPLY: Final = (
    b'{"code":230031,"msg":"x","data":{"items":[{"message_id":"om_1","chat_id":"oc_1","create_time":"17"}]}}'
)
