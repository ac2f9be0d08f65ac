"""Numbers of long connections."""

from typing import Final

from shared.observability.metrics.metric import Metric

# While it is 0, callbacks that come this way are lost, unless another gateway is connected.
LONG_CONNECTION_UP: Final = Metric(
    name="cardwire_long_connection_up",
    kind="gauge",
    meaning="1 while the long connection of an app is open.",
    labels=("app_id",),
    together="smallest",
)
# A few a day are the platform's habit; many are a bad line.
LONG_CONNECTIONS_LOST: Final = Metric(
    name="cardwire_long_connections_lost",
    kind="counter",
    meaning="Long connections that ended before we ended them.",
    labels=("app_id",),
)
# Up and silent for a working day: the console delivers elsewhere.
LAST_FRAME_AGE: Final = Metric(
    name="cardwire_last_event_age_seconds",
    kind="gauge",
    meaning="Seconds since the long connection last brought a callback or an event; before the first, since its start.",
    labels=("app_id",),
    together="smallest",
)
# At 1024 the log, or a handler's answer, is too slow for what comes in.
FRAMES_UNDER_WAY: Final = Metric(
    name="cardwire_long_connection_under_way",
    kind="gauge",
    meaning="Callbacks and events of a long connection that are being answered; at 1024 nothing more is read.",
    labels=("app_id",),
)
