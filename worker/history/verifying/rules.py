"""The table of rules: what each proves, for which promise, and what a log cannot show of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worker.history.verifying import answering, beside, cards, deciding, performing
from worker.history.verifying.story import Known, Story, Violation

EventRule = Callable[[Story, Known], Iterator[Violation]]

EVENT_RULES: Final[Sequence[EventRule]] = (
    deciding.decided_once,
    deciding.decided_again_after_failure,
    deciding.decided_for_its_card,
    deciding.twins_change_nothing,
    answering.waited_for_the_answer,
    answering.not_before_its_time,
    answering.mark_was_logged,
    answering.marked_was_logged,
    performing.performed_was_planned,
    performing.outcomes_are_counted,
    performing.final_is_final,
    performing.sent_once,
    performing.comes_to_an_end,
)
"""Those that one event's facts are enough for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    What is proved.

    Attributes:
        name: As violations tell it.
        guarantee: Its number in the README's table of guarantees.
        proves: In words.
        blind: What of it cannot be seen in a log.
    """

    name: str
    guarantee: str
    proves: str
    blind: str


RULES: Final[Sequence[Rule]] = (
    Rule(
        name=deciding.DECIDED_ONCE,
        guarantee="G3",
        proves="every record of an input's decision is the same to the byte",
        blind="decisions that were committed and never told, because the database died with them",
    ),
    Rule(
        name=deciding.DECIDED_AGAIN_AFTER_FAILURE,
        guarantee="G3",
        proves="what is decided again, by hand, had failed",
        blind="",
    ),
    Rule(
        name=beside.DECIDED_WAS_LOGGED,
        guarantee="G3",
        proves="every decision is of an input, or of a redrive, that is in the log",
        blind="decisions at the head of a partition, whose inputs retention may have taken",
    ),
    Rule(
        name=deciding.DECIDED_FOR_ITS_CARD,
        guarantee="G3",
        proves="a decision is about the card of its input",
        blind="",
    ),
    Rule(
        name=cards.VERSIONS_HAVE_NO_GAP,
        guarantee="G3",
        proves="the versions of a card count its changes: none is skipped, none is made twice",
        blind="what came before the oldest version that is kept; whether the state itself is right",
    ),
    Rule(
        name=beside.DELIVERY_DECIDED_ONCE,
        guarantee="G3",
        proves="of the same bytes delivered twice one is decided, whatever ids they got",
        blind="deliveries without an `X-Request-Id`, and over the long connection",
    ),
    Rule(
        name=cards.TWIN_DECIDED_ONCE,
        guarantee="G3",
        proves="a click that came in the new and in the legacy style is decided in one of them",
        blind="a legacy click that was logged before its twin; twins whose values are written differently",
    ),
    Rule(
        name=deciding.TWINS_CHANGE_NOTHING,
        guarantee="G3",
        proves="what is only written down, as a twin or because no handler wants it, has no effect",
        blind="",
    ),
    Rule(
        name=cards.WON_BY_ITS_RULE,
        guarantee="G3",
        proves="nobody wins a race twice or is counted twice, and a race for one has one winner",
        blind='a second winner of `once="per_card"` before anybody was told that they came too late',
    ),
    Rule(
        name=performing.PERFORMED_WAS_PLANNED,
        guarantee="G4",
        proves="every outcome is of an effect that a decision wants",
        blind="events whose decisions are older than the log",
    ),
    Rule(
        name=performing.OUTCOMES_ARE_COUNTED,
        guarantee="G4",
        proves="outcomes of an effect are numbered from 1 without a gap, and each number says one thing",
        blind="calls without a recorded outcome: begun by a process that died",
    ),
    Rule(
        name=performing.FINAL_IS_FINAL,
        guarantee="G4",
        proves="nothing follows a final outcome but a redrive, or the newest state sent once more",
        blind="whether sending once more was called for",
    ),
    Rule(
        name=performing.SENT_ONCE,
        guarantee="G4",
        proves="no effect made two messages",
        blind="a message whose sender died before it could tell, and that the platform did not count as the same",
    ),
    Rule(
        name=beside.SUPERSEDED_BY_A_NEWER,
        guarantee="G4",
        proves="a superseded effect gave way to a later one of the same target, for the same people, that does as much",
        blind="what became of that one (it may have been refused); names, where the other card's decision is not kept",
    ),
    Rule(
        name=performing.COMES_TO_AN_END,
        guarantee="G4",
        proves="no effect is left without a final outcome two days after it was wanted",
        blind="the last two days",
    ),
    Rule(
        name=beside.NOTHING_PASSED_OVER,
        guarantee="G5",
        proves="every input between two that were decided was decided, was a repetition, or was put aside",
        blind="the head of a partition, whose decisions retention may have taken; its tail, which is not decided yet",
    ),
    Rule(
        name=cards.DECIDED_IN_LOG_ORDER,
        guarantee="G5",
        proves="a later version of a card was decided from a later record",
        blind="decisions that left the card as it was; clicks that were *logged* in another order than they happened",
    ),
    Rule(
        name=answering.WAITED_FOR_THE_ANSWER,
        guarantee="G6",
        proves="no change of a clicked card began before its mark was seen, or 3 s after the decision (ledger's clock)",
        blind="when the person's client had the answer; requests that had to wait for an older click's answer",
    ),
    Rule(
        name=answering.MARK_WAS_LOGGED,
        guarantee="G6",
        proves="what went by an answered mark has one in the log, and one that says delivered if it needed no call",
        blind="",
    ),
    Rule(
        name=answering.MARKED_WAS_LOGGED,
        guarantee="G6",
        proves="what was answered as recorded is in the log",
        blind="the first minute of a partition; what was answered and left no mark either",
    ),
    Rule(
        name=answering.NOT_BEFORE_ITS_TIME,
        guarantee="G6",
        proves="reminders, and what comes back while its click may be unanswered, wait for their time",
        blind="",
    ),
)  # fmt: skip

GUARANTEE: Final[Mapping[str, str]] = {rule.name: rule.guarantee for rule in RULES}
"""Which promise a rule is about."""
