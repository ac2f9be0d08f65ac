"""Making our topics, and comparing those that are there with what Cardwire needs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.core.errors import LogUnavailable
from shared.eventlog.kafka.failures import FAILURES, pass_cancellation
from shared.eventlog.kafka.options import KafkaOptions, connection
from shared.eventlog.kafka.refusals import FORBIDDEN, not_allowed, unavailable
from shared.eventlog.port import PARTITIONS, RETENTION_MS

DAY_MS: Final = 24 * 3_600_000
BATCH_OVERHEAD_BYTES: Final = 10_000
"""What Kafka adds to a record that travels alone, generously; ``max.message.bytes`` counts it."""

COPIES: Final = 3
RETRY_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic's partitions, copies, and settings by their Kafka names."""

    partitions: int
    replication_factor: int
    settings: Mapping[str, str]


def wanted(options: KafkaOptions, *, brokers: int, partitions: int = PARTITIONS) -> TopicState:
    """Return what a topic of ours is made with, in a cluster of so many brokers."""
    copies = options.replication_factor or min(COPIES, brokers)
    in_sync = options.min_insync_replicas or (2 if copies >= COPIES else 1)
    return TopicState(
        partitions=partitions,
        replication_factor=copies,
        settings={
            "cleanup.policy": "delete",
            "retention.ms": str(RETENTION_MS),
            "segment.ms": str(DAY_MS),  # only whole segments are deleted
            "min.insync.replicas": str(in_sync),
            "max.message.bytes": str(options.max_record_bytes + BATCH_OVERHEAD_BYTES),
            # Not the events' time, which is the platform's: with that, retention deletes a click that tells a wrong
            # or old one within minutes, perhaps unread, and brokers refuse one that is an hour ahead of them.
            "message.timestamp.type": "LogAppendTime",
        },
    )


def differences(topic: str, found: TopicState | None, wanted: TopicState) -> Sequence[str]:
    """Return, in a line each, what of a topic will not do. More copies, room or time than needed will."""
    if found is None:
        return [f"{topic}: missing; run `cardwire topics create`"]
    lines = []
    if found.partitions != wanted.partitions:
        lines.append(f"{topic}: {found.partitions} partitions, expected {wanted.partitions}")
    if found.replication_factor < wanted.replication_factor:
        lines.append(f"{topic}: replication factor {found.replication_factor}, expected {wanted.replication_factor}")
    for name, value in wanted.settings.items():
        have = found.settings.get(name)
        if have is not None and not _will_do(name, have, value):
            lines.append(f"{topic}: {name}={have}, expected {value}")
    return lines


def _will_do(name: str, have: str, want: str) -> bool:
    match name:
        case "retention.ms":
            return int(have) == -1 or int(have) >= int(want)  # -1: for ever
        case "min.insync.replicas" | "max.message.bytes":
            return int(have) >= int(want)
        case "segment.ms":
            return True  # only the overshoot of retention
        case _:
            return have == want


async def create(bootstrap: str, options: KafkaOptions, topics: Sequence[str], *, partitions: int) -> None:
    """
    Make the topics that do not exist, as `wanted`.

    Raises:
        LogUnavailable: The brokers cannot be reached or refuse.
    """
    async with _admin(bootstrap, options) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        state = wanted(options, brokers=brokers, partitions=partitions)
        new = [NewTopic(name, state.partitions, state.replication_factor, None, state.settings) for name in topics]
        answer = await admin.create_topics(new)
        for name, code, *text in answer.topic_errors:
            error = for_code(code)
            if error in FORBIDDEN:
                right = f"--operation Create --topic {name}"
                raise not_allowed(f"Kafka at {bootstrap}", options.security, right)
            if code and error is not TopicAlreadyExistsError:
                raise LogUnavailable(f"Kafka at {bootstrap} did not make {name}: {error.__name__} {text}")


async def check(bootstrap: str, options: KafkaOptions, topics: Sequence[str], *, partitions: int) -> Sequence[str]:
    """
    Return, in a line each, what of the topics will not do (see `differences`).

    Raises:
        LogUnavailable: The brokers cannot be reached or refuse.
    """
    async with _admin(bootstrap, options) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        state = wanted(options, brokers=brokers, partitions=partitions)
        found = await _describe(admin, topics)
        hidden = next((topic for topic, each in found.items() if not each.settings), None)
        if hidden is not None:  # every topic has settings, and some may not see them
            right = f"--operation DescribeConfigs --topic {hidden}"
            raise not_allowed(f"Kafka at {bootstrap}", options.security, right)
        return [line for topic in topics for line in differences(topic, found.get(topic), state)]


async def _describe(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> Mapping[str, TopicState]:
    # Described by name, a missing topic could come into being where brokers are set to.
    described = [each for each in await admin.describe_topics() if each["topic"] in topics and not each["error_code"]]
    resources = [ConfigResource(ConfigResourceType.TOPIC, each["topic"]) for each in described]
    answers = await admin.describe_configs(resources) if resources else []
    settings = {name: _settings(entries) for each in answers for _, _, _, name, entries in each.resources}
    return {
        each["topic"]: TopicState(
            partitions=len(each["partitions"]),
            replication_factor=min(len(partition["replicas"]) for partition in each["partitions"]),
            settings=settings.get(each["topic"], {}),
        )
        for each in described
    }


def _settings(entries: Sequence[Sequence[Any]]) -> Mapping[str, str]:
    return {name: value for name, value, *_ in entries if value is not None}


@contextlib.asynccontextmanager
async def _admin(bootstrap: str, options: KafkaOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    timeout_ms = options.read_request_timeout_ms
    admin = AIOKafkaAdminClient(request_timeout_ms=timeout_ms, **connection(bootstrap, options.security))
    try:
        async with asyncio.timeout(options.read_timeout_s):
            await admin.start()
            client = admin._client  # noqa: SLF001
            while client.get_random_node() is None:  # its brokers have just started and do not know each other yet
                await client.force_metadata_update()
                await asyncio.sleep(RETRY_S)
            yield admin
    except FAILURES as error:
        pass_cancellation(error)
        right = "--operation Describe --cluster"
        raise await unavailable(error, bootstrap, options.security, cannot_be="reached", right=right) from error
    finally:
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(1):
                await admin.close()
