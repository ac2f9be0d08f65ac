"""The benchmark of the gateway sends what the platform would send, and notices what it should not get."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from bench.gateway.callbacks import APP_ID, DECRYPTED, ENCRYPT_KEY, VERIFICATION_TOKEN, callbacks, requests
from bench.gateway.load import Clients
from bench.gateway.rounds import Sample, why_void
from gateway.admission import Admission, Admitted, CallbackHeaders
from gateway.credentials import Credentials
from shared.core.ids import AppId
from shared.core.secret import Secret

TOAST = b'{"toast":{}}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + TOAST
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\n" + TOAST
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def sample(cpu_us: float, *, bad: int = 0) -> Sample:
    """Return what a server cost in a round."""
    return Sample(cpu_us=cpu_us, rate=1, p50_ms=1, p99_ms=1, first_answer_s=1, rss_mb=1, bad=bad)


@contextmanager
def answering(answer: bytes, *, after_s: float = 0.0) -> Iterator[int]:
    """Serve the port that is given: every piece that arrives is answered with the same bytes."""

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                while connection.recv(65536):
                    time.sleep(after_s)
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening], daemon=True)
        thread.start()
        yield listening.getsockname()[1]
    thread.join(5)


def test_clicks_are_such_as_the_platform_sends() -> None:
    """Every request is let in by the gateway's own rules, and has the size that the figures are given for."""
    (request,) = requests(callbacks(1, first=7))
    head, _, body = request.partition(b"\r\n\r\n")
    names = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    headers = CallbackHeaders(
        signature=names["X-Lark-Signature"],
        timestamp=names["X-Lark-Request-Timestamp"],
        nonce=names["X-Lark-Request-Nonce"],
    )
    key, token = Secret(ENCRYPT_KEY), Secret(VERIFICATION_TOKEN)
    admission = Admission(
        Credentials(app_id=AppId(APP_ID), encrypt_keys=(key,), verification_tokens=(token,), style="new")
    )
    admitted = admission.admit(body, headers, now=time.time_ns() // 1_000_000)
    assert isinstance(admitted, Admitted)
    assert f"{7:032x}" == admitted.callback.event_id
    assert DECRYPTED - 150 <= len(admitted.callback.text.encode()) <= DECRYPTED  # less its tokens


@pytest.mark.parametrize(("answer", "good"), [(GOOD, 3), (REFUSED, 0), (OTHER, 0)])
def test_only_the_toast_with_status_200_counts_as_an_answer(answer: bytes, good: int) -> None:
    """A server that answers something else is not faster."""
    with answering(answer) as port, Clients(port, TOAST, connections=1) as clients:
        load = clients.closed([b"a request"], count=3)
    assert (good, 3 - good) == (load.answered, load.bad)


def test_latency_counts_from_the_intended_time() -> None:
    """Requests that wait for a free connection have waited, too."""
    with answering(GOOD, after_s=0.005) as port, Clients(port, TOAST, connections=1) as clients:
        load = clients.paced([b"a request"], rate=1_000, seconds=0.01)
    assert 10 == load.answered
    assert load.latencies[-1] > 10 * 0.005 - 9 * 0.001


@pytest.mark.parametrize(
    ("naive", "void"), [(79.0, "naive / go is 0.79"), (80.0, None), (150.0, None), (151.0, "naive / go is 1.51")]
)
def test_a_round_of_implausible_neighbours_is_void(naive: float, void: str | None) -> None:
    """What disturbed two plain servers disturbed ours."""
    assert void == why_void({"naive": sample(naive), "go": sample(100.0), "cardwire": sample(1.0)})


def test_a_round_with_bad_answers_is_void() -> None:
    """A server that refuses may be quick."""
    assert why_void({"cardwire": sample(1.0, bad=2)}) == "bad answers from cardwire"
