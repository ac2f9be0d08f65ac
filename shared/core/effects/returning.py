"""
Effects that come back: what they bring is a fact in the log, and a handler decides on it.

A call of the user's own code, and questions to the platform: none of them may be made by a handler, which is pure. So a
handler asks for it, the worker does it, as often as it takes, and the answer is appended under the key of the card that
it is about. There it takes its turn among the clicks.
"""

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from shared.core.ids import ChatId, EventId, MessageId
from shared.core.json_text import EpochMs, JsonText, json_text
from shared.core.people import Operator

JsonLike = dict[str, Any] | list[Any] | str
"""A JSON object or list, or JSON text of any value."""

ANSWER_BYTES: Final = 64 * 1024
"""What may come back, as JSON in UTF-8."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


def _json(value: JsonLike) -> JsonText:
    return JsonText(value) if isinstance(value, str) else json_text(value)


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What an effect descends from, however many answers lie in between: kept with it, so that what comes back says so.

    Attributes:
        event_id: The interaction, or the request, with which it began.
        chat_id: The chat that it happened in, where it is known.
        operator: Whose interaction it was.
        clicked_at: If it was a click, so that somebody waited for its answer: when it was received (ms, gateway's
            clock); of what descends from what came back, when it was decided (ms, ledger's clock).
    """

    event_id: EventId
    chat_id: ChatId | None = None
    operator: Operator = Operator()
    clicked_at: EpochMs | None = None


class Call(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="Call"):
    """
    Call a function of your own, registered with `App.call`; what it returns comes to `App.on_result`.

    Attributes:
        name: The function's name.
        args: JSON that it is given: an object, a list, or JSON text.
        origin: Set by the worker, whatever is given.
    """

    name: str
    args: JsonText = JsonText("{}")
    origin: Origin | None = None

    if TYPE_CHECKING:

        def __init__(self, name: str, args: JsonLike = ..., origin: Origin | None = None) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "args", _json(self.args))


class FetchChat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="FetchChat"):
    """
    Ask the platform about a chat; its answer comes to `App.on_result`.

    Attributes:
        chat_id: Which chat, ``oc_…``; without it, the one that the card was clicked in.
        name: What `on_result` knows the answer by.
        origin: Set by the worker, whatever is given.
    """

    chat_id: ChatId | None = None
    name: str = "fetch_chat"
    origin: Origin | None = None

    if TYPE_CHECKING:

        def __init__(self, chat_id: str | None = None, name: str = ..., origin: Origin | None = None) -> None: ...


class FetchMessage(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="FetchMessage"):
    """
    Ask the platform about a message; its answer comes to `App.on_result`.

    Attributes:
        message_id: Which message, ``om_…``; without it, the card that was clicked.
        name: What `on_result` knows the answer by.
        origin: Set by the worker, whatever is given.
    """

    message_id: MessageId | None = None
    name: str = "fetch_message"
    origin: Origin | None = None

    if TYPE_CHECKING:

        def __init__(self, message_id: str | None = None, name: str = ..., origin: Origin | None = None) -> None: ...


class CallApi(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="CallApi"):
    """
    Make any call of the platform's OpenAPI, in the app's name: at least once.

    Attributes:
        path: Begins with ``/open-apis/``; percent-encoded where need be.
        query: What stands behind the question mark.
        body: JSON: an object, a list, or JSON text.
        name: What `on_result` knows the answer by; ``None``: nobody waits for it.
        origin: Set by the worker, whatever is given.
    """

    method: Method
    path: str
    query: dict[str, str] = {}
    body: JsonText | None = None
    name: str | None = None
    origin: Origin | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            method: Method,
            path: str,
            query: dict[str, str] = ...,
            *,
            body: JsonLike | None = None,
            name: str | None = None,
            origin: Origin | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.body is not None:
            msgspec.structs.force_setattr(self, "body", _json(self.body))


Asking = FetchChat | FetchMessage | CallApi
"""What is asked of the platform."""

Returning = Call | Asking
"""What comes back."""
