"""
A real PostgreSQL server, for tests, the chaos runner and the benchmarks.

`PostgresServer` runs the machine's own PostgreSQL programs on a free port with a cluster in a temporary folder
(as another user when we are root: PostgreSQL refuses root) and can be stopped, killed and frozen. `Databases`
makes and drops databases on any server, ours or one named in ``CARDWIRE_TEST_POSTGRES``; copying a prepared one
as a template takes some ten milliseconds. All calls block for a bounded time and need no event loop of their own:
they may be made from inside a running one.
"""

import asyncio
import atexit
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.support import ServiceMissing, watch_over
from tests.support.kafka import free_ports
from tests.support.tls import Certificate

SUPERUSER: Final = "postgres"
START_S: Final = 60.0
STOP_S: Final = 30.0
CONNECTIONS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSecurity:
    """
    What makes a server speak TLS only, and ask for passwords.

    Attributes:
        host: The name that it is reached by.
        certificate: Its own.
        authority: PEM file of who signed it, for clients.
        password: The superuser's.
    """

    host: str
    certificate: Certificate
    authority: Path
    password: str


class Databases:
    """Databases on one server, named so that runs beside each other do not meet."""

    def __init__(self, url: str) -> None:
        """Work on the server at ``url``, whose user may create databases."""
        self.url = url
        self._prefix = f"cardwire_{os.getpid()}_{time.time_ns() % 1_000_000:06d}"
        self._numbers = itertools.count(1)

    def create(self, *, template: str | None = None) -> str:
        """Return the URL of a new database: empty, or a copy of the one at the URL ``template`` (nobody connected)."""
        name = f"{self._prefix}_{next(self._numbers)}"
        source = "template0" if template is None else _database(template)
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        return _with_database(self.url, name)

    def drop(self, url: str) -> None:
        """Delete a database, whoever is connected."""
        self._run(f'DROP DATABASE IF EXISTS "{_database(url)}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        _blocking(_execute(self.url, statement))


class PostgresServer:
    """
    A PostgreSQL server that is ours to break.

    Attributes:
        url: The superuser's, of the database ``postgres``; stays the same over restarts.
        address: ``host:port``.
        databases: Makes and drops databases here.
        log_file: What the server prints.
    """

    def __init__(
        self, *, fsync: bool = False, settings: Sequence[str] = (), security: ServerSecurity | None = None
    ) -> None:
        """
        Make a cluster; `start` runs it.

        Args:
            fsync: Whether commits reach the disk. Without it only a crash of the machine loses anything, not one
                of the server, and databases are made faster.
            settings: More of them, like ``"max_wal_size=2GB"``.
            security: Whom it lets in; everybody without a password unless given.

        Raises:
            ServiceMissing: PostgreSQL is not installed, or nobody here may run it; says what to install.
        """
        self._programs = programs()
        self._user = _user()
        self._port = free_ports(1)[0]
        self._folder = Path(tempfile.mkdtemp(prefix="cardwire-postgres-"))
        self._data = self._folder / "data"
        self.log_file = self._folder / "server.log"
        self._security = security
        self.address = f"{'127.0.0.1' if security is None else security.host}:{self._port}"
        self.url = f"postgresql://{SUPERUSER}@{self.address}/postgres"
        if security is not None:
            login = f"{SUPERUSER}:{security.password}@{self.address}"
            self.url = f"postgresql://{login}/postgres?sslmode=verify-full&sslrootcert={security.authority}"
        self.databases = Databases(self.url)
        switch = "on" if fsync else "off"
        wanted = [f"fsync={switch}", f"full_page_writes={switch}", f"max_connections={CONNECTIONS}", *settings]
        self._settings = [argument for setting in wanted for argument in ("-c", setting)]
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._init()
        if security is not None:
            self._settings += self._secure(security)

    @property
    def pid(self) -> int | None:
        """The server's main process, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Run the server on the data it has, and return when it serves."""
        deadline = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start; its last lines:\n{self._last_lines()}")
            if self.pid is None:  # also: a killed server's children still hold its shared memory
                self._launch()
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut the server down in an orderly way, clients disconnected (SIGINT, "fast")."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server at once (SIGKILL); its next start recovers from its log."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the server with all its sessions (SIGSTOP): connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop in an orderly way and start again on the same data."""
        self.stop()
        self.start()

    def recover(self) -> None:
        """Undo every fault: the server runs and serves afterwards."""
        self.resume()
        self.start()

    def close(self) -> None:
        """End the server and delete its data. Twice is fine."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def _init(self) -> None:
        options = ["-U", SUPERUSER, "--encoding=UTF8", "--locale=C", "--no-sync"]
        options.append("--auth=trust" if self._security is None else "--auth=scram-sha-256")
        if self._security is not None:
            options.append(f"--pwfile={self._own('password', self._security.password)}")
        made = subprocess.run(
            [self._programs / "initdb", "-D", self._data, *options],
            capture_output=True,
            text=True,
            timeout=START_S,
            user=self._user,
            cwd=self._folder,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()}")

    def _secure(self, security: ServerSecurity) -> list[str]:
        """Let in only who speaks TLS and has a password; return the settings that it takes."""
        self._own("data/pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n")
        certificate = self._own("server.pem", security.certificate.certificate.read_text())
        key = self._own("server.key", security.certificate.key.read_text())
        wanted = ["ssl=on", f"ssl_cert_file={certificate}", f"ssl_key_file={key}"]
        return [argument for setting in wanted for argument in ("-c", setting)]

    def _own(self, name: str, text: str) -> Path:
        """Write a file that the server's user alone can read."""
        path = self._folder / name
        path.write_text(text)
        path.chmod(0o600)
        if self._user is not None:
            shutil.chown(path, self._user)
        return path

    def _launch(self) -> None:
        address = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self._port), "-k", ""]
        with self.log_file.open("ab") as out:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), *address, *self._settings],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                cwd=self._folder,
            )
        self._unwatch()  # of a server that did not come up
        self._watch = watch_over(self._process.pid, self._folder)

    def _answers(self) -> bool:
        if self.pid is None:
            return False
        asked = [str(self._programs / "pg_isready"), "-q", "-d", self.url, "-t", "2"]
        return subprocess.run(asked, check=False).returncode == 0

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None:
            return
        for pid in (self.pid, *_children(self.pid)) if number in {signal.SIGSTOP, signal.SIGCONT} else (self.pid,):
            with suppress(ProcessLookupError):  # a process of a connection that has ended since it was listed
                os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self.resume()
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


def programs() -> Path:
    """
    Return the folder with PostgreSQL's programs: on the path, or where Debian keeps the newest version.

    Raises:
        ServiceMissing: There is none.
    """
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    installed = [each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not installed:
        raise ServiceMissing(
            "PostgreSQL is not installed (Debian: apt install postgresql), or name a server that may be filled:"
            " CARDWIRE_TEST_POSTGRES=postgresql://user:password@host/postgres"
        )
    return max(installed, key=lambda folder: int(folder.parent.name) if folder.parent.name.isdigit() else 0)


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise ServiceMissing("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")


def _children(pid: int) -> list[int]:
    """Return the processes that ``pid`` started itself; empty where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == pid:
            found.append(int(stat.parent.name))
    return found


def _database(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement, timeout=30)
    finally:
        await connection.close()


def _blocking(work: Coroutine[object, object, None]) -> None:
    """Run ``work`` on a loop and a thread of its own: the caller may be inside a loop already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
