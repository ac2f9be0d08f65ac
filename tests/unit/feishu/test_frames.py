import base64
import json
from typing import Any, Final

import pytest

from shared.feishu.frames import CONTROL, DATA, BadFrame, Frame, answer, decode, encode, ping
from tests.vectors import FEISHU

RECORDED: Final[dict[str, dict[str, Any]]] = {frame["name"]: frame for frame in FEISHU["ws_frames"]["frames"]}
ANSWERED: Final[dict[str, dict[str, Any]]] = {
    seen["input"]: seen for seen in FEISHU["ws_frames"]["sdk_behaviour"] if "answer_hex" in seen
}

of_each_recorded_frame = pytest.mark.parametrize("name", list(RECORDED))


@of_each_recorded_frame
def test_a_recorded_frame_is_read(name: str) -> None:
    """Every field as the SDK wrote it."""
    told = RECORDED[name]
    frame = decode(bytes.fromhex(told["hex"]))
    assert (told["SeqID"], told["LogID"], told["service"], told["method"]) == (
        frame.seq_id,
        frame.log_id,
        frame.service,
        frame.method,
    )
    assert [tuple(header) for header in told["headers"]] == list(frame.headers)
    assert told["LogIDNew"] == (frame.log_id_new or "")


@of_each_recorded_frame
def test_a_recorded_frame_is_written_byte_for_byte(name: str) -> None:
    """What travels back is what came."""
    recorded = bytes.fromhex(RECORDED[name]["hex"])
    assert recorded == encode(decode(recorded))


def test_our_ping_is_the_sdks() -> None:
    """Byte for byte."""
    assert RECORDED["ping_client_to_server"]["hex"] == encode(ping(33554678)).hex()


@pytest.mark.parametrize(
    ("came", "sdk"),
    [
        ("data_event_single", "data_event_single"),
        ("data_event_fragment_1", "fragments_in_order"),
        ("data_event_p1", "data_event_p1"),
    ],
)
def test_our_answer_is_the_sdks(came: str, sdk: str) -> None:
    """The same frame: only spaces in the payload's JSON and the measured time differ."""
    recorded = ANSWERED[sdk]
    told = recorded["answer_payload"].get("data")
    ours = answer(decode(bytes.fromhex(RECORDED[came]["hex"])), base64.b64decode(told) if told else b"{}", took_ms=0)
    theirs = decode(bytes.fromhex(recorded["answer_hex"]))
    assert recorded["answer_payload"] == json.loads(ours.payload or b"")
    assert [tuple(header) for header in recorded["answer_headers"]] == list(ours.headers)
    assert (theirs.seq_id, theirs.log_id, theirs.service, theirs.method, theirs.log_id_new) == (
        ours.seq_id,
        ours.log_id,
        ours.service,
        ours.method,
        ours.log_id_new,
    )


def test_a_failure_is_answered_with_500_and_nothing_else() -> None:
    """So that the platform sends an event again, as it does for the SDK."""
    failed = answer(Frame(service=1, method=DATA), None, took_ms=3)
    assert {"code": 500} == json.loads(failed.payload or b"")


def test_an_empty_optional_field_stays_on_the_wire() -> None:
    """The platform's servers write some of them empty."""
    frame = Frame(service=1, method=CONTROL, payload_encoding="", log_id_new="", payload=b"")
    assert frame == decode(encode(frame))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xff\xff", id="no protobuf"),
        pytest.param(bytes.fromhex("08001000"), id="two of the four numbers"),
        pytest.param(bytes.fromhex("0800100018012000") + b"*\x06\x0a\x02\xff\xfe\x12\x00", id="a header of no text"),
        pytest.param(bytes.fromhex("0800100018012000") + b"*\x02\x0a\x00", id="a header without a value"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """With our error, which quotes nothing."""
    with pytest.raises(BadFrame):
        decode(data)


def test_what_is_newer_than_this_description_is_read_over() -> None:
    """A tenth field does not make it another frame."""
    assert Frame(service=1, method=DATA) == decode(bytes.fromhex("0800100018012001") + b"\x52\x03new")


def test_of_headers_with_one_name_the_first_counts() -> None:
    """As in the SDK."""
    frame = Frame(service=1, method=DATA, headers=(("type", "event"), ("type", "card")))
    assert "event" == frame.type
