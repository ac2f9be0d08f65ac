"""
The exceptions of Cardwire, by who must act.

::

    CardwireError
    ├── ConfigError              the operator: a setting; raised at start, names it and an example
    ├── CallbackRejected         the caller of the webhook; http_status 401, 408, 413
    ├── HandlerError             the author of a handler: recorded, blocks at most its own event
    ├── CallFailed               the author of a call: given up at once, told to whoever asked for it
    ├── LogUnavailable           the log's operator: nothing may be acknowledged as recorded
    │   └── LogRefused           …and whoever gives rights: it is there, and does not let us in
    ├── RecordRefused            one record can never be appended (too large): the caller's, not an outage
    ├── LedgerUnavailable        the database's operator: pause, lose nothing
    │   └── LedgerRefused        …and whoever gives rights: it is there, and does not let us in
    ├── StartRefused             the operator: log and ledger do not tell the same history
    └── Undecodable              a record that no version of ours can read: parked
        └── NewerThanUs          …but a newer version may: stop, unready, until the worker is upgraded
"""


class CardwireError(Exception):
    """Root of all errors that Cardwire raises on purpose."""


class ConfigError(CardwireError):
    """A setting is missing or malformed; the text names it and gives an example."""


class CallbackRejected(CardwireError):
    """
    A callback that may not come in. The caller learns the status and nothing else.

    Attributes:
        cause: Closed list of short names, for the log line and the metric.
        http_status: 401 unless the body was too large (413) or too slow (408).
    """

    def __init__(self, cause: str, *, http_status: int = 401, hint: str | None = None) -> None:
        super().__init__(cause if hint is None else f"{cause}: {hint}")
        self.cause = cause
        self.http_status = http_status
        self.hint = hint


class HandlerError(CardwireError):
    """A handler raised, took too long, or returned what cannot be decided."""


class CallFailed(CardwireError):
    """
    Raised by a function registered with `App.call`: give it up at once, and tell why.

    The text comes to `App.on_result` as ``result.error``, and is recorded. Of any other exception only its type and its
    place are, and the call is tried again.
    """


class LogUnavailable(CardwireError):
    """The log did not take the records, or did not say so in time. Some may have been appended all the same."""


class LogRefused(LogUnavailable):
    """
    The log is there and does not let us in, or do what we must: a certificate, a password, a rule.

    The text is a line by itself: it begins with the setting and ends with an example.
    """


class RecordRefused(CardwireError):
    """The log will never take this record (too large, malformed): trying again cannot help."""


class LedgerUnavailable(CardwireError):
    """The database cannot be reached or refuses work for reasons that are not in the data."""


class LedgerRefused(LedgerUnavailable):
    """
    The database is there and does not let us in, or do what we must: a certificate, a password, a right.

    The text is a line by itself: it begins with the setting and ends with an example.
    """


class StartRefused(CardwireError):
    """Log and ledger do not tell the same history; the text says what differs and what to do."""


class Undecodable(CardwireError):
    """A record's bytes are not an event of ours. It is parked, never retried."""


class NewerThanUs(Undecodable):
    """A record of a type or version that this program does not know yet. Workers are upgraded before gateways."""
