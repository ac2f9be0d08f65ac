"""
What a code of the platform means for the call that got it: one table, a source for every row.

Other people's tables differ (the official channel layers file rate limits under "permission" and "revoked"), so
each row names the document that says so, as a section of docs/reference/platform.md with title and address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["retry", "refresh_token", "rate_limit", "target_final", "configuration"]
"""
``retry``: the platform could not do it now. ``refresh_token``: our access token; once more with a fresh one.
``rate_limit``: too fast. ``target_final``: never for this target or with this content. ``configuration``: the target
is not at fault; an operator must act (a scope, a secret, a bot switched off), after which the same call succeeds.
"""

Sense = Literal["too_old", "done_before", "busy", "sequence", "streaming_off", "whole_api", "credentials", "bad_ticket"]
"""
What some codes say beyond their verdict, so that whoever acts on it need not know the number.

``too_old``: the card is past its days. ``done_before``: what was asked for was done already. ``busy``, ``sequence``: an
entity was not touched, because a click on it waits for its answer, or because somebody used a higher sequence.
``streaming_off``: texts do not stream any more. ``whole_api``: the limit of an API, as opposed to one of a chat or a
message: our own, or the platform's, under which all of its callers send together and which full and half hours reach.
``credentials``: to whoever asks for an access token: a wrong id or secret, or none. ``bad_ticket``: to the same: the
``app_ticket`` is none, or no longer one.
"""

Source = Literal["generic", "rates", "send", "patch", "get", "reply", "token", "ephemeral", "cardkit", "chat"]
"""Sections of docs/reference/platform.md: "Generic codes", "Rate limits", "Send a message", …"""

SECTIONS: Final[Mapping[Source, str]] = {
    "generic": "Generic codes",
    "rates": "Rate limits",
    "send": "Send a message",
    "patch": "Update a card by its message",
    "get": "Read a message",
    "reply": "Reply to a message",
    "token": "Delayed updates",
    "ephemeral": "Ephemeral cards",
    "cardkit": "Cards as entities",
    "chat": "Update a chat",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One code: what follows from it, what it means, where that is documented, and what else it says, if anything."""

    verdict: Verdict
    meaning: str
    source: Source
    sense: Sense | None = None


def _rows(verdict: Verdict, source: Source, meanings: Mapping[int, str], sense: Sense | None = None) -> dict[int, Row]:
    return {
        code: Row(verdict=verdict, meaning=meaning, source=source, sense=sense) for code, meaning in meanings.items()
    }


