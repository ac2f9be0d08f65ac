"""
Values that are made for every callback.

An immutable value takes a dataclass a microsecond or two to make, because each of its members is set by a call; a
msgspec Struct makes it in a tenth of that. So the values on a click's way through the gateway are Structs. They hold
tokens, and what people typed, so none of them shows what it holds.
"""

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable value whose members are given by name; its repr is its type's name."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
