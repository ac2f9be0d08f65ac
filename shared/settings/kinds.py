"""The kinds of settings: what text each takes, and what to say when it is another."""

import re
from typing import Final, Literal, cast
from urllib.parse import unquote, urlsplit

from shared.core.ids import AppId
from shared.core.secret import Secret
from shared.settings.declare import Kind

_HOST: Final = r"(?:[^\s,:/@\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"
_HOSTS: Final = re.compile(rf"{_HOST}(?:,{_HOST})*")
_HTTP_URL: Final = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")
_APP: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]*")
_APP_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MAX_PORT: Final = 65_535


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("does not have the expected shape")
    return text


def whole(minimum: int, maximum: int) -> Kind[int]:
    """Return the kind of whole numbers within bounds, both included."""

    def parse(text: str) -> int:
        # isdecimal() alone takes digits of every script.
        if not (text.isascii() and text.isdecimal()) or not minimum <= int(text) <= maximum:
            raise ValueError("out of bounds")
        return int(text)

    return Kind(name="whole number", expected=f"a whole number from {minimum} to {maximum}", parse=parse)


def choice(*names: str) -> Kind[str]:
    """Return the kind of one word out of a few."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError("not one of them")
        return text

    return Kind(name=" | ".join(names), expected=f"one of {', '.join(names)}", parse=parse)


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in _FLAGS:
        raise ValueError("neither true nor false")
    return _FLAGS[word]


def _text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("not printable")
    return text


def _secret(text: str) -> Secret:
    # Two lines are two secrets pasted into one file, or a secret with somebody's note.
    if any(sign in text for sign in "\r\n\0"):
        raise ValueError("more than one line")
    return Secret(text)


def _domain(text: str) -> str:
    url = text if "://" in text else f"https://{text}"
    parts = urlsplit(url)
    known = "://" in text or text in {"open.feishu.cn", "open.larksuite.com"}
    if (
        not known
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username
        or parts.query
        or parts.path.strip("/")
    ):
        raise ValueError("not an address of the platform")
    _ = parts.port  # raises ValueError when it is no number
    return url.rstrip("/")


def _log_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme == "kafka":
        _matching(_HOSTS, rest)
    elif scheme != "sqlite" or not rest.startswith("/") or len(rest) < len("/x"):
        raise ValueError("neither kafka nor sqlite")
    return text


def _ledger_url(text: str) -> Secret:
    parts = urlsplit(text)
    is_postgres = parts.scheme == "postgresql" and bool(parts.hostname) and len(parts.path) > 1
    if not is_postgres and not (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        raise ValueError("neither postgresql nor sqlite")
    _ = parts.port
    return Secret(text)


def _proxy(text: str) -> Secret:
    parts = urlsplit(text)
    is_address = text.isprintable() and not any(letter.isspace() for letter in text) and bool(parts.hostname)
    if parts.scheme not in {"http", "https"} or not is_address or parts.port is None:
        raise ValueError("not an address of a proxy")
    # Basic authentication cannot carry a user with a colon.
    if parts.path not in {"", "/"} or parts.query or parts.fragment or ":" in unquote(parts.username or ""):
        raise ValueError("more than an address")
    return Secret(text)


CallbackStyle = Literal["auto", "new", "legacy", "both"]


Delivery = Literal["webhook", "websocket", "both"]


AppType = Literal["custom", "store"]


def _app_type(text: str) -> AppType:
    return cast("AppType", choice("custom", "store").parse(text))


def _delivery(text: str) -> Delivery:
    return cast("Delivery", choice("webhook", "websocket", "both").parse(text))


def _style(text: str) -> CallbackStyle:
    return cast("CallbackStyle", choice("auto", "new", "legacy", "both").parse(text))


TEXT: Final = Kind(name="text", expected="printable text", parse=_text)
SECRET: Final = Kind(name="secret", expected="a secret of one line", parse=_secret, mountable=True)
PREVIOUS_SECRET: Final = Kind(
    name="secret", expected="a secret of one line", parse=_secret, mountable=True, may_be_empty=True
)
PATH: Final = Kind(name="path", expected="the path of a file", parse=_text)
PORT: Final = Kind(
    name="port", expected=f"a port from 0 (any free one) to {_MAX_PORT}", parse=whole(0, _MAX_PORT).parse
)
PREFIX: Final = Kind(
    name="prefix", expected="letters, digits, dots, dashes and underscores",
    parse=lambda text: _matching(_PREFIX, text),
)  # fmt: skip
APP_ID: Final = Kind(name="app id", expected="the app's id", parse=lambda text: AppId(_matching(_APP_ID, text)))
FLAG: Final = Kind(name="true | false", expected="true or false", parse=_flag)
STYLE: Final = Kind(name="auto | new | legacy | both", expected="one of auto, new, legacy, both", parse=_style)
DELIVERY: Final = Kind(name="webhook | websocket | both", expected="one of webhook, websocket, both", parse=_delivery)
APP_TYPE: Final = Kind(name="custom | store", expected="one of custom, store", parse=_app_type)
DOMAIN: Final = Kind(
    name="domain", expected="open.feishu.cn, open.larksuite.com or an http(s) address without a path", parse=_domain
)
APP: Final = Kind(
    name="module:attribute", expected="the module and the name of your App, as module:attribute",
    parse=lambda text: _matching(_APP, text),
)  # fmt: skip
LOG_URL: Final = Kind(
    name="address of a log", expected="kafka://host:port,host:port or sqlite:///path of a file", parse=_log_url
)
LEDGER_URL: Final = Kind(
    name="address of a database", expected="postgresql://user:password@host/database or sqlite:///path of a file",
    parse=_ledger_url, mountable=True,
)  # fmt: skip
HTTP_URL: Final = Kind(
    name="http(s) address",
    expected="an http(s) address without user, query and fragment",
    parse=lambda text: _matching(_HTTP_URL, text),
)
PROXY: Final = Kind(
    name="address of a proxy", expected="http(s)://host:port or http(s)://user:password@host:port", parse=_proxy,
    mountable=True,
)  # fmt: skip
