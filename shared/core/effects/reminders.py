"""Reminders: what a handler wants to be asked later, when nobody may have clicked meanwhile."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from shared.core.effects.returning import Origin

LONGEST: Final = timedelta(days=30)
"""A card can be clicked for so long."""


class Remind(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="Remind"):
    """
    Ask `App.on_reminder` later, about the same card; a newer one of the same key takes its place.

    Attributes:
        after: How long after this interaction was received: a `timedelta`, or seconds. At most 30 days.
        key: Which reminder of the card: what `on_reminder` and `CancelReminder` know it by.
        origin: Set by the worker, whatever is given.
    """

    after: timedelta
    key: str = "reminder"
    origin: Origin | None = None

    if TYPE_CHECKING:

        def __init__(self, after: timedelta | float, key: str = ..., origin: Origin | None = None) -> None: ...

    def __post_init__(self) -> None:
        if isinstance(self.after, int | float) and not isinstance(self.after, bool):
            msgspec.structs.force_setattr(self, "after", timedelta(seconds=self.after))


class CancelReminder(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="CancelReminder"):
    """
    Do not ask again: the reminder of this key, if it has not come yet, does not come.

    Attributes:
        key: Which reminder of the card.
    """

    key: str = "reminder"


Timing = Remind | CancelReminder
