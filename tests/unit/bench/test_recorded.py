"""The log that benchmarks are made on is one that a worker leaves."""

from bench.recorded import RECORDS_PER_CLICK, recorded
from shared.core.codec import decode
from shared.core.events import EffectOutcome
from shared.eventlog.memory import MemoryLog
from shared.eventlog.port import TOPICS
from tests.support.proved import promises_broken_in

CLICKS = 2_345
CARDS = 100


async def test_every_promise_is_kept_in_it() -> None:
    """Or what is measured there would be no work of ours."""
    log = MemoryLog()
    await log.append(list(recorded(CLICKS, cards=CARDS, topics=TOPICS)))
    assert [] == await promises_broken_in(log, TOPICS)


def test_every_click_has_its_mark_its_decision_and_its_outcome() -> None:
    """Every fifth of a card is shown, and its last one."""
    made = list(recorded(CLICKS, cards=CARDS, topics=TOPICS))
    events = [decode(one.headers, one.value) for one in made]
    outcomes = [one for one in events if isinstance(one, EffectOutcome)]
    assert (CLICKS * RECORDS_PER_CLICK, CLICKS) == (len(events), len({one.event_id for one in outcomes}))
    shown = [one for one in outcomes if one.status == "succeeded"]
    assert CARDS * (CLICKS // CARDS // 5) + CARDS == len(shown)
    assert CARDS == len({one.message_id for one in shown})
