"""Who may ask the control interface, and how what is asked is read."""

import json
import math
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from shared.feishu.connection import Parameters
from simulator.callbacks import Person
from simulator.connections import Asked
from simulator.requests import NewConnections, Operator, Repeated
from simulator.sending import Copies

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def answers_on(called: str | None, control_host: str) -> bool:
    """
    Return whether the control interface answers on the address that was called.

    A connection to a loopback address comes from this machine; another address must be named, or all of them.
    """
    if control_host in _EVERYWHERE:
        return True
    return called is not None and (called == control_host or ip_address(called.partition("%")[0]).is_loopback)


def read_request(body: bytes, kind: type[Any]) -> Any:
    """
    Return what a body asks for.

    Raises:
        ValueError: It is not JSON, or holds numbers that cannot be kept.
        msgspec.ValidationError: It is not of that kind.
    """
    # The standard library's parser: a person's form may hold what faster ones refuse.
    try:
        content = json.loads(body or b"{}", parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the body is no JSON: expected an object, for example {{}} ({error})") from error
    return msgspec.convert(content, kind)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond floating point: send the action as text, in action_json")
    return number


def person_of(operator: Operator) -> Person:
    """Return who clicks."""
    return msgspec.convert(msgspec.to_builtins(operator), Person)


def copies_of(asked: Repeated) -> Copies:
    """Return how bytes are repeated."""
    return Copies(copies=asked.copies, has_same_request_id=asked.same_request_id)


def change(kept: Asked, asked: NewConnections) -> None:
    """Keep long connections from now on as asked, where something is asked."""
    if asked.parameters is not None:
        kept.parameters = msgspec.convert(msgspec.to_builtins(asked.parameters), Parameters)
    kept.has_pongs = kept.has_pongs if asked.pongs is None else asked.pongs
    kept.pong_delay_s = kept.pong_delay_s if asked.pong_delay_ms is None else asked.pong_delay_ms / 1000
    kept.limit = kept.limit if asked.limit is None else asked.limit
    kept.fragment_bytes = asked.fragment_bytes or kept.fragment_bytes
