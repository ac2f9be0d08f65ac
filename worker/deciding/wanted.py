"""What a batch must ask the ledger before it can be decided (pure)."""

from collections.abc import Iterable

from shared.core.events import InteractionReceived
from worker.deciding.batch import Taken
from worker.ledger.port import CardKey, ClaimKey, DeliveryRef, Wanted


def wanted(batch: Iterable[Taken]) -> Wanted:
    """Return the keys of a batch: its events, deliveries, cards and apps."""
    clicks = [taken.fact for taken in batch if isinstance(taken.fact, InteractionReceived)]
    return Wanted(
        claims={ClaimKey(click.app_id, click.event_id) for click in clicks},
        deliveries={DeliveryRef(click.app_id, click.delivery_key) for click in clicks if click.delivery_key},
        cards={CardKey(click.app_id, click.message_id) for click in clicks if click.message_id},
        apps={click.app_id for click in clicks},
    )
