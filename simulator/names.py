"""Names that the fake platform gives: chats, messages, tokens, log ids; from one seed, so that runs can be repeated."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

from shared.core.ids import ChatId, EventId, MessageId
from shared.core.json_text import EpochMs

T = TypeVar("T")


class Names:
    """A source of names that look like the platform's. They are no secrets: everything here is a fake."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311 - names of a fake platform need no strength, but must be repeatable
        self._second = -1
        self._prefix = ""
        self._logs = 0

    def chat(self) -> ChatId:
        """Return a new ``oc_…``."""
        return ChatId(f"oc_{self._hex(32)}")

    def message(self) -> MessageId:
        """Return a new ``om_…``."""
        return MessageId(f"om_{self._hex(32)}")

    def event(self) -> EventId:
        """Return a new event id: 32 hexadecimal digits."""
        return EventId(self._hex(32))

    def card_token(self) -> str:
        """Return a new card update token, ``c-…``."""
        return f"c-{self._hex(40)}"

    def preview_token(self) -> str:
        """Return a new token of a link's preview."""
        return self._hex(32)

    def card(self) -> str:
        """Return the id of a new card entity: 19 digits."""
        return self.device()

    def thread(self) -> str:
        """Return a new ``omt_…``."""
        return f"omt_{self._hex(16)}"

    def app_access_token(self) -> str:
        """Return a new app access token, ``a-…``."""
        return f"a-{self._hex(40)}"

    def access_token(self) -> str:
        """Return a new tenant access token, ``t-…``."""
        return f"t-{self._hex(40)}"

    def nonce(self) -> str:
        """Return a nonce as production writes it: decimal digits."""
        return str(self._random.randrange(10**8, 10**9))

    def vector(self) -> bytes:
        """Return 16 bytes to begin an encryption with."""
        return self._random.randbytes(16)

    def request(self) -> str:
        """Return a new ``X-Request-Id``: a UUID."""
        digits = self._hex(32)
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def device(self) -> str:
        """Return the name of a new long connection: 19 digits."""
        return str(self._random.randrange(10**18, 10**19))

    def ticket(self) -> str:
        """Return what opens a long connection, once; or what a store app asks for its token with."""
        return self._hex(32)

    def one_of(self, things: Sequence[T]) -> T:
        """Return one of several, at random."""
        return self._random.choice(things)

    def log(self, now: EpochMs) -> str:
        """Return the ``X-Tt-Logid`` of one call."""
        second = now // 1000
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y%m%d%H%M%S")
        self._logs += 1
        return f"{self._prefix}{self._logs:018X}"

    def _hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"
