"""
A real Apache Kafka, for tests, the chaos runner and the benchmarks.

`KafkaBroker` runs Kafka's jars (tests/support/kafka_jars.py) with Java on free ports in a folder of its own, and can
be stopped, killed and frozen: one node as bare as a broker can be, with replication factor 1 and no topic made
unasked, or one that lets nobody in without a certificate's authority, a user and rules. `KafkaCluster` is three of
them. All calls block for a bounded time and need no event loop.
"""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from tests.support import watch_over
from tests.support.kafka_jars import JVM, jars, java, run_tool
from tests.support.kafka_node import HOST, BrokerSecurity, Node

START_S: Final = 90.0
STOP_S: Final = 30.0
NODES: Final = 3
_PORTS: Final = (15_000, 32_000)
_CHANCE: Final = random.SystemRandom()

# Metadata request, version 1, about all topics: header (key 3, version 1, correlation 1, no client id), array -1.
_METADATA: Final = struct.pack(">hhihi", 3, 1, 1, -1, -1)


class KafkaBroker:
    """
    One Kafka node that is ours to break.

    Attributes:
        bootstrap: ``host:port`` for clients; stays the same over restarts.
        log_file: What the broker prints.
    """

    def __init__(self, *, heap_mb: int = 256, node: Node | None = None) -> None:
        """
        Prepare a node; `start` runs it.

        Args:
            heap_mb: Java's memory.
            node: Its place in a cluster, and its security; alone and without any unless given.

        Raises:
            ServiceMissing: Java, Maven or the jars are missing; says what to install.
        """
        self._java = java()
        self._jars = jars()
        self._heap_mb = heap_mb
        self._node = node or alone()
        self._inner = f"{HOST}:{self._node.port}"
        secured = self._node.security
        self.bootstrap = self._inner if secured is None else f"{secured.host}:{secured.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="cardwire-kafka-"))
        self.log_file = self._folder / "broker.log"
        self._properties = self._folder / "server.properties"
        self._properties.write_text(self._node.properties(self._folder / "data"), encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """The Java process, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Run the node on the data it has, and return when it serves."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Run the node on the data it has, and return at once: the first of a cluster serve only together."""
        if self.pid is not None:
            return
        if not (self._folder / "data").exists():
            self._format()
        jvm = [*JVM, f"-Xms{self._heap_mb}m", f"-Xmx{self._heap_mb}m"]
        with self.log_file.open("ab") as out:
            self._process = subprocess.Popen(
                [self._java, *jvm, "-cp", f"{self._jars}/*", "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._unwatch()  # of one that ended by itself
        self._watch = watch_over(self._process.pid, self._folder)

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Return when the node answers and knows itself; an open port is not enough."""
        deadline = time.monotonic() + timeout_s
        while self._node.number not in nodes_known_at(self._inner):
            if self.pid is None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start; its last lines:\n{self._last_lines()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut the node down in an orderly way (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the node (SIGSTOP): connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while self.pid is not None and _runs(self.pid) and time.monotonic() < deadline:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let a frozen node go on."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop in an orderly way and start again on the same data."""
        self.stop()
        self.start()

    def recover(self) -> None:
        """Undo every fault: the node runs and serves afterwards."""
        self.resume()
        self.start()
        self.wait_ready()

    def close(self) -> None:
        """End the node and delete its data. Twice is fine."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def _format(self) -> None:
        run_tool("kafka-storage.sh", ["format", *self._node.format_options(), "-c", str(self._properties)])

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self.resume()  # a frozen process takes no SIGTERM
        self._signal(number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None
        self._unwatch()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.kill()
            self._watch.wait()
            self._watch = None

    def _last_lines(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-15:])


class KafkaCluster:
    """
    Three Kafka nodes: topics have three copies, two of which must have a record before it counts.

    Attributes:
        brokers: The nodes, each to be stopped, killed and started alone.
        bootstrap: All of them, as ``host:port,…``.
    """

    def __init__(self, *, heap_mb: int = 192) -> None:
        """Prepare the nodes; `start` runs them. Raises `ServiceMissing` as `KafkaBroker` does."""
        ports = free_ports(2 * NODES)
        voters = dict(enumerate(ports[NODES:], start=1))
        nodes = [Node(number=number, port=ports[number - 1], voters=voters) for number in voters]
        self.brokers = tuple(KafkaBroker(heap_mb=heap_mb, node=node) for node in nodes)
        self.bootstrap = ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """Run the nodes that do not run, and return when all serve."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_ready()

    def recover(self) -> None:
        """Undo every fault: all nodes run and serve afterwards."""
        for broker in self.brokers:
            broker.resume()
        self.start()

    def close(self) -> None:
        """End the nodes and delete their data. Twice is fine."""
        for broker in self.brokers:
            broker.close()


def alone(*, security: BrokerSecurity | None = None) -> Node:
    """Return the place of a node that is a cluster by itself."""
    port, controller = free_ports(2)
    return Node(number=1, port=port, voters={1: controller}, security=security)


def _runs(pid: int) -> bool:
    """Say whether a thread of a process that was sent SIGSTOP runs yet: on a busy machine it takes a while."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # that thread is gone
            if stat.read_text().rpartition(")")[2].split()[0] not in {"T", "t"}:
                return True
    return False


def nodes_known_at(address: str) -> AbstractSet[int]:
    """Return the ids of the nodes that have registered, as the one at ``address`` tells; none when it is away."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA)) + _METADATA)
            (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
            return frozenset(_nodes(connection.recv(size, socket.MSG_WAITALL)))
    except (OSError, struct.error):
        return frozenset()


def _nodes(answer: bytes) -> list[int]:
    """Return the ids in a metadata answer: correlation id, count, then id, host, port and rack of each."""
    (count,) = struct.unpack_from(">i", answer, 4)
    at, found = 8, []
    for _ in range(count):
        number, length = struct.unpack_from(">ih", answer, at)
        at += 6 + length + 4
        (rack,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(0, rack)
        found.append(number)
    return found


def free_ports(count: int) -> list[int]:
    """
    Return ports of the loopback interface that nobody listened on a moment ago.

    None of those that the system gives to whoever asks for any: a server that is killed finds its own free again.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = _CHANCE.randrange(*_PORTS)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found
