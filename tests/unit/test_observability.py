import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from shared.core.cards import Toast
from shared.core.errors import HandlerError, LogUnavailable
from shared.core.events import InteractionReceived
from shared.core.ids import AppId, EventId, TenantKey
from shared.core.secret import Secret
from shared.observability import Metric, Metrics, configure_logs, redact
from shared.observability.metrics import GATEWAY_METRICS, WORKER_METRICS
from tests.support.lines import Stream

PLANTED = "planted-4711"


class Lines:
    """What was written, by the line."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        """Everything."""
        return self._stream.getvalue()

    @property
    def last(self) -> dict[str, Any]:
        """The last line, read as JSON."""
        line: dict[str, Any] = json.loads(self.text.splitlines()[-1])
        return line


@pytest.fixture
def lines() -> Lines:
    """Configure log lines as a process does, for the length of a test."""
    stream = Stream()
    configure_logs("debug", "json", stream=stream)
    return Lines(stream)


def _shown(**line: Any) -> dict[str, Any]:
    return dict(redact(None, "info", line))


def _stumble() -> None:
    raise ValueError(PLANTED)


def _handle() -> None:
    try:
        _stumble()
    except ValueError as error:
        raise HandlerError("ValueError in follow_up") from error


def _shown_by(registry: CollectorRegistry) -> str:
    lines = generate_latest(registry).decode().splitlines(keepends=True)
    return "".join(line for line in lines if "_created" not in line)


class TestRedaction:
    """What may stand in a line."""

    @pytest.mark.parametrize(
        "key",
        [
            "token", "card_token", "preview_token", "tenant_access_token", "verification_token", "tokens",
            "signature", "X-Lark-Signature", "nonce", "encrypt", "encrypt_key", "LARK_ENCRYPT_KEY", "app_secret",
            "password", "Authorization", "Cookie", "app_ticket", "body", "payload", "callback", "card", "value",
            "form_value", "input_value", "headers", "content", "state", "raw",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("value", [PLANTED, PLANTED.encode(), {"a": PLANTED}, [PLANTED], Secret(PLANTED)])
    def test_keys_that_name_secrets_or_contents_are_hidden(self, key: str, value: object) -> None:
        """Whatever they hold, at the top and inside."""
        assert {key: "***"} == _shown(**{key: value})
        assert {"outer": {key: "***"}} == _shown(outer={key: value})

    def test_a_number_of_tokens_is_no_token(self) -> None:
        """Counts and flags stay; a button's value does not, were it a number."""
        line = {"token_uses": 2, "token_expired": True, "signature": None, "value": 4711}
        assert {**line, "value": "***"} == _shown(**line)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("postgresql://user:pa55@db/x", "postgresql://***@db/x"),
            ("wss://x/ws?device_id=1&access_key=abc&ticket=def", "wss://x/ws?device_id=1&access_key=***&ticket=***"),
            ("Authorization: Bearer t-g1044ghJRUIJJ5", "Authorization: Bearer ***"),
            ("sent with t-g1044ghJRUIJJ5ELANQ32", "sent with ***"),
            ("card c-295ee57216a5dc9de90fefd0aadb4b1d done", "card *** done"),
            ("sqlite:////var/lib/cardwire/log.db", "sqlite:////var/lib/cardwire/log.db"),
            ("om_dc13264520392913993dd051dba21dcf", "om_dc13264520392913993dd051dba21dcf"),
        ],
    )
    def test_what_looks_like_a_secret_is_cut_out_of_any_text(self, text: str, expected: str) -> None:
        """Ids and addresses stay readable."""
        assert {"event": expected, "inner": [expected]} == _shown(event=text, inner=[text])

    def test_other_types_show_only_their_name(self) -> None:
        """A repr cannot tell what nobody asks it."""

        @dataclass
        class Talkative:
            text: str

        class AlsoTalkative(msgspec.Struct):
            text: str

        received = InteractionReceived(
            event_id=EventId("e"),
            kind="event",
            app_id=AppId("a"),
            tenant_key=TenantKey("t"),
            occurred_at=0,
            received_at=0,
        )
        line = _shown(
            a=Talkative(PLANTED), b=AlsoTalkative(PLANTED), c=PLANTED.encode(), d=Secret(PLANTED),
            e=Toast.info(PLANTED),
            f=received, g=[[[[[[[PLANTED]]]]]]], h=ValueError(PLANTED),
        )  # fmt: skip
        assert PLANTED not in json.dumps(line)
        assert ("<Talkative>", "<bytes>", "<Secret>", "<Toast>") == (line["a"], line["c"], line["d"], line["e"])

    def test_ids_and_numbers_stay(self) -> None:
        """A line must be of use."""
        line = {"event": "callback_answered", "event_id": "ev1", "open_message_id": "om_1", "ms": 1.5, "n": None}
        assert line == _shown(**line)


