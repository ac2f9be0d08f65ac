"""
Brokers and a database that let nobody in without a certificate's authority, a user and a right.

Set up by the very commands of docs/howto/secure.md: the recipe is proven, or no test of it passes.
"""

import os
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import ServiceMissing
from tests.support.commands import COMMAND
from tests.support.documents import ROOT
from tests.support.kafka import KafkaBroker, alone, free_ports
from tests.support.kafka_jars import SCRIPTS, tool
from tests.support.kafka_node import ADMIN, MECHANISM, BrokerSecurity
from tests.support.postgres import PostgresServer, ServerSecurity
from tests.support.postgres import programs as postgres_programs
from tests.support.recipes import Recipe
from tests.support.tls import Authority

DOCUMENT: Final = ROOT / "docs" / "howto" / "secure.md"
BROKERS: Final = "Users and rules of Kafka"
HOST: Final = "localhost"
OTHER_HOST: Final = "127.0.0.1"
"""The same machine by a name that no certificate has."""

_ADMIN: Final = """\
security.protocol=SASL_SSL
sasl.mechanism={mechanism}
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
username="{admin}" password="{password}";
ssl.truststore.type=PEM
ssl.truststore.location={authority}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """
    A deployment after the document's recipe.

    Attributes:
        folder: Where its commands were run; processes of it are started here.
        broker: ``host:port`` of Kafka.
        database: ``host:port`` of PostgreSQL.
        superuser: The database's address for who may do everything.
        authority: PEM file of the one who signed their certificates.
        stranger: PEM file of one who did not.
    """

    folder: Path
    recipe: Recipe
    broker: str
    database: str
    superuser: str
    authority: Path
    stranger: Path

    def env(self, who: str, **changed: str | None) -> dict[str, str]:
        """Return the environment of the gateway, the worker or the administrator, changed as given."""
        given: dict[str, str | None] = {
            "CARDWIRE_PORT": "0",
            "CARDWIRE_ADMIN_PORT": "0",
            **self.recipe.settings("common.env", f"{who}.env"),
            **changed,
        }
        return {"PATH": os.environ["PATH"], **{name: text for name, text in given.items() if text is not None}}

    def do(self, *headings: str, env: Mapping[str, str] | None = None) -> None:
        """Run what stands under these headings of the document."""
        self.run(*(block for heading in headings for block in self.recipe.commands[heading]), env=env)

    def run(self, *commands: str, env: Mapping[str, str] | None = None) -> None:
        """Run commands in a shell where ``$on`` is what the document says."""
        on, *_ = self.recipe.commands[BROKERS]
        self.recipe.run([on, *commands], folder=self.folder, path=self.folder / "bin", env=env or {})

    def secret(self, name: str) -> Path:
        """Return the file of a secret."""
        return self.folder / "secrets" / name

    def secrets(self) -> list[str]:
        """Return every secret there is, addresses with passwords in them aside."""
        files = self.secret("").iterdir()
        return [file.read_text().strip() for file in files if not file.name.startswith("ledger_")]


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """
    Start broker and database in ``folder`` and set them up as the document says.

    Raises:
        ServiceMissing: Something is not installed; says what.
    """
    authority, stranger = Authority(folder), Authority(folder, name="stranger")
    certificate = authority.issue(HOST)
    passwords = {"kafka": secrets.token_hex(16), "postgres": secrets.token_hex(16)}
    (port,) = free_ports(1)
    with ExitStack() as services:
        broker = KafkaBroker(
            node=alone(
                security=BrokerSecurity(host=HOST, port=port, keystore=certificate.both, password=passwords["kafka"])
            )
        )
        services.callback(broker.close)
        server = PostgresServer(
            security=ServerSecurity(
                host=HOST, certificate=certificate, authority=authority.certificate, password=passwords["postgres"]
            )
        )
        services.callback(server.close)
        server.start()
        broker.start()
        recipe = Recipe.of(
            DOCUMENT,
            {
                "kafka.example.com:9093": broker.bootstrap,
                "db.example.com:5432": server.address,
                "/etc/cardwire/ca.pem": str(authority.certificate),
                "/etc/kafka/admin.properties": str(folder / "admin.properties"),
                "/run/secrets": str(folder / "secrets"),
            },
        )
        (folder / "admin.properties").write_text(
            _ADMIN.format(
                mechanism=MECHANISM, admin=ADMIN, password=passwords["kafka"], authority=authority.certificate
            )
        )
        _furnish(folder)
        recipe.write(folder)
        found = Secured(
            folder=folder,
            recipe=recipe,
            broker=broker.bootstrap,
            database=server.address,
            superuser=server.url,
            authority=authority.certificate,
            stranger=stranger.certificate,
        )
        found.do(
            "Passwords",
            BROKERS,
            "Roles of PostgreSQL",
            "Topics and tables, then the processes",
            env={"PGPASSWORD": passwords["postgres"]},
        )
        yield found


def _psql() -> str:
    found = shutil.which("psql") or shutil.which("psql", path=postgres_programs())
    if found is None:
        raise ServiceMissing("PostgreSQL's psql is not installed (Debian: apt install postgresql-client)")
    return found


def _furnish(folder: Path) -> None:
    """Put Kafka's scripts and our command within reach, the handlers, and the secrets of the app."""
    programs = {**{script: tool(script) for script in SCRIPTS}, "psql": [_psql()], "cardwire": [*COMMAND]}
    (folder / "bin").mkdir()
    for name, command in programs.items():
        program = folder / "bin" / name
        program.write_text("\n".join(["#!/bin/sh", f'exec {shlex.join(command)} "$@"']))
        program.chmod(0o700)
    shutil.copy(ROOT / "examples" / "followup" / "handlers.py", folder)
    (folder / "secrets").mkdir()
    for name in ("app_secret", "encrypt_key", "verification_token"):
        (folder / "secrets" / name).write_text(secrets.token_hex(16))
