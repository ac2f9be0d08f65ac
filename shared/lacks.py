"""What keeps a process from taking work in: the closed list of which ``/readyz`` names some. docs/howto/watch.md."""

from typing import Literal

Lack = Literal[
    "starting",
    "stopping",
    "stalled",
    "log_away",
    "spill_full",
    "no_long_connection",
    "ledger_away",
    "newer_record",
    "too_much_failed",
    "outbox_full",
    "no_process",
]
"""
``starting``: it has not read the log yet (or stands by while another worker reads its SQLite log); ``stalled``: a part
of it has ended or hangs; ``newer_record``: a worker stands at a record of a newer program; ``too_much_failed``: it
stopped deciding, because too many handlers fail; ``no_process``: none of a gateway's processes answers. The others are
what they say.
"""
