import pytest

from shared.feishu.fragments import FRAGMENTS_S, MAX_FRAGMENTS, MAX_PAYLOAD, MAX_UNFINISHED, Reassembly, Whole
from shared.feishu.frames import DATA, BadFrame, Frame, decode
from tests.vectors import FEISHU


def fragment(payload: bytes, *, total: str = "2", place: str = "0", message_id: str = "m1") -> Frame:
    """Return a frame with a part of a payload."""
    headers = (("type", "event"), ("message_id", message_id), ("sum", total), ("seq", place))
    return Frame(service=1, method=DATA, headers=headers, payload=payload)


def joined(parts: Reassembly, *frames: Frame, now: float = 0.0) -> Whole | None:
    """Take frames in; return what the last of them completed."""
    last: Whole | None = None
    for frame in frames:
        last = parts.add(frame, now=now)
    return last


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_recorded_fragments_make_the_payload_in_any_order(order: tuple[int, int]) -> None:
    """They were cut inside a character; the answer goes to the frame that completed them."""
    recorded = {frame["name"]: bytes.fromhex(frame["hex"]) for frame in FEISHU["ws_frames"]["frames"]}
    frames = [decode(recorded[f"data_event_fragment_{number}"]) for number in order]
    whole = joined(Reassembly(), *frames)
    assert whole is not None
    assert decode(recorded["data_event_single"]).payload == whole.payload
    assert frames[-1] == whole.last


def test_a_frame_that_names_no_fragments_is_whole() -> None:
    """Some servers leave the headers out."""
    frame = Frame(service=1, method=DATA, payload=b"all")
    assert Whole(last=frame, payload=b"all", began=7.0) == Reassembly().add(frame, now=7.0)


def test_an_empty_fragment_counts() -> None:
    """Nothing is missing when every place is taken."""
    whole = joined(Reassembly(), fragment(b"", place="0"), fragment(b"x", place="1"))
    assert whole is not None
    assert b"x" == whole.payload


def test_a_fragment_that_comes_twice_counts_once() -> None:
    """It completes nothing by itself."""
    assert joined(Reassembly(), fragment(b"a"), fragment(b"a")) is None


def test_time_counts_from_the_first_fragment() -> None:
    """The platform has been waiting since then."""
    parts = Reassembly()
    parts.add(fragment(b"a"), now=1.0)
    whole = parts.add(fragment(b"b", place="1"), now=2.5)
    assert whole is not None
    assert 1.0 == whole.began


def test_fragments_that_came_too_late_are_forgotten() -> None:
    """Nobody waits for their answer any more."""
    parts = Reassembly()
    parts.add(fragment(b"a"), now=0.0)
    assert parts.add(fragment(b"b", place="1"), now=FRAGMENTS_S) is None
    assert 1 == len(parts)


def test_only_so_many_payloads_are_kept_unfinished() -> None:
    """The oldest gives way, so that memory is bounded."""
    parts = Reassembly()
    for number in range(MAX_UNFINISHED + 1):
        parts.add(fragment(b"a", message_id=str(number)), now=0.0)
    assert MAX_UNFINISHED == len(parts)
    assert parts.add(fragment(b"b", place="1", message_id="0"), now=0.0) is None
    assert parts.add(fragment(b"b", place="1", message_id=str(MAX_UNFINISHED)), now=0.0) is not None


@pytest.mark.parametrize(
    ("total", "place"),
    [("2", "2"), ("0", "0"), (str(MAX_FRAGMENTS + 1), "0"), ("two", "0"), ("2", "-1"), ("٢", "0"), ("9" * 5000, "0")],
)
def test_a_place_that_makes_no_sense_is_refused(total: str, place: str) -> None:
    """With our error."""
    parts = Reassembly()
    with pytest.raises(BadFrame):
        parts.add(fragment(b"a", total=total, place=place), now=0.0)
    assert 0 == len(parts)


def test_fragments_that_disagree_about_their_number_are_refused() -> None:
    """Neither number is believed."""
    parts = Reassembly()
    parts.add(fragment(b"a", total="2"), now=0.0)
    with pytest.raises(BadFrame):
        parts.add(fragment(b"b", total="3", place="1"), now=0.0)
    assert 0 == len(parts)


@pytest.mark.parametrize("total", ["1", "2"])
def test_a_payload_that_is_too_large_is_refused(total: str) -> None:
    """In one piece or in several."""
    parts = Reassembly()
    half = b"x" * (MAX_PAYLOAD // 2 + 1)
    with pytest.raises(BadFrame):
        joined(
            parts,
            *([fragment(half + half, total="1")] if total == "1" else [fragment(half), fragment(half, place="1")]),
        )
    assert 0 == len(parts)
