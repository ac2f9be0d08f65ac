"""The broker without Docker, as the document sets it up: only its ports and its folder are others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support import ServiceMissing
from tests.support.commands import environment, run
from tests.support.documents import ROOT
from tests.support.kafka import KafkaBroker, free_ports
from tests.support.kafka_node import Node

HOWTO: Final = (ROOT / "docs" / "howto" / "run-on-kafka-and-postgresql.md").read_text()

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentedNode(Node):
    """A node with the settings that the document puts into ``kafka.properties``."""

    def properties(self, data: Path) -> str:
        """Return them, with this node's ports and folder."""
        (text,) = re.findall(r"into `kafka\.properties`:\n\n```properties\n(.*?)^```", HOWTO, re.MULTILINE | re.DOTALL)
        others = {"127.0.0.1:9092": f"127.0.0.1:{self.port}", "127.0.0.1:9093": f"127.0.0.1:{self.voters[1]}"}
        for theirs, ours in (others | {"/var/lib/kafka": str(data)}).items():
            assert theirs in text
            text = str(text).replace(theirs, ours)
        return str(text)


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    """Return the document's broker, formatted and started."""
    port, controller = free_ports(2)
    try:
        broker = KafkaBroker(node=DocumentedNode(number=1, port=port, voters={1: controller}))
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def test_whoever_has_no_docker_gets_a_broker_with_cardwires_topics(broker: KafkaBroker, tmp_path: Path) -> None:
    """They are made, and are as they should be."""
    env = environment(tmp_path, CARDWIRE_LOG=f"kafka://{broker.bootstrap}")
    for command in ("create", "check"):
        ran = run("topics", command, env=env, cwd=tmp_path)
        assert 0 == ran.returncode, ran.stdout + ran.stderr
