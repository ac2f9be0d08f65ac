"""
A deployment in which everybody may do what they must and nothing else, after the recipe of docs/howto/secure.md.

Kafka speaks TLS, asks for a user (SCRAM) and allows nothing unasked; PostgreSQL speaks TLS and gives the worker no more
than its rows. Gateway, worker and commands are real processes with their users' rights alone.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from urllib.request import urlopen

import asyncpg
import pytest

from cardwire.demo import alert_card
from shared.core.codec import decode
from shared.core.errors import LogRefused
from shared.core.events import Decided, EffectOutcome
from shared.eventlog.open import OpenedLog, open_log
from shared.eventlog.port import TOPICS, NewRecord
from shared.settings import LogSettings, load
from simulator.app import run_simulator
from simulator.settings import SimulatorSettings
from tests.contract.eventlog.words import at_the_beginning, everything
from tests.support import ServiceMissing
from tests.support.commands import PATIENCE_S, Started, run, started
from tests.support.documents import is_documented
from tests.support.event_logs import until
from tests.support.secured import HOST, OTHER_HOST, Secured, secured

# Setting up runs a dozen of Java programs: on a busy machine that takes a while.
pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]

JUNK = b"nobody can read this"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Broker and database, set up by the document's own commands."""
    try:
        with secured(tmp_path_factory.mktemp("secured")) as found:
            yield found
    except ServiceMissing as missing:
        pytest.skip(str(missing))


@asynccontextmanager
async def log_of(env: Mapping[str, str]) -> AsyncIterator[OpenedLog]:
    """Open the log as somebody whose environment this is."""
    settings = load(LogSettings, env)
    log = open_log(settings.url, kafka=settings.kafka)
    try:
        yield log
    finally:
        await log.close()


@contextmanager
def process(deployment: Secured, role: str, env: Mapping[str, str]) -> Iterator[Started]:
    """Run a gateway or a worker; it ends in order, and has shown no secret and no trace."""
    with started(role, env=env, cwd=deployment.folder) as running:
        yield running
        assert running.stop() == 0
    assert_clean(deployment, running.out.read_text() + running.err.read_text())


def assert_clean(deployment: Secured, printed: str) -> None:
    """Fail if a secret or a traceback was printed."""
    assert "Traceback" not in printed
    assert [] == [secret for secret in deployment.secrets() if secret in printed]


def ready(admin: str) -> int:
    """Return what ``/readyz`` answers; the wait for it is bounded."""
    try:
        with urlopen(f"{admin}/readyz", timeout=5) as answer:  # noqa: S310 (our own address)
            return int(answer.status)
    except OSError as error:
        return int(getattr(error, "code", 0))


async def until_ready(admin: str) -> None:
    """Wait until a process is ready."""
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(ready, admin) != 200:  # noqa: ASYNC110 (another process tells no event)
            await asyncio.sleep(0.1)


async def a_click_travels(deployment: Secured, *, worker: Mapping[str, str]) -> None:
    """Start gateway, simulator and a worker with these settings; follow up on an alert; see card and chat change."""
    with process(deployment, "gateway", deployment.env("gateway")) as gateway:
        told = await asyncio.to_thread(gateway.until, r"^gateway ready callbacks=(\S+) admin=(\S+)$")
        await until_ready(told[2])
        settings = {
            **deployment.env("gateway"),
            "LARK_APP_SECRET_FILE": str(deployment.secret("app_secret")),
            "CARDWIRE_SIMULATOR_PORT": "0",
            "CARDWIRE_SIMULATOR_CALLBACK": f"{told[1]}/webhook/card",
        }
        async with run_simulator(SimulatorSettings.load(settings)) as simulator:
            with process(deployment, "worker", {**worker, "LARK_DOMAIN": simulator.url}) as deciding:
                told = await asyncio.to_thread(deciding.until, r"^worker ready admin=(\S+)$")
                await until_ready(told[1])
                chat_id = simulator.platform.new_chat("支付告警").chat_id
                message_id = simulator.put_card(chat_id, alert_card("支付超时率 3.2%"))
                seen = await simulator.click(message_id, {"action": "follow_up", "alert": "支付超时率 3.2%"})
                assert (200, None) == (seen.status, seen.client_error)
                assert "正在跟进" in str(seen.body)
                await until(lambda: "跟进中" in str(simulator.platform.message(message_id).card))
                await until(lambda: simulator.platform.chat(chat_id).name == "跟进中")


