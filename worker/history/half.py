"""Half a log: one of its two topics is missing, so nothing can be said about what the other one holds."""

from shared.eventlog.port import EventLog, Topics
from worker.history.walk import length


async def missing_half(event_log: EventLog, topics: Topics) -> str | None:
    """
    Return the line about the topic that is missing while the other one has records; ``None``: nothing is missing.

    A log in which nothing was recorded yet misses nothing: a worker makes the outcomes at its first start.

    Raises:
        LogUnavailable: The log cannot be asked.
    """
    for topic, other in ((topics.interactions, topics.outcomes), (topics.outcomes, topics.interactions)):
        if not await event_log.spans(topic) and length(await event_log.spans(other)):
            return no_topic(topic)
    return None


def no_topic(topic: str) -> str:
    """Return the line about a log without one of its two topics, or both."""
    return (
        f"the log has no topic {topic}: expected the log of a gateway and a worker, with all of its files, "
        "for example CARDWIRE_LOG=sqlite:///cardwire-data/log.db"
    )
