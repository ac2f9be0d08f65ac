"""
Frames of the long connection: bytes to values and back.

Pure. Source: docs/reference/platform.md, "Frames". A frame is one binary WebSocket message: a protobuf message of
syntax proto2 with nine fields, whose descriptor is built here, because the platform publishes no file of it. Frames
that go back are the ones that came, with another payload: whatever they hold travels back unchanged.
"""

import base64
from dataclasses import dataclass, field, replace
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

CONTROL: Final = 0
"""`Frame.method` of pings and pongs."""

DATA: Final = 1
"""`Frame.method` of callbacks and events, and of their answers."""

_REQUIRED, _OPTIONAL, _REPEATED = 2, 1, 3
_INT32, _UINT64, _STRING, _MESSAGE, _BYTES = 5, 4, 9, 11, 12


class BadFrame(ValueError):
    """The bytes are no frame, or not one of the platform's. The text quotes nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """
    One frame.

    Attributes:
        seq_id: ``SeqID``: a number of the platform's, given back as it came; so are `log_id` and `log_id_new`.
        service: ``service_id`` of the connection's address.
        method: `CONTROL` or `DATA`.
        headers: Names and texts, in their order.
        payload_encoding: ``None`` where the field is not on the wire, which differs from an empty one; so are the
            other optional fields.
    """

    seq_id: int = 0
    log_id: int = 0
    service: int
    method: int
    headers: tuple[tuple[str, str], ...] = ()
    payload_encoding: str | None = None
    payload_type: str | None = None
    payload: bytes | None = field(default=None, repr=False)
    log_id_new: str | None = None

    def header(self, name: str) -> str | None:
        """Return the first header of this name."""
        return next((text for key, text in self.headers if key == name), None)

    @property
    def type(self) -> str | None:
        """What a frame is: ``ping``, ``pong``, ``event``, ``card`` or something newer."""
        return self.header("type")

    @property
    def message_id(self) -> str:
        """What names the payload, all its fragments alike; answers are matched by it."""
        return self.header("message_id") or ""


def ping(service: int) -> Frame:
    """Return the frame with which a client asks whether the other side is still there."""
    return Frame(service=service, method=CONTROL, headers=(("type", "ping"),))


def answer(to: Frame, body: bytes | None, *, took_ms: int) -> Frame:
    """
    Return the frame that answers another: the same, with our payload and how long that took.

    Args:
        to: The frame that came; of fragments the one that completed the payload.
        body: The response body that a webhook would have; ``None``: it failed, and an event is to be sent again.
    """
    return replace(to, headers=(*to.headers, ("biz_rt", str(took_ms))), payload=_answered(body))


def decode(data: bytes) -> Frame:
    """
    Return the frame that the bytes hold.

    Raises:
        BadFrame: They are no frame, or lack one of the four numbers that every frame has.
    """
    wire = _Wire()
    try:
        wire.ParseFromString(data)
        if not wire.IsInitialized():
            raise BadFrame("a required field is missing")
        return _read(wire)
    except (DecodeError, UnicodeDecodeError) as error:  # Which of them it raises is each release's own choice.
        raise BadFrame("the bytes are no frame") from error


def encode(frame: Frame) -> bytes:
    """
    Return a frame's bytes; for a decoded one, those that came, less what is newer than this description.

    Raises:
        ValueError: A number is beyond its type.
    """
    wire = _Wire()
    wire.SeqID, wire.LogID, wire.service, wire.method = frame.seq_id, frame.log_id, frame.service, frame.method
    for key, text in frame.headers:
        wire.headers.add(key=key, value=text)
    for name, value in _optional(frame).items():
        if value is not None:
            setattr(wire, name, value)
    return bytes(wire.SerializeToString())


def _answered(body: bytes | None) -> bytes:
    if body is None:
        return b'{"code":500}'
    if body in {b"", b"{}"}:
        return b'{"code":200}'
    return b'{"code":200,"data":"' + base64.b64encode(body) + b'"}'


def _read(wire: Any) -> Frame:
    return Frame(
        seq_id=wire.SeqID,
        log_id=wire.LogID,
        service=wire.service,
        method=wire.method,
        headers=tuple((_text(header.key), _text(header.value)) for header in wire.headers),
        payload_encoding=_text(wire.payload_encoding) if wire.HasField("payload_encoding") else None,
        payload_type=_text(wire.payload_type) if wire.HasField("payload_type") else None,
        payload=wire.payload if wire.HasField("payload") else None,
        log_id_new=_text(wire.LogIDNew) if wire.HasField("LogIDNew") else None,
    )


def _text(value: object) -> str:
    # The library hands out bytes where a text of this syntax is not UTF-8.
    if not isinstance(value, str):
        raise BadFrame("a text is not UTF-8")
    return value


def _optional(frame: Frame) -> dict[str, str | bytes | None]:
    return {
        "payload_encoding": frame.payload_encoding,
        "payload_type": frame.payload_type,
        "payload": frame.payload,
        "LogIDNew": frame.log_id_new,
    }


def _described() -> Any:
    """Return the class of frames as the protobuf library knows them."""
    file = descriptor_pb2.FileDescriptorProto(name="cardwire_frames.proto", package="pbbp2", syntax="proto2")
    header, frame = file.message_type.add(name="Header"), file.message_type.add(name="Frame")
    header.field.add(name="key", number=1, label=_REQUIRED, type=_STRING)
    header.field.add(name="value", number=2, label=_REQUIRED, type=_STRING)
    frame.field.add(name="SeqID", number=1, label=_REQUIRED, type=_UINT64)
    frame.field.add(name="LogID", number=2, label=_REQUIRED, type=_UINT64)
    frame.field.add(name="service", number=3, label=_REQUIRED, type=_INT32)
    frame.field.add(name="method", number=4, label=_REQUIRED, type=_INT32)
    frame.field.add(name="headers", number=5, label=_REPEATED, type=_MESSAGE, type_name=".pbbp2.Header")
    frame.field.add(name="payload_encoding", number=6, label=_OPTIONAL, type=_STRING)
    frame.field.add(name="payload_type", number=7, label=_OPTIONAL, type=_STRING)
    frame.field.add(name="payload", number=8, label=_OPTIONAL, type=_BYTES)
    frame.field.add(name="LogIDNew", number=9, label=_OPTIONAL, type=_STRING)
    # A pool of its own: another library's description of the same name does not meet ours.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pbbp2.Frame"))


_Wire: Final = _described()
