"""
A real Apache Kafka of one node, for tests, the chaos runner and the benchmarks.

`KafkaBroker` fetches Kafka's jars once with Maven into a cache folder (``CARDWIRE_TEST_KAFKA_JARS``, else the
user's cache folder), runs them with Java on free ports in a folder of its own, and can be stopped, killed and
frozen. All calls block for a bounded time and need no event loop. The broker is as bare as a broker can be: one
node, replication factor 1, no topic made unasked.
"""

import atexit
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.support import ServiceMissing, watch_over

VERSION: Final = "4.3.1"
CLUSTER_ID: Final = "4L6g3nShT-eMCtK--X86sw"
"""Any fixed id will do: brokers of different tests never meet."""

JAVA: Final = 17
"""The oldest version that runs Kafka 4."""

START_S: Final = 90.0
STOP_S: Final = 30.0
FETCH_JARS_S: Final = 170.0

_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cardwire.tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

# Replication factors of the internal topics are 3 by default: with one node groups would never start.
# broker.session.timeout.ms: a killed node may not register again before it is over (default 9 s); on a busy machine a
# node that lives may miss 2 s, and its topics then have no leader for a while.
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
"""

# The quick compiler alone: a broker of tests lives for minutes, and starts with a third less work.
_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")

# Metadata request, version 1, about all topics: header (key 3, version 1, correlation 1, no client id), array -1.
_METADATA: Final = struct.pack(">hhihi", 3, 1, 1, -1, -1)
_METADATA_HEAD: Final = 12  # the answer's size, correlation id and number of brokers


class KafkaBroker:
    """
    One Kafka node that is ours to break.

    Attributes:
        bootstrap: ``host:port``; stays the same over restarts.
        log_file: What the broker prints.
    """

    def __init__(self, *, heap_mb: int = 256) -> None:
        """
        Prepare a node; `start` runs it.

        Raises:
            ServiceMissing: Java, Maven or the jars are missing; says what to install.
        """
        self._java = _java()
        self._jars = jars()
        self._heap_mb = heap_mb
        port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._folder = Path(tempfile.mkdtemp(prefix="cardwire-kafka-"))
        self.log_file = self._folder / "broker.log"
        self._properties = self._folder / "server.properties"
        text = _PROPERTIES.format(port=port, controller=controller, data=self._folder / "data")
        self._properties.write_text(text, encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """The Java process, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Run the node on the data it has, and return when it serves."""
        if self.pid is not None:
            return
        if not (self._folder / "data").exists():
            self._format()
        jvm = [*_JVM, "-Xms256m", f"-Xmx{self._heap_mb}m"]
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
        self.wait_ready()

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Return when the node answers and knows itself; an open port is not enough."""
        deadline = time.monotonic() + timeout_s
        while not answers(self.bootstrap):
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
        tool = [self._java, *_JVM, "-cp", f"{self._jars}/*", "kafka.tools.StorageTool"]
        subprocess.run(
            [*tool, "format", "-t", CLUSTER_ID, "-c", str(self._properties)],
            check=True,
            capture_output=True,
            timeout=START_S,
        )

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


def _runs(pid: int) -> bool:
    """Say whether a thread of a process that was sent SIGSTOP runs yet: on a busy machine it takes a while."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # that thread is gone
            if stat.read_text().rpartition(")")[2].split()[0] not in {"T", "t"}:
                return True
    return False


def answers(bootstrap: str) -> bool:
    """Say whether a broker answers a metadata request there and has registered itself."""
    host, _, port = bootstrap.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA)) + _METADATA)
            head = connection.recv(_METADATA_HEAD, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(head) == _METADATA_HEAD and struct.unpack(">iii", head)[2] > 0


def jars() -> Path:
    """
    Return the folder with Kafka's jars, fetched with Maven the first time.

    Raises:
        ServiceMissing: They are not there and cannot be fetched.
    """
    named = os.environ.get("CARDWIRE_TEST_KAFKA_JARS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else cache / "cardwire" / f"kafka-{VERSION}"
    if not any(folder.glob("kafka_*.jar")):
        _fetch_jars(folder)
    return folder


def _fetch_jars(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServiceMissing("Apache Kafka needs Maven to fetch its jars once (Debian: apt install maven)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        pom, fetched = Path(scratch, "pom.xml"), Path(scratch, "jars")
        pom.write_text(_POM, encoding="ascii")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
        try:
            subprocess.run(
                [maven, "-q", "-B", "-f", str(pom), *goal],
                check=True,
                capture_output=True,
                text=True,
                timeout=FETCH_JARS_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise ServiceMissing(
                f"Apache Kafka: Maven could not fetch the jars of {VERSION}; run once with a package registry in reach,"
                " or name a folder that holds them: CARDWIRE_TEST_KAFKA_JARS=/path/to/jars"
            ) from error
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        try:
            fetched.rename(folder)
        except OSError:  # another run was faster
            if not any(folder.glob("kafka_*.jar")):
                raise


def _java() -> str:
    java = shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    version = re.search(r'version "(\d+)', said)
    if java is None or version is None or int(version[1]) < JAVA:
        raise ServiceMissing(f"Apache Kafka needs Java {JAVA} or newer (Debian: apt install default-jdk-headless)")
    return java


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