class TestLines:
    """How lines are written."""

    def test_a_line_is_json_with_its_time_and_level(self, lines: Lines) -> None:
        """For machines."""
        structlog.get_logger().info("card_updated", event_id="ev1", name="跟进")
        assert ("card_updated", "info", "ev1", "跟进") == tuple(
            lines.last[key] for key in ("event", "level", "event_id", "name")
        )
        assert lines.last["at"].endswith("Z")

    def test_on_a_terminal_a_line_is_text(self) -> None:
        """For people; what must not be seen is hidden there too."""
        stream = Stream()
        configure_logs("info", "text", stream=stream)
        structlog.get_logger().info("card_updated", event_id="ev1", token=PLANTED)
        written = stream.getvalue()
        assert "card_updated" in written
        assert "event_id=ev1" in written
        assert PLANTED not in written

    def test_less_important_lines_are_not_written(self) -> None:
        """The level counts."""
        stream = Stream()
        configure_logs("warning", "json", stream=stream)
        structlog.get_logger().info("quiet")
        structlog.get_logger().warning("loud")
        written = stream.getvalue()
        assert ["loud"] == [json.loads(line)["event"] for line in written.splitlines()]

    def test_other_libraries_lines_are_written_alike(self, lines: Lines) -> None:
        """As JSON, from warnings on, with the same redaction."""
        logging.getLogger("aiokafka").warning("connected to kafka://u:%s@x", PLANTED)
        assert ("aiokafka", "warning", "connected to kafka://***@x") == tuple(
            lines.last[key] for key in ("logger", "level", "event")
        )
        logging.getLogger("aiokafka").info("chatter")
        assert "chatter" not in lines.text

    def test_a_library_that_is_turned_up_is_not_heard_either(self, lines: Lines) -> None:
        """To debug themselves, they quote whole requests."""
        logger = logging.getLogger("aiokafka.conn")
        logger.setLevel(logging.DEBUG)
        logger.debug("Request 1: %s", PLANTED)
        logger.setLevel(logging.NOTSET)
        assert "" == lines.text

    def test_an_exception_shows_where_and_never_what(self, lines: Lines) -> None:
        """A handler's message may quote what a person typed, a driver's its parameters."""
        try:
            _handle()
        except HandlerError:
            structlog.get_logger().exception("handler_failed")
        told = lines.last["exception"]
        assert "HandlerError: ValueError in follow_up" == told[0]
        assert "ValueError" in told
        assert any("test_observability.py" in place for place in told)
        assert PLANTED not in lines.text

    @pytest.mark.parametrize("error", [OSError(2, "No such file"), LogUnavailable("no broker"), TimeoutError("slow")])
    def test_errors_of_ours_and_of_the_system_say_what(self, lines: Lines, error: Exception) -> None:
        """They hold no values of anybody's."""
        structlog.get_logger().error("append_failed", exc_info=error)
        assert [f"{type(error).__name__}: {error}"] == lines.last["exception"]

    def test_other_libraries_exceptions_are_told_as_sparingly(self, lines: Lines) -> None:
        """They come through the standard library's logging."""
        try:
            _stumble()
        except ValueError:
            logging.getLogger("aiohttp.server").exception("Error handling request")
        assert "ValueError" == lines.last["exception"][0]
        assert PLANTED not in lines.text

    def test_a_forgotten_tasks_exception_tells_no_value(self, lines: Lines) -> None:
        """The event loop's own words end with the repr of what was raised."""

        async def main() -> None:
            context = {"message": "Task exception was never retrieved", "future": ValueError(PLANTED)}
            asyncio.get_running_loop().call_exception_handler(context)

        asyncio.run(main())
        assert "Task exception was never retrieved" == lines.last["event"]
        assert PLANTED not in lines.text

    def test_bound_values_stand_in_every_line(self, lines: Lines) -> None:
        """Ids are bound once."""
        with structlog.contextvars.bound_contextvars(event_id="ev1", token=PLANTED):
            structlog.get_logger().info("one")
        assert ("ev1", "***") == (lines.last["event_id"], lines.last["token"])


