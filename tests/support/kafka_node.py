"""What a Kafka node of tests is told: its place in a cluster, and whom it lets in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CLUSTER_ID: Final = "4L6g3nShT-eMCtK--X86sw"
"""Any fixed id will do: brokers of different tests never meet."""

ADMIN: Final = "admin"
HOST: Final = "127.0.0.1"
MECHANISM: Final = "SCRAM-SHA-512"
COPIES: Final = 3

# Replication factors of the internal topics are 3 by default: with one node groups would never start.
# broker.session.timeout.ms: a killed node may not register again before it is over (default 9 s); on a busy machine a
# node that lives may miss 2 s, and its topics then have no leader for a while.
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{listener}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
"""

# Nodes speak with each other, and tests ask whether one serves, on listeners without a login, as User:ANONYMOUS. A
# secured node's clients are given the address of the other listener alone.
_SECURITY: Final = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin};User:ANONYMOUS
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location={keystore}
listener.name.secured.sasl.enabled.mechanisms={mechanism}
listener.name.secured.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSecurity:
    """
    What makes a broker speak TLS, ask for a user and a password (SCRAM-SHA-512), and allow nothing by itself.

    Attributes:
        host: The name that clients reach it by.
        port: Of the listener that does all this.
        keystore: PEM file with key and certificate.
        password: Of `ADMIN`, the user who may do everything.
    """

    host: str
    port: int
    keystore: Path
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    One node's place in its cluster.

    Attributes:
        number: Its id.
        port: Where it serves without asking who comes.
        voters: The port of each node's controller, by id.
    """

    number: int
    port: int
    voters: Mapping[int, int]
    security: BrokerSecurity | None = None

    def properties(self, data: Path) -> str:
        """Return the text of the node's configuration, with its records in ``data``."""
        copies = min(COPIES, len(self.voters))
        secured = self.security
        text = _PROPERTIES.format(
            number=self.number,
            voters=",".join(f"{number}@{HOST}:{port}" for number, port in self.voters.items()),
            port=self.port,
            controller=self.voters[self.number],
            listener=f",SECURED://{secured.host}:{secured.port}" if secured else "",
            data=data,
            copies=copies,
            in_sync=2 if copies >= COPIES else 1,
        )
        if secured is not None:
            text += _SECURITY.format(admin=ADMIN, keystore=secured.keystore, mechanism=MECHANISM)
        return text

    def format_options(self) -> list[str]:
        """Return what a new node's storage is made with, besides its configuration."""
        if self.security is None:
            return ["-t", CLUSTER_ID]
        return ["-t", CLUSTER_ID, "-S", f"{MECHANISM}=[name={ADMIN},password={self.security.password}]"]