async def test_a_click_travels_with_no_more_rights_than_needed(deployment: Secured) -> None:
    """Gateway and worker are ready, the card and the chat change, it is told, and nothing was refused on the way."""
    await a_click_travels(deployment, worker=deployment.env("worker"))
    async with log_of(deployment.env("worker")) as log:
        events = [decode(each.headers, each.value) for each in await everything(log, TOPICS.outcomes)]
    assert {"decided"} == {event.result for event in events if isinstance(event, Decided)}
    assert {"succeeded"} == {event.status for event in events if isinstance(event, EffectOutcome)}
    for role in ("gateway", "worker"):
        lines = (deployment.folder / f"{role}.err").read_text().splitlines()
        assert [] == [line for line in lines if re.search("(?i)authoriz|refuse|denied|privilege", line)]


class TestWhatTheGatewayMayNotDo:
    """It appends to two topics, and no more."""

    async def test_it_cannot_write_outcomes(self, deployment: Secured) -> None:
        """The error names the user and the rule; the log goes on taking what is allowed."""
        async with log_of(deployment.env("gateway")) as log:
            with pytest.raises(LogRefused, match=f"Write --topic {TOPICS.outcomes}$"):
                await log.append([junk(TOPICS.outcomes)])
            await log.append([junk(TOPICS.dead)])
            assert await log.ready()

    async def test_it_cannot_read(self, deployment: Secured) -> None:
        """Neither its own records, nor outcomes, nor as a member of a group."""
        async with log_of(deployment.env("gateway")) as log:
            await log.append([junk(TOPICS.dead)])
            spans = await log.spans(TOPICS.dead)
            number, span = next((number, span) for number, span in spans.items() if span.end > span.begin)
            with pytest.raises(LogRefused, match=f"Read --topic {TOPICS.dead}$"):
                await log.read(TOPICS.dead, number, span.begin, limit=1)
            with pytest.raises(LogRefused, match=f"Read --topic {TOPICS.outcomes}$"):
                await log.spans(TOPICS.outcomes)
            with pytest.raises(LogRefused, match=r"Read --group workers$"):
                await at_the_beginning(log, TOPICS.interactions)


def junk(topic: str) -> NewRecord:
    """Return a record that is nobody's business."""
    return NewRecord(topic=topic, key="k", value=JUNK, headers=(), timestamp=1_790_000_000_000)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE claims ADD COLUMN mine int",
        "DROP TABLE claims",
        "TRUNCATE claims",
        "CREATE INDEX mine ON claims (app_id)",
        "CREATE ROLE mine",
        "SET ROLE cardwire_owner",
    ],
)
async def test_the_workers_role_cannot_change_the_schema(deployment: Secured, statement: str) -> None:
    """It fills and empties rows, and that is all."""
    connection = await asyncpg.connect(deployment.secret("ledger_worker").read_text().strip())
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


