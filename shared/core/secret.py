"""A text that must not be seen: in no log line, error, metric or repr."""

import hmac
from typing import Final, final

HIDDEN: Final = "***"
"""What stands in place of a secret, everywhere."""


@final
class Secret:
    """A credential. It prints as ``***``; only `reveal` gives the text, where it is used."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Hand it to what needs it, and keep it nowhere."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode(errors="surrogatepass"), other._text.encode(errors="surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle shows what it holds."""
        raise TypeError("a Secret cannot be pickled")
