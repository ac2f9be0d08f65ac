"""Numbers of the outbox: what is committed and not yet told."""

from typing import Final

from shared.observability.metrics.metric import Metric

# Above 100,000 effects stop being performed, because they could no longer be told.
OUTBOX: Final = Metric(name="cardwire_outbox_rows", kind="gauge", meaning="Rows committed and not yet in the log.")
RELAYED: Final = Metric(name="cardwire_outbox_relayed", kind="counter", meaning="Outbox rows told to the log.")
