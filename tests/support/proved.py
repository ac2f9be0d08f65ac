"""What `cardwire verify` says of a log: every suite that makes one asks it at its end."""

from collections.abc import Iterable

from shared.eventlog.port import PARTITIONS, EventLog, Record, Topics
from worker.history.verify import verify
from worker.history.verifying.proof import Proof
from worker.history.verifying.story import Violation


def broken_promises(inputs: Iterable[Record], outcomes: Iterable[Record]) -> list[str]:
    """Return what is wrong with records that lie in memory, a line each."""
    proof = Proof(outcome_partitions=PARTITIONS)
    try:
        proof.read(list(outcomes))
        proof.read(list(inputs))
        return [_line(violation) for violation in proof.violations()]
    finally:
        proof.close()


async def promises_broken_in(event_log: EventLog, topics: Topics) -> list[str]:
    """Return what is wrong with a log, a line each."""
    found: list[Violation] = []
    await verify(event_log, topics, found=found.append)
    return [_line(violation) for violation in found]


def _line(violation: Violation) -> str:
    return f"{violation.rule}: {violation.event_id} at {', '.join(map(str, violation.places))}: {violation.text}"
