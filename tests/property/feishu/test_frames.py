from contextlib import suppress
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.feishu.connection import DEFAULTS, read_endpoint, read_handshake, read_parameters
from shared.feishu.fragments import MAX_PAYLOAD, Reassembly
from shared.feishu.frames import DATA, BadFrame, Frame, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT32 = st.integers(-(2**31), 2**31 - 1)
UINT64 = st.integers(0, 2**64 - 1)
FRAMES = st.builds(
    Frame,
    seq_id=UINT64,
    log_id=UINT64,
    service=INT32,
    method=INT32,
    headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=6).map(tuple),
    payload_encoding=st.none() | TEXTS,
    payload_type=st.none() | TEXTS,
    payload=st.none() | st.binary(max_size=100),
    log_id_new=st.none() | TEXTS,
)


@given(frame=FRAMES)
def test_decoding_undoes_encoding(frame: Frame) -> None:
    """For any frame, absent fields and empty ones told apart."""
    assert frame == decode(encode(frame))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    """Garbage gives no other exception, and what is read can be written."""
    with suppress(BadFrame):
        encode(decode(data))


@given(frame=FRAMES, position=st.integers(min_value=0), flip=st.integers(1, 255), cut=st.integers(min_value=0))
def test_a_broken_frame_is_read_or_refused(frame: Frame, position: int, flip: int, cut: int) -> None:
    """Changed in a byte, or cut off anywhere."""
    whole = bytearray(encode(frame))
    whole[position % len(whole)] ^= flip
    for data in (bytes(whole), bytes(whole[: cut % len(whole)])):
        with suppress(BadFrame):
            decode(data)


@given(key=st.binary(max_size=5), value=st.binary(max_size=5), other=st.binary(max_size=5))
def test_texts_of_any_bytes_are_read_or_refused(key: bytes, value: bytes, other: bytes) -> None:
    """What is read can be written again, byte for byte."""
    header = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    data = (
        b"\x08\x00\x10\x00\x18\x01\x20\x01\x2a" + bytes([len(header)]) + header + b"\x4a" + bytes([len(other)]) + other
    )
    with suppress(BadFrame):
        assert data == encode(decode(data))


@st.composite
def payloads(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Draw a payload and where it is cut."""
    payload = draw(st.binary(min_size=1, max_size=200))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), min_size=1, max_size=8)))
    edges = [0, *cuts, len(payload)]
    return payload, [payload[begin:end] for begin, end in pairwise(edges)]


@given(several=st.lists(payloads(), min_size=1, max_size=4), seed=st.integers())
def test_payloads_cut_anywhere_and_mixed_come_out_whole(several: list[tuple[bytes, list[bytes]]], seed: int) -> None:
    """In any order, each exactly once."""
    frames = [
        Frame(
            service=1,
            method=DATA,
            headers=(("message_id", str(number)), ("sum", str(len(pieces))), ("seq", str(place))),
            payload=piece,
        )
        for number, (_, pieces) in enumerate(several)
        for place, piece in enumerate(pieces)
    ]
    Random(seed).shuffle(frames)
    parts = Reassembly()
    out = [whole for frame in frames if (whole := parts.add(frame, now=0.0)) is not None]
    assert {str(number): payload for number, (payload, _) in enumerate(several)} == {
        whole.last.message_id: whole.payload for whole in out
    }
    assert len(several) == len(out)
    assert 0 == len(parts)


HEADERS = st.lists(st.tuples(st.sampled_from(["sum", "seq", "message_id", "type"]), TEXTS | st.integers().map(str)))


@given(frames=st.lists(st.tuples(HEADERS, st.binary(max_size=50), st.floats(0, 100)), max_size=20))
def test_any_fragments_are_taken_or_refused(
    frames: list[tuple[list[tuple[str, str]], bytes, float]],
) -> None:
    """Whatever their headers say, and however time passes; nothing larger than a payload may be comes out."""
    parts, now = Reassembly(), 0.0
    for headers, payload, passed in frames:
        now += passed
        with suppress(BadFrame):
            whole = parts.add(Frame(service=1, method=DATA, headers=tuple(headers), payload=payload), now=now)
            assert whole is None or len(whole.payload) <= MAX_PAYLOAD


@given(body=st.binary(max_size=100), status=st.integers(100, 599), name=TEXTS, text=TEXTS)
def test_whatever_the_other_side_says_is_understood_somehow(body: bytes, status: int, name: str, text: str) -> None:
    """Answers, parameters and headers of any content give a value."""
    read_endpoint(status, body, is_secure=False)
    read_parameters(body, DEFAULTS)
    read_handshake({name: text, "handshake-status": text, "handshake-autherrcode": text}, status)
