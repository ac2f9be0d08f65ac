"""What a call of a user's function came to: values, for whoever decides what follows."""

from dataclasses import dataclass, field
from typing import Literal

from shared.core.json_text import JsonText

Reason = Literal["raised", "timeout", "refused", "unfit"]
"""
Why a call brought nothing: it raised; it was over its time; it said so itself (`CallFailed`); it returned what is no
JSON, or too much.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What a call returned."""

    value: JsonText = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broke:
    """
    Why a call brought nothing.

    Attributes:
        text: For whoever asked for the call; of an exception its type and place, and nothing that it said.
        is_final: Calling again would not help.
    """

    reason: Reason
    text: str = field(repr=False)
    is_final: bool = False