class TestMetrics:
    """Numbers."""

    COUNT = Metric(name="t_things", kind="counter", meaning="Things.", labels=("kind",))
    LEVEL = Metric(name="t_level", kind="gauge", meaning="Level.")
    TIMES = Metric(name="t_seconds", kind="histogram", meaning="Seconds.", buckets=(1.0, 2.0))

    def test_they_count_set_and_measure(self) -> None:
        """And show it in Prometheus' format."""
        metrics = Metrics(self.COUNT, self.LEVEL, self.TIMES)
        metrics.count(self.COUNT, "a")
        metrics.count(self.COUNT, "a", by=2)
        metrics.set(self.LEVEL, 7)
        metrics.observe(self.TIMES, 1.5)
        assert (3, 0, 7, 1) == (
            metrics.value(self.COUNT, "a"),
            metrics.value(self.COUNT, "b"),
            metrics.value(self.LEVEL),
            metrics.value(self.TIMES),
        )
        shown = metrics.exposition().decode()
        assert 't_things_total{kind="a"} 3.0' in shown
        assert 't_seconds_bucket{le="2.0"} 1.0' in shown

    def test_two_processes_in_one_test_do_not_share_them(self) -> None:
        """Each has a registry of its own."""
        one, other = Metrics(self.COUNT), Metrics(self.COUNT)
        one.count(self.COUNT, "a")
        assert (1, 0) == (one.value(self.COUNT, "a"), other.value(self.COUNT, "a"))

    def test_they_are_shown_as_prometheus_own_client_shows_them(self) -> None:
        """Line for line, from the start on, whatever was counted."""
        by_kind = Metric(name="t_by_kind_seconds", kind="histogram", meaning="By.", labels=("kind",), buckets=(0.5, 2))
        metrics, theirs = Metrics(self.COUNT, self.LEVEL, self.TIMES, by_kind), CollectorRegistry()
        count = Counter("t_things", "Things.", ["kind"], registry=theirs)
        level = Gauge("t_level", "Level.", registry=theirs)
        times = Histogram("t_seconds", "Seconds.", registry=theirs, buckets=(1.0, 2.0))
        kinds = Histogram("t_by_kind_seconds", "By.", ["kind"], registry=theirs, buckets=(0.5, 2))
        assert _shown_by(theirs) == metrics.exposition().decode()
        for value in (0.1, 0.5, 1.0, 1.5, 2.0, 7.25):
            metrics.count(self.COUNT, 'a"b', by=value)
            count.labels('a"b').inc(value)
            metrics.set(self.LEVEL, value)
            level.set(value)
            metrics.observe(self.TIMES, value)
            times.observe(value)
            metrics.observe(by_kind, value, "x")
            kinds.labels("x").observe(value)
        assert _shown_by(theirs) == metrics.exposition().decode()

    def test_a_gauge_can_be_asked_for(self) -> None:
        """It costs nothing until somebody looks."""
        metrics, level = Metrics(self.LEVEL), 1.0
        metrics.follow(self.LEVEL, lambda: level)
        assert "t_level 1.0" in metrics.exposition().decode()
        level = 2.0
        assert "t_level 2.0" in metrics.exposition().decode()
        assert level == metrics.value(self.LEVEL)

    def test_a_label_too_few_is_a_mistake(self) -> None:
        """Or the numbers of two series would be one."""
        metrics = Metrics(self.COUNT, self.TIMES)
        with pytest.raises(ValueError, match="t_things"):
            metrics.count(self.COUNT)
        with pytest.raises(ValueError, match="t_seconds"):
            metrics.observe(self.TIMES, 1, "a")

    def test_every_number_says_what_it_is(self) -> None:
        """Names are ours and unique, meanings are sentences, histograms have buckets in order."""
        every = {*GATEWAY_METRICS, *WORKER_METRICS}
        assert len(every) == len({metric.name for metric in every})
        for metric in every:
            assert metric.name.startswith("cardwire_")
            assert metric.meaning.endswith(".")
            assert (metric.kind == "histogram") == bool(metric.buckets)
            assert sorted(set(metric.buckets)) == list(metric.buckets)


@pytest.mark.parametrize("logger", [structlog.get_logger("cardwire"), logging.getLogger("asyncio")])
@pytest.mark.usefixtures("lines")
def test_a_terminal_shows_where_an_exception_was_raised(logger: Any) -> None:
    """Text is for people, who see type and place of an exception there as well as in JSON."""
    stream = Stream()
    configure_logs("info", "text", stream=stream)
    try:
        int(PLANTED)
    except ValueError:
        logger.exception("attempt_broke")
    assert "ValueError\n" in stream.getvalue()
    assert "test_observability.py:" in stream.getvalue()
    assert PLANTED not in stream.getvalue()
