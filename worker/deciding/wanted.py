"""What a batch must ask the ledger before it can be decided (pure)."""

from collections.abc import Iterable

from shared.core.events import Asked, CallReturned, InteractionReceived, RedriveRequested, TimerFired
from worker.deciding.batch import Taken
from worker.ledger.decided import CardKey, ClaimKey, DeliveryRef, Wanted


def wanted(batch: Iterable[Taken]) -> Wanted:
    """Return the keys of a batch: its events, deliveries, cards and apps."""
    asked = [taken.fact for taken in batch if isinstance(taken.fact, Asked)]
    again = [taken.fact for taken in batch if isinstance(taken.fact, RedriveRequested)]
    clicks = [fact for fact in asked if isinstance(fact, InteractionReceived)]
    return Wanted(
        claims={ClaimKey(fact.app_id, fact.event_id) for fact in asked},
        deliveries={DeliveryRef(click.app_id, click.delivery_key) for click in clicks if click.delivery_key},
        cards={CardKey(fact.app_id, fact.message_id) for fact in (*asked, *again) if fact.message_id},
        apps={click.app_id for click in clicks},
        origins={
            ClaimKey(fact.app_id, fact.origin)
            for fact in asked
            if isinstance(fact, CallReturned | TimerFired) and fact.clicked_at is not None
        },
        redrives={ClaimKey(redrive.app_id, redrive.event_id) for redrive in again},
    )
