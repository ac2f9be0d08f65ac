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
    10014: "app secret invalid",
    11310: "card content too large",
    200000: "the message was recalled",
    230001: "Your request contains an invalid request parameter",
    230002: "The bot can not be outside the group",
    230011: "The message was withdrawn",
    TARGET_FREQUENCY_LIMIT: "This operation triggers the frequency limit",
    TOO_LONG: "The length of the message content reaches its limit",
    230031: "Message has expired when updating message",
    230034: "The receive_id is invalid",
    230099: "Failed to create card content",
    232001: "Your request contains an invalid request parameter",
    232002: "Only the group owner or administrators can do this",
    232006: "Your request contains an invalid chat_id",
    232009: "Your request specifies a chat which has already been dissolved",
    300020: "the update token is malformed",
    CARD_TOKEN_EXPIRED: "the update token has expired",
    300040: "the update token has been used up",
    300090: "an exclusive card needs open_ids",
    FREQUENCY_LIMIT: "request trigger frequency limit",
    99991543: "app_id or app_secret does not exist",
    99991661: "Missing access token for authorization",
    99991663: "Invalid access token for authorization",
    99991671: "Invalid access token: it must start with t- or u-",
    99992402: "field validation failed",
}
