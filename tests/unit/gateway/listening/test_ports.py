import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from gateway.listening.ports import refusal, reserved, url_of
from shared.core.errors import ConfigError


@contextmanager
def _listening(port: int, *, share: bool = True) -> Iterator[socket.socket]:
    with socket.socket() as listening:
        if share:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        listening.settimeout(0.01)
        yield listening


def _has_caller(listening: socket.socket) -> bool:
    try:
        listening.accept()[0].close()
    except TimeoutError:
        return False
    return True


def test_a_reserved_port_lets_nobody_in() -> None:
    """Callers are refused at once while nobody listens there, rather than left waiting."""
    with reserved("127.0.0.1", 0) as (host, port, *_), pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=1).close()


def test_those_who_share_a_reserved_port_get_all_of_its_callers() -> None:
    """None is left with whoever reserved it; each of two gets some."""
    with ExitStack() as stack:
        host, port, *_ = stack.enter_context(reserved("127.0.0.1", 0))
        both = [stack.enter_context(_listening(port)) for _ in range(2)]
        got = [0, 0]
        for _ in range(64):
            with socket.create_connection((host, port), timeout=1):
                (who,) = (n for n, listening in enumerate(both) if _has_caller(listening))
            got[who] += 1
    assert all(got), got


@pytest.mark.parametrize("share", [False, True])
def test_a_port_that_others_have_is_refused(share: bool) -> None:  # noqa: FBT001
    """Also if they would share it: clicks of one deployment would come to another."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        _listening(port, share=share),
        pytest.raises(ConfigError, match=rf"^CARDWIRE_PORT: 127\.0\.0\.1:{port} is taken"),
        reserved("127.0.0.1", port),
    ):
        pass


def test_a_port_that_others_have_reserved_is_refused() -> None:
    """Before any of their processes listens there."""
    with (
        reserved("127.0.0.1", 0) as (_, port, *_),
        pytest.raises(ConfigError, match="is taken"),
        reserved("127.0.0.1", port),
    ):
        pass


def test_a_reserved_port_is_free_afterwards() -> None:
    """For the next start."""
    with reserved("127.0.0.1", 0) as (_, port, *_):
        pass
    with reserved("127.0.0.1", port) as (_, again, *_):
        assert port == again


def test_a_host_that_is_not_ours_is_refused() -> None:
    """The line names the setting."""
    with (
        pytest.raises(ConfigError, match=r"^CARDWIRE_HOST: cannot listen on 192\.0\.2\.1:0 \("),
        reserved("192.0.2.1", 0),
    ):
        pass


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.EADDRINUSE, "CARDWIRE_PORT: 127.0.0.1:80 is taken: expected a free port"),
        (errno.EACCES, "CARDWIRE_PORT: 127.0.0.1:80 is not for us: expected a free port"),
        (errno.EADDRNOTAVAIL, "CARDWIRE_HOST: cannot listen on 127.0.0.1:80 (why): expected an address of this"),
    ],
)
def test_a_port_that_cannot_be_had_is_a_line(number: int, line: str) -> None:
    """It says which of both settings it is."""
    assert str(refusal(OSError(number, "why"), "127.0.0.1", 80)).startswith(line)


def test_addresses_are_shown_as_urls() -> None:
    """Those of IPv6 in brackets."""
    assert "http://127.0.0.1:80" == url_of(("127.0.0.1", 80))
    assert "http://[::1]:80" == url_of(("::1", 80, 0, 0))
