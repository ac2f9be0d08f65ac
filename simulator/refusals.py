"""
The platform's refusals: code, HTTP status and text, one table.

Statuses and texts: docs/reference/platform.md, "Error codes". The official documents give HTTP 400 for nearly every
code of the messages and chats APIs; where they give none, the status seen by several independent clients is used.
"""

from typing import Final

NOT_FOUND: Final = 99991201
INTERNAL_ERROR: Final = 2200
TOO_LONG: Final = 230025
TARGET_FREQUENCY_LIMIT: Final = 230020
CARD_TOKEN_EXPIRED: Final = 300030
FREQUENCY_LIMIT: Final = 99991400


class Refused(Exception):
    """
    The platform says no to a call. Nothing was changed.

    Attributes:
        code: The platform's code.
        detail: What the platform appends to its text after ``ext=``.
        wait_s: For frequency limits: seconds until the window ends, told in ``x-ogw-ratelimit-reset``.
        quota: For frequency limits: the window's quota, told in ``x-ogw-ratelimit-limit``.
    """

    def __init__(self, code: int, detail: str = "", *, wait_s: int | None = None, quota: int | None = None) -> None:
        super().__init__(f"{code}: {message_of(code, detail)}")
        self.code = code
        self.detail = detail
        self.wait_s = wait_s
        self.quota = quota

    @property
    def http_status(self) -> int:
        """The HTTP status of the answer."""
        return _STATUS.get(self.code, 400)

    @property
    def message(self) -> str:
        """The text of the answer's ``msg``: for people, never to be tested by a client."""
        return message_of(self.code, self.detail)


def message_of(code: int, detail: str = "") -> str:
    """Return the text that goes with a code."""
    text = _TEXT.get(code, "request refused")
    return f"{text}, ext={detail}" if detail else text


_STATUS: Final = {NOT_FOUND: 404, INTERNAL_ERROR: 500, FREQUENCY_LIMIT: 429}

_TEXT: Final = {
    NOT_FOUND: "404 page not found",
    INTERNAL_ERROR: "Internal Error",
    10002: "invalid card",
    10003: "invalid param",
    10005: "app id unauthorized",
    10012: "get app access token fail",
    10013: "get tenant access token fail",
    10014: "app secret invalid",
    10016: "app resend fail",
    11233: "create message chat trigger rate limit",
    11246: "create message content fail",
    11310: "card content too large",
    11311: "card format invalid",
    18051: "the message was deleted already",
    100000: "card content too large after conversion",
    200000: "the message was recalled",
    200220: "Failed to generate card content",
    200310: "the card is not of this app",
    200320: "open_ids invalid",
    200740: "The card entity does not exist",
    200750: "The card entity has expired",
    200770: "UUID conflict",
    200810: "The card is in an ongoing interaction and cannot be updated",
    200850: "Card streaming timeout",
    200860: "Card content exceeds limit.",
    230001: "Your request contains an invalid request parameter",
    230002: "The bot can not be outside the group",
    230011: "The message was withdrawn",
    TARGET_FREQUENCY_LIMIT: "This operation triggers the frequency limit",
    TOO_LONG: "The length of the message content reaches its limit",
    230027: "Lack of necessary permissions",
    230031: "Message has expired when updating message",
    230034: "The receive_id is invalid",
    230054: "This operation is not supported for this message type",
    230099: "Failed to create card content",
    232001: "Your request contains an invalid request parameter",
    232002: "Only the group owner or administrators can do this",
    232006: "Your request contains an invalid chat_id",
    232008: "Your request specifies a chat whose type is NOT supported currently",
    232009: "Your request specifies a chat which has already been dissolved",
    232010: "Operator and chat can NOT be in different tenants",
    232016: "Non-chat-owner or Non-chat-admin can only edit certain parts",
    300020: "the update token is malformed",
    CARD_TOKEN_EXPIRED: "the update token has expired",
    300040: "the update token has been used up",
    300090: "an exclusive card needs open_ids",
    300121: "Failed to replace element",
    300122: "Failed to update card configuration",
    300301: "Duplicate element_id in card component.",
    300302: "update_multi property is false",
    300303: "Only schema 2.0 is supported",
    300305: "The number of card components exceeds 200",
    300307: "The card DSL is empty",
    300309: "Card streaming closed",
    300310: "Only update text",
    300311: "The current application does not have permission to update/use this card",
    300312: "Unable to update element tag",
    300313: "Failed to update element properties",
    300314: "Failed to delete element",
    300315: "Failed to add element",
    300317: "The sequence number for operating on the card did not increment consecutively",
    FREQUENCY_LIMIT: "request trigger frequency limit",
    99991543: "app_id or app_secret does not exist",
    99991661: "Missing access token for authorization",
    99991663: "Invalid access token for authorization",
    99991664: "invalid app token",
    99991671: "Invalid access token: it must start with t- or u-",
    99992364: "user id cross tenant",
    99992402: "field validation failed",
}
