"""
Which handler a click belongs to.

A rule names up to four things about a click, and all that it names must match. Rules are tried in this order,
most specific first:

1. a predicate (several: in the order they were registered);
2. an action: ``value["action"]``, or the whole value where it is a string;
3. a component's name;
4. a component's tag;
5. a rule that names nothing: every click.

A rule that names a second thing goes before the one that does not: ``on_action("approve", tag="button")`` is
tried before ``on_action("approve")``. So two rules that could both be next for one click name the same things,
which is refused at start (`App.check`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.app.interaction import Interaction

Predicate = Callable[[Interaction], bool]
"""Says whether a click is a handler's. Pure, like handlers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickRule:
    """What a click must be; ``None`` asks nothing."""

    predicate: Predicate | None = None
    action: str | None = None
    name: str | None = None
    tag: str | None = None

    @property
    def specificity(self) -> tuple[bool, bool, bool, bool]:
        """Sorts rules: the greater, the more specific."""
        return (self.predicate is not None, self.action is not None, self.name is not None, self.tag is not None)

    def names(self, click: Interaction, action: str | None) -> bool:
        """Say whether a click, whose action is ``action``, is all that the rule names, its predicate aside."""
        return (
            (self.action is None or self.action == action)
            and (self.name is None or self.name == click.action.name)
            and (self.tag is None or self.tag == click.action.tag)
        )

    def matches(self, click: Interaction, action: str | None) -> bool:
        """
        Say whether a click, whose action is ``action``, is meant. A predicate is asked last.

        Raises:
            BaseException: Whatever the predicate raises.
        """
        return self.names(click, action) and (self.predicate is None or bool(self.predicate(click)))

    def __str__(self) -> str:
        """Name it as it was written."""
        match_on = self.predicate.__name__ if self.predicate is not None else self.action and f'"{self.action}"'
        named = [f'{key}="{given}"' for key, given in (("name", self.name), ("tag", self.tag)) if given is not None]
        return f"on_action({', '.join([match_on, *named] if match_on else named)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRule:
    """Which links: those that begin so; ``None``: all."""

    prefix: str | None = None

    @property
    def specificity(self) -> int:
        """Sorts rules: the longer, the more specific."""
        return len(self.prefix or "")

    def names(self, url: str | None) -> bool:
        """Say whether a link is meant."""
        return self.prefix is None or (url is not None and url.startswith(self.prefix))

    def __str__(self) -> str:
        """Name it as it was written."""
        return f"the links that begin with {self.prefix!r}" if self.prefix is not None else "all links"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """Which subscribed event."""

    event_type: str

    def __str__(self) -> str:
        """Name it as it was written."""
        return f'on_event("{self.event_type}")'


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRule:
    """What a call of which name brought back."""

    name: str

    def __str__(self) -> str:
        """Name it as it was written."""
        return f'on_result("{self.name}")'


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderRule:
    """Which reminders of cards."""

    key: str

    def __str__(self) -> str:
        """Name it as it was written."""
        return f'on_reminder("{self.key}")'


def action_of(click: Interaction, action_key: str) -> str | None:
    """Return what a click's value says to do: a string value whole, an object's ``action_key``; else ``None``."""
    try:
        value: Any = click.value
    except (ValueError, RecursionError):
        # Honest JSON that Python's parser refuses (thousands of digits, thousands of levels) names no action.
        return None
    if isinstance(value, Mapping):
        value = value.get(action_key)
    return value if isinstance(value, str) else None