class TestWhatAPersonReads:
    """Every mistake is one line that names the setting, as docs/reference/bad-input.md says, and an example."""

    def refused(self, deployment: Secured, command: str, env: Mapping[str, str], *, code: int = 1) -> str:
        """Return the line that a command ends with."""
        ran = run(*command.split(), env=env, cwd=deployment.folder)
        assert code == ran.returncode, ran.stderr
        assert_clean(deployment, ran.stdout + ran.stderr)
        (line,) = (line for line in ran.stderr.splitlines() if line.startswith("cardwire: "))
        line = line.removeprefix("cardwire: ")
        assert is_documented(line)
        return line

    @pytest.mark.parametrize("command", ["worker", "topics check"])
    def test_brokers_of_another_authority(self, deployment: Secured, command: str) -> None:
        """CARDWIRE_KAFKA_CA, or the certificate, is wrong."""
        env = deployment.env("admin" if " " in command else "worker", CARDWIRE_KAFKA_CA=str(deployment.stranger))
        line = self.refused(deployment, command, env)
        assert line.startswith("CARDWIRE_KAFKA_CA: ")
        assert line.endswith("for example CARDWIRE_KAFKA_CA=/etc/cardwire/ca.pem")

    def test_a_broker_by_another_name(self, deployment: Secured) -> None:
        """The address is not what the certificate is for."""
        env = deployment.env("admin", CARDWIRE_LOG=f"kafka://{deployment.broker.replace(HOST, OTHER_HOST)}")
        line = self.refused(deployment, "topics check", env)
        assert line.startswith(f"CARDWIRE_LOG: Kafka at {OTHER_HOST}:")
        assert "certificate for another name" in line

    def test_a_wrong_password_for_the_brokers(self, deployment: Secured) -> None:
        """The user and the setting are named, the password is not."""
        wrong = str(deployment.secret("kafka_admin"))
        line = self.refused(deployment, "worker", deployment.env("worker", CARDWIRE_KAFKA_PASSWORD_FILE=wrong))
        assert line.startswith("CARDWIRE_KAFKA_PASSWORD: ")
        assert "cardwire-worker" in line

    def test_another_mechanism_than_the_brokers(self, deployment: Secured) -> None:
        """The setting is named."""
        line = self.refused(deployment, "worker", deployment.env("worker", CARDWIRE_KAFKA_SASL="PLAIN"))
        assert line.startswith("CARDWIRE_KAFKA_SASL: ")

    def test_no_encryption_where_the_brokers_expect_it(self, deployment: Secured) -> None:
        """They close the connection without a word; the line says what to look at."""
        env = deployment.env("worker", CARDWIRE_KAFKA_TLS=None, CARDWIRE_KAFKA_CA=None)
        assert "CARDWIRE_KAFKA_TLS=true" in self.refused(deployment, "worker", env)

    @pytest.mark.parametrize(
        ("command", "user", "right"),
        [
            ("worker", "gateway", "--operation Read --topic lark.card.outcomes.v1"),
            ("topics create", "gateway", "--operation Create --topic lark.card."),
            ("topics check", "worker", "--operation DescribeConfigs --topic lark.card."),
        ],
    )
    def test_a_missing_rule(self, deployment: Secured, command: str, user: str, right: str) -> None:
        """The line is the rule's own command."""
        env = deployment.env(
            "admin" if " " in command else "worker",
            CARDWIRE_KAFKA_USERNAME=f"cardwire-{user}",
            CARDWIRE_KAFKA_PASSWORD_FILE=str(deployment.secret(f"kafka_{user}")),
        )
        line = self.refused(deployment, command, env)
        assert line.startswith("CARDWIRE_KAFKA_USERNAME: ")
        assert f"kafka-acls.sh --add --allow-principal User:cardwire-{user} {right}" in line

    @pytest.mark.parametrize(
        ("name", "file"),
        [("CARDWIRE_KAFKA_CA", "nowhere.pem"), ("CARDWIRE_KAFKA_CA", "handlers.py"), ("CARDWIRE_KAFKA_CERT", "x.pem")],
    )
    def test_a_file_of_certificates_that_cannot_be_used(self, deployment: Secured, name: str, file: str) -> None:
        """The line names setting and file; nothing is connected to."""
        key = "x.key" if name == "CARDWIRE_KAFKA_CERT" else None
        env = deployment.env("gateway", **{"CARDWIRE_KAFKA_KEY": key, name: file})
        line = self.refused(deployment, "gateway", env, code=2)
        assert line.startswith(f"{name} names {file}, which cannot be used (")

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"sslrootcert=.*": "sslrootcert={stranger}"}, "has a certificate that does not do (unable to get"),
            ({"@localhost": "@127.0.0.1"}, "has a certificate that does not do (IP address mismatch"),
            ({":[0-9a-f]{48}@": ":wrong@"}, "does not let this user in (SQLSTATE 28P01)"),
            ({"sslmode=.*": "sslmode=disable"}, "does not let this user in (SQLSTATE 28000)"),
            ({"cardwire[?]": "postgres?"}, "does not allow this user what it must do (SQLSTATE 42501)"),
        ],
    )
    @pytest.mark.parametrize("command", ["db upgrade"])
    def test_a_database_that_does_not_let_us_in(
        self, deployment: Secured, command: str, changed: Mapping[str, str], said: str
    ) -> None:
        """An authority, a name, a password, encryption, a right: the line says which, and never the address whole."""
        url = deployment.secret("ledger_worker").read_text().strip()
        for pattern, by in changed.items():
            url, count = re.subn(pattern, by.format(stranger=deployment.stranger), url)
            assert 1 == count
        line = self.refused(
            deployment, command, deployment.env("admin", CARDWIRE_LEDGER_FILE=None, CARDWIRE_LEDGER=url)
        )
        assert line.startswith("CARDWIRE_LEDGER: the database at ")
        assert said in line
        assert "for example CARDWIRE_LEDGER=postgresql://" in line

    def test_an_authority_of_the_database_that_is_not_there(self, deployment: Secured) -> None:
        """The line says that a file is missing, not that the database is."""
        url = deployment.secret("ledger_worker").read_text().strip().replace(str(deployment.authority), "nowhere.pem")
        env = deployment.env("worker", CARDWIRE_LEDGER_FILE=None, CARDWIRE_LEDGER=url)
        line = self.refused(deployment, "worker", env, code=2)
        assert line.startswith("CARDWIRE_LEDGER names a file that cannot be used (No such file or directory)")

    @pytest.mark.parametrize(
        ("password", "said"),
        [
            pytest.param("kafka_admin", "CARDWIRE_KAFKA_PASSWORD: ", id="wrong password"),
            pytest.param("kafka_gateway", "CARDWIRE_KAFKA_USERNAME: ", id="no rule"),
        ],
    )
    async def test_a_gateway_that_the_brokers_do_not_let_in(
        self, deployment: Secured, password: str, said: str
    ) -> None:
        """It starts, is unready, and says in one line of its log why."""
        user, right = "cardwire-somebody", deployment.secret("kafka_gateway").read_text().strip()
        secret = f"'SCRAM-SHA-512=[password={right}]'"
        deployment.run(f"kafka-configs.sh $on --alter --entity-type users --entity-name {user} --add-config {secret}")
        env = deployment.env(
            "gateway",
            CARDWIRE_KAFKA_USERNAME=user,
            CARDWIRE_KAFKA_PASSWORD_FILE=str(deployment.secret(password)),
        )
        with process(deployment, "gateway", env) as gateway:
            told = await asyncio.to_thread(gateway.until, r"admin=(\S+)$")
            async with asyncio.timeout(PATIENCE_S):
                while "log_refused" not in gateway.err.read_text():
                    assert 503 == await asyncio.to_thread(ready, told[1])
        (line,) = (line for line in gateway.err.read_text().splitlines() if "log_refused" in line)
        assert is_documented(json.loads(line)["reason"])
        assert json.loads(line)["reason"].startswith(said)


async def test_another_user_of_kafka_takes_over_for_a_worker(deployment: Secured) -> None:
    """As the document changes a password; the last test here, for it takes away what the first user had."""
    deployment.do("Change a password")
    changed = {
        "CARDWIRE_KAFKA_USERNAME": "cardwire-worker-2",
        "CARDWIRE_KAFKA_PASSWORD_FILE": str(deployment.secret("kafka_worker_2")),
    }
    await a_click_travels(deployment, worker=deployment.env("worker", **changed))
