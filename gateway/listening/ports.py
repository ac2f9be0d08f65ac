"""
The ports of the gateway: what is said when one cannot be had, and how several processes share one.

To share is Linux' SO_REUSEPORT: each process listens on a socket of its own, and the kernel gives every new connection
to one of them, by a hash of its two ends. Nobody hands connections on, and a process that has ended gets no more. One
that hangs does: see `cardwire.cli.group`.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

from shared.core.errors import ConfigError

Address = tuple[str, int] | tuple[str, int, int, int]
"""What a socket of IPv4 or of IPv6 is bound to: host, port, and more."""


@contextmanager
def reserved(host: str, port: int, *, what: str = "") -> Iterator[Address]:
    """
    Keep a port for processes that are going to share it, until the block is left, and give its address.

    It is bound and does not listen, so that nobody comes in here; and while all processes are away, callers are
    refused at once, and no other program gets the port.

    Args:
        port: 0: any free one.
        what: As for `refusal`.

    Raises:
        ConfigError: It cannot be had, or others share it already.
    """
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            address = cast("Address", found)
            # First as if it were for us alone, or it would be shared with whoever shares it, as a second gateway.
            with _bound(socket.socket(family, kind, protocol), address, socket.SO_REUSEADDR) as alone:
                address = alone.getsockname()
            stack.enter_context(_bound(socket.socket(family, kind, protocol), address, socket.SO_REUSEPORT))
        except OSError as error:
            raise refusal(error, host, port, what=what) from error
        yield address


def _bound(listening: socket.socket, address: Address, option: int) -> socket.socket:
    try:
        listening.setsockopt(socket.SOL_SOCKET, option, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as asyncio does
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def url_of(address: Address) -> str:
    """Return the URL of a bound address."""
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refusal(error: OSError, host: str, port: int, *, what: str = "") -> ConfigError:
    """
    Return the line for whoever set a host and a port that cannot be had.

    Args:
        what: What stands behind ``CARDWIRE_`` in their names.
    """
    where = f"{host}:{port}"
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        why = "is taken" if error.errno == errno.EADDRINUSE else "is not for us"
        return ConfigError(
            f"CARDWIRE_{what}PORT: {where} {why}: expected a free port, for example CARDWIRE_{what}PORT=7778, or 0 for "
            "any"
        )
    return ConfigError(
        f"CARDWIRE_{what}HOST: cannot listen on {where} ({error.strerror or 'unknown address'}): expected an address "
        f"of this machine, for example CARDWIRE_{what}HOST=0.0.0.0"
    )
