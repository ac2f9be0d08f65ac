"""
The facts in the log.

They live 33 days in logs that other programs read too, so they are complete, absolute and self-contained:
fields are only ever added, a changed meaning is a new version of the type, and a reader ignores what it does
not know. Bytes and headers are `shared.core.codec`'s business.
"""

from shared.core.events.decided import (
    CARD,
    EFFECTS_PER_DECISION,
    ELEMENT,
    EVERYBODY,
    NAME,
    PREVIEW,
    TEXT,
    TIMER,
    CardSeen,
    ClaimResult,
    Decided,
    Eligibility,
    PlannedEffect,
    shown_by,
)
from shared.core.events.interactions import (
    CARD_ACTIONS,
    Action,
    Answer,
    InteractionAnswered,
    InteractionKind,
    InteractionReceived,
)
from shared.core.events.outcomes import (
    OUTCOME_STATUSES,
    REDRIVEN,
    TOO_OLD,
    CardWay,
    EffectOutcome,
    OutcomeStatus,
    WayReason,
)
from shared.core.events.requests import (
    COMMAND_LINE,
    OURSELVES,
    RequestReceived,
    request_event_id,
    sends_a_successor,
    successor_request_id,
)
from shared.core.events.returning import (
    CallReturned,
    RedriveRequested,
    TimerFired,
    fired_event_id,
    origin_of,
    returned_event_id,
)
from shared.core.people import Operator

__all__ = [
    "CARD",
    "CARD_ACTIONS",
    "COMMAND_LINE",
    "EFFECTS_PER_DECISION",
    "ELEMENT",
    "EVERYBODY",
    "NAME",
    "OURSELVES",
    "OUTCOME_STATUSES",
    "PREVIEW",
    "REDRIVEN",
    "TEXT",
    "TIMER",
    "TOO_OLD",
    "Action",
    "Answer",
    "Asked",
    "CallReturned",
    "CardSeen",
    "CardWay",
    "ClaimResult",
    "Decided",
    "EffectOutcome",
    "Eligibility",
    "Event",
    "Heard",
    "Input",
    "InteractionAnswered",
    "InteractionKind",
    "InteractionReceived",
    "Operator",
    "OutcomeStatus",
    "Output",
    "PlannedEffect",
    "RedriveRequested",
    "RequestReceived",
    "TimerFired",
    "WayReason",
    "fired_event_id",
    "origin_of",
    "request_event_id",
    "returned_event_id",
    "sends_a_successor",
    "shown_by",
    "successor_request_id",
]

Heard = InteractionReceived | CallReturned | TimerFired
"""What handlers decide."""

Asked = Heard | RequestReceived
"""What is claimed and decided, once."""

Input = Asked | InteractionAnswered | RedriveRequested
"""What the worker consumes."""

Output = Decided | EffectOutcome
"""What the worker tells."""

Event = Input | Output