CODES: Final[Mapping[int, Row]] = {
    **_rows("retry", "generic", {
        1500: "internal error",
        2200: "internal error, usually of a hurried caller",
        4006: "service exception",
        5000: "internal error: call less often, later",
        10101: "internal error",
        10500: "internal server error",
        18121: "the same send is being processed",
    }),
    **_rows("retry", "send", {
        230049: "the message is being sent",
    }),
    **_rows("refresh_token", "generic", {
        99991661: "no token in the request",
        99991663: "access token invalid or expired",
        99991664: "app access token invalid",
        99991665: "tenant access token invalid",
        99991671: "malformed token",
    }),
    **_rows("rate_limit", "rates", {
        99991400: "request frequency limit",
    }, "whole_api"),
    **_rows("rate_limit", "generic", {
        11232: "sends of the service limited",
        11247: "internal send limit",
    }, "whole_api"),
    **_rows("rate_limit", "generic", {
        11233: "sends to the chat limited",
    }),
    **_rows("rate_limit", "patch", {
        230020: "frequency limit of the operation",
    }),
    **_rows("rate_limit", "chat", {
        232019: "rate limit of the group",
    }),
    **_rows("configuration", "generic", {
        10012: "no app access token can be issued",
    }, "bad_ticket"),
    **_rows("configuration", "generic", {
        10014: "app not usable, or wrong secret",
        10015: "wrong app secret",
        99991543: "app id or secret does not exist",
    }, "credentials"),
    **_rows("configuration", "generic", {
        10005: "app or tenant not authorized",
        10013: "no tenant access token can be issued",
        99991201: "no such address",
        99991401: "our address is not in the app's list",
        99991403: "the month's quota is used up",
        99991662: "app disabled",
        99991672: "the app lacks a scope",
        99991673: "app not usable in this tenant",
        99991676: "the token lacks a scope",
        99991679: "the user granted no such scope",
    }),
    **_rows("configuration", "send", {
        230006: "the app's bot is switched off",
    }),
    **_rows("configuration", "chat", {
        232004: "no such app",
        232025: "the app's bot is switched off",
        232034: "app not installed or not active in the tenant",
    }),
    **_rows("target_final", "generic", {
        10003: "bad parameter",
    }, "credentials"),
    **_rows("target_final", "generic", {
        9499: "bad request",
        10002: "the bot is not in the chat; of a card: a bad parameter",
        99991668: "this call does not take our kind of token",
        99991677: "user token expired",
        99992351: "no such open id",
        99992352: "no such ids",
        99992353: "no such ids",
        99992354: "no such message id",
        99992355: "no such chat id",
        99992356: "no such chat id",
        99992359: "no such user id",
        99992360: "no such user id",
        99992361: "open id of another app",
        99992363: "no such union id",
        99992364: "user of another tenant",
        99992381: "union id of another tenant",
        99992402: "parameter missing or wrong",
    }),
    **_rows("target_final", "send", {
        230001: "bad parameter",
        230002: "the bot is not in the group",
        230013: "the bot is not available to this user",
        230015: "a private chat cannot be shared",
        230017: "the bot does not own the resource",
        230018: "the group's settings forbid it",
        230019: "no such topic",
        230022: "sensitive content",
        230025: "content too long",
        230027: "permission missing for this target",
        230028: "content did not pass the audit",
        230029: "the user has resigned",
        230034: "receive_id invalid",
        230035: "sending is forbidden here",
        230036: "the tenant's key was deleted",
        230038: "no private chat across tenants",
        230053: "the user has muted the bot",
        230054: "this kind of message is not taken here",
        230055: "file and message differ in kind",
        230075: "no sending to encrypted chats",
        230099: "the card's JSON was not taken: its ErrCode says why",
    }),
    **_rows("target_final", "patch", {
        230031: "older than 14 days",
    }, "too_old"),
    **_rows("target_final", "patch", {
        230011: "the message was recalled",
        230110: "the message was deleted",
        232009: "the group was dissolved",
    }),
    **_rows("target_final", "get", {
        230050: "the message is invisible to us",
    }),
    **_rows("target_final", "reply", {
        230071: "no answers in a topic here",
    }),
    **_rows("target_final", "token", {
        11311: "not a card",
        100000: "the card grew past 100 KB",
        100030: "the card is no JSON",
        200000: "the message was recalled",
        200310: "the card of another app",
        200320: "open_ids wrong",
        300020: "the token is malformed",
        300030: "the token is too old",
        300040: "the token is used up",
        300090: "an exclusive card without open_ids",
    }),
    **_rows("target_final", "ephemeral", {
        18051: "deleted already",
    }, "done_before"),
    **_rows("retry", "cardkit", {
        200810: "somebody is using the card just now",
    }, "busy"),
    **_rows("retry", "cardkit", {
        300317: "the sequence is not higher than the last one",
    }, "sequence"),
    **_rows("retry", "cardkit", {
        300120: "internal error",
    }),
    **_rows("target_final", "cardkit", {
        200750: "the entity is too old",
    }, "too_old"),
    **_rows("target_final", "cardkit", {
        200770: "this uuid was used already",
    }, "done_before"),
    **_rows("target_final", "cardkit", {
        200510: "streaming has timed out",
        200850: "streaming has timed out",
        300309: "streaming is off",
    }, "streaming_off"),
    **_rows("target_final", "cardkit", {
        200220: "the card could not be made",
        200740: "no such entity",
        200860: "the card is too large",
        300121: "the operation failed",
        300122: "the operation failed",
        300301: "two elements have one element_id",
        300302: "update_multi can only be true",
        300303: "not a card of JSON 2.0",
        300305: "more than 200 elements",
        300307: "empty",
        300310: "not an element with text",
        300311: "the card of another app",
        300312: "an element cannot change its tag",
        300313: "the operation failed",
        300314: "the operation failed",
        300315: "the operation failed",
    }),
    **_rows("target_final", "chat", {
        232001: "bad parameter",
        232002: "only owner and managers may change the group",
        232006: "chat_id invalid",
        232008: "this kind of chat cannot be changed",
        232010: "chat of another tenant",
        232011: "the bot is not in the group",
        232016: "only owner and managers may change this",
        232023: "the name did not pass the review",
        232026: "another public group has this name",
        232033: "no scope for external groups",
    }),
}  # fmt: skip
"""Every code of the calls that we make. Read by `verdict`; anything else goes by its HTTP status."""


def meaning(code: int | None) -> str | None:
    """Return what a code means, in our words; ``None`` if there is none, or the table does not know it."""
    row = None if code is None else CODES.get(code)
    return None if row is None else row.meaning


def sense(code: int | None) -> Sense | None:
    """Return what a code says beyond its verdict; ``None`` if nothing, or the table does not know it."""
    row = None if code is None else CODES.get(code)
    return None if row is None else row.sense


def verdict(code: int | None, http_status: int) -> Verdict:
    """
    Return what to do about a refusal.

    Args:
        code: The body's ``code``; ``None`` if the body was not the platform's JSON.
        http_status: 429 is a rate limit whatever the code says.

    A code that the table does not know is final for its target when the platform blames the request (HTTP 4xx, or
    200 as old APIs do): nearly all undocumented codes are about one parameter, and asking again for a day would hold up
    the target. With HTTP 5xx it is a passing trouble. Without any code the status alone decides.
    """
    if http_status == 429:  # noqa: PLR2004  the status' own name is no clearer
        return "rate_limit"
    row = None if code is None else CODES.get(code)
    if row is not None:
        return row.verdict
    return "target_final" if code is not None and http_status < 500 else _by_status(http_status)  # noqa: PLR2004


def _by_status(http_status: int) -> Verdict:
    match http_status:
        case 401:
            return "refresh_token"
        case 403 | 404 | 405 | 407 | 410 | 421 | 426 | 451:
            # A proxy, or an address that is not the platform's.
            return "configuration"
        case 413 | 414 | 431:
            return "target_final"
        case status if 300 <= status < 400:  # noqa: PLR2004
            return "configuration"
        case _:
            return "retry"
