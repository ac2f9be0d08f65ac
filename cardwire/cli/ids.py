"""
An id of another kind than was asked for, told at once (pure).

Without, a card's id in an event's place finds nothing, and nothing found looks like nothing wrong. The platform's ids
say by their first letters what they are of; an event's says nothing.
"""

from typing import Final, Literal

from shared.core.errors import ConfigError

Of = Literal["card", "event", "app", "chat", "person", "receiver"]

_EXPECTED: Final[dict[Of, str]] = {
    "card": "a card's open_message_id",
    "event": "an event's id",
    "app": "an app's id",
    "chat": "a chat's id",
    "person": "a person's open, user or union id",
    "receiver": "a chat, a person or an address",
}
_TOLD: Final = {
    "om_": "a card's id",
    "oc_": "a chat's id",
    "ou_": "a person's id",
    "on_": "a person's id",
    "cli_": "an app's id",
    "req/": "a request's id",
}
_FIT: Final[dict[Of, frozenset[str]]] = {
    "card": frozenset({"om_"}),
    "event": frozenset({"", "req/"}),
    "app": frozenset({"", "cli_"}),
    "chat": frozenset({"oc_"}),
    "person": frozenset({"", "ou_", "on_"}),
    "receiver": frozenset({"", "oc_", "ou_", "on_"}),
}
"""How an id of each kind begins; with nothing that is known: as any other."""


def expect(what: str, given: str, of: Of, *, example: str) -> None:
    """
    Refuse an id that is of another kind.

    Args:
        what: The option or argument.
        given: What it was given.
        of: What its id must be of.
        example: What might have been typed.

    Raises:
        ConfigError: It is of something else.
    """
    begins = next((prefix for prefix in _TOLD if given.startswith(prefix)), "")
    if begins not in _FIT[of]:
        told = _TOLD.get(begins, "an id of another kind")
        raise ConfigError(f"{what} is {told}: expected {_EXPECTED[of]}, for example {example}")
