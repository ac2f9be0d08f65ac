"""Payloads put together from the fragments in which they came. Source: docs/reference/platform.md, "Frames"."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from shared.feishu.frames import BadFrame, Frame

MAX_FRAGMENTS: Final = 1024
MAX_PAYLOAD: Final = 256 * 1024
"""Bytes of one payload, as of one request's body."""

MAX_UNFINISHED: Final = 64
"""Payloads that may be incomplete at once; the oldest gives way. With `MAX_PAYLOAD` this bounds the memory: 16 MiB."""

FRAGMENTS_S: Final = 5.0
"""How long the fragments of one payload are waited for: after 3 s the platform waits no more for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """
    A payload with all its fragments.

    Attributes:
        last: The frame that completed it.
        began: When its first fragment arrived (s).
    """

    last: Frame
    payload: bytes = field(repr=False)
    began: float


@dataclass(slots=True, kw_only=True)
class _Pieces:
    began: float
    pieces: list[bytes | None] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(len(piece) for piece in self.pieces if piece is not None)


class Reassembly:
    """
    Puts payloads together again. Fragments come in any order, those of several payloads mixed, and more than once.

    Bounded in size (`MAX_PAYLOAD`), in time (`FRAGMENTS_S`) and in number (`MAX_FRAGMENTS`, `MAX_UNFINISHED`).
    """

    def __init__(self) -> None:
        self._unfinished: OrderedDict[str, _Pieces] = OrderedDict()

    def add(self, frame: Frame, *, now: float) -> Whole | None:
        """
        Take in a data frame; return its payload once that is whole.

        Args:
            now: By a clock that never goes back (s).

        Raises:
            BadFrame: Its place among the fragments makes no sense, or the payload is too large; the payload is lost.
        """
        self._forget(now)
        payload, total, place = frame.payload or b"", _number(frame, "sum", 1), _number(frame, "seq", 0)
        if total == 1:
            return Whole(last=frame, payload=_bounded(payload), began=now)
        if not 1 < total <= MAX_FRAGMENTS or place >= total:
            raise BadFrame(f"a fragment's place is out of bounds (1 to {MAX_FRAGMENTS})")
        parts = self._of(frame.message_id, total, now)
        parts.pieces[place] = payload
        if parts.size > MAX_PAYLOAD:
            del self._unfinished[frame.message_id]
            raise _too_large()
        there = [piece for piece in parts.pieces if piece is not None]
        if len(there) < total:
            return None
        del self._unfinished[frame.message_id]
        return Whole(last=frame, payload=b"".join(there), began=parts.began)

    def __len__(self) -> int:
        return len(self._unfinished)

    def _of(self, message_id: str, total: int, now: float) -> _Pieces:
        parts = self._unfinished.get(message_id)
        if parts is None:
            if len(self._unfinished) >= MAX_UNFINISHED:
                self._unfinished.popitem(last=False)
            parts = self._unfinished[message_id] = _Pieces(began=now, pieces=[None] * total)
        if len(parts.pieces) != total:
            del self._unfinished[message_id]
            raise BadFrame("fragments of one payload disagree about their number")
        return parts

    def _forget(self, now: float) -> None:
        while self._unfinished and now - next(iter(self._unfinished.values())).began >= FRAGMENTS_S:
            self._unfinished.popitem(last=False)


def _number(frame: Frame, name: str, absent: int) -> int:
    text = frame.header(name)
    if not text:
        return absent
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_FRAGMENTS)):
        raise BadFrame(f"the header {name} is no number")
    return int(text)


def _bounded(payload: bytes) -> bytes:
    if len(payload) > MAX_PAYLOAD:
        raise _too_large()
    return payload


def _too_large() -> BadFrame:
    return BadFrame(f"the payload has more than {MAX_PAYLOAD} bytes")
