"""The read-back: what was answered is in the topic once, its mark behind it, and its line in the log."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bench.gateway.callbacks import Callback, requests
from bench.gateway.contenders import Contender
from bench.gateway.load import Clients
from bench.gateway.serving import Server, serving
from shared.core.codec import decode
from shared.core.events import InteractionAnswered, InteractionReceived
from shared.core.ids import ordering_key
from shared.eventlog.partition import partition_of
from shared.eventlog.port import PARTITIONS, EventLog, Record

READ: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """How many clicks were answered with the toast, and how many records and log lines were found of them."""

    answered: int
    clicks: int
    marks: int
    lines: int
    wrong: Sequence[str]


async def read_back(
    contender: Contender, log: EventLog, topic: str, made: Sequence[Callback], *, core: int
) -> ReadBack:
    """Let a gateway answer each of these clicks once, end it, and read what it appended."""
    began = {partition: span.end for partition, span in (await log.spans(topic)).items()}
    with serving(contender, made[0], core=core) as server:
        with Clients(server.port, server.toast) as clients:
            load = clients.closed(requests(made[1:]), count=len(made) - 1)
        server.cpu_s()  # waits for what trails behind
        told = _told(server)
    wanted = {callback.event_id for callback in made[1:]}
    records = [record async for record in _since(log, topic, began)]
    clicks, marks, wrong = _judged(records, wanted)
    missing = wanted - clicks.keys()
    return ReadBack(
        answered=load.answered,
        clicks=sum(clicks.values()),
        marks=sum(marks.values()),
        lines=sum(told[event_id] for event_id in wanted),
        wrong=[*wrong, *(f"{event_id} is not in the topic" for event_id in missing)],
    )


async def _since(log: EventLog, topic: str, began: dict[int, int]) -> AsyncIterator[Record]:
    for partition, span in (await log.spans(topic)).items():
        offset = began.get(partition, 0)
        while offset < span.end and (found := await log.read(topic, partition, offset, limit=READ)):
            for record in found:
                yield record
            offset = found[-1].offset + 1


def _judged(records: Sequence[Record], wanted: set[str]) -> tuple[Counter[str], Counter[str], list[str]]:
    clicks: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    wrong: list[str] = []
    for record in records:
        event = decode(record.headers, record.value)
        if not isinstance(event, InteractionReceived | InteractionAnswered) or event.event_id not in wanted:
            continue
        key = ordering_key(event.app_id, event.message_id, event.event_id)
        if record.key != key or record.partition != partition_of(key, PARTITIONS):
            wrong.append(f"{event.event_id} lies in partition {record.partition} under {record.key}")
        if isinstance(event, InteractionReceived):
            clicks[event.event_id] += 1
        else:
            marks[event.event_id] += 1
            if not clicks[event.event_id]:
                wrong.append(f"the mark of {event.event_id} lies before it")
    wrong += [f"{event_id} is there {count} times" for event_id, count in (clicks + Counter()).items() if count > 1]
    wrong += [f"{event_id} has {marks[event_id]} marks" for event_id in clicks if marks[event_id] != 1]
    return clicks, marks, wrong


def _told(server: Server) -> Counter[str]:
    lines = (server.folder / "stderr").read_text().splitlines()
    read = (json.loads(line) for line in lines if line.startswith("{"))
    return Counter(line.get("event_id") for line in read if line.get("event") == "callback_answered")
