import pytest

from cardwire.cli.sums import Sums, lasting, read, text, together
from shared.observability.metrics import (
    ANSWER_SECONDS,
    APPENDS_IN_FLIGHT,
    CALLBACKS,
    GATEWAY_METRICS,
    GROUP_METRICS,
    LAST_FRAME_AGE,
    LOG_BREAKER_OPEN,
    LONG_CONNECTION_UP,
    SPILL_OLDEST_SECONDS,
    SPILL_ROWS,
    Metric,
    Metrics,
)


def _counting(clicks: int, *, in_flight: int = 0) -> Metrics:
    metrics = Metrics(*GATEWAY_METRICS)
    metrics.count(CALLBACKS, "cli_a", "card_action", "recorded", by=clicks)
    metrics.set(APPENDS_IN_FLIGHT, in_flight)
    for _ in range(clicks):
        metrics.observe(ANSWER_SECONDS, 0.004, "card_action")
    return metrics


def _shown(metrics: Metrics) -> str:
    return metrics.exposition().decode()


def _lines(exposition: bytes) -> set[str]:
    return {line for line in exposition.decode().splitlines() if not line.startswith("#")}


def _clicks(exposition: bytes) -> str:
    (line,) = (line for line in _lines(exposition) if line.startswith(f"{CALLBACKS.name}_total"))
    return line.rpartition(" ")[2]


def test_one_process_is_shown_as_it_shows_itself() -> None:
    """Every line of it, in its order, with its kind and its meaning."""
    shown = _shown(_counting(3, in_flight=2))
    assert shown == text(read(shown)).decode()


def test_counters_and_histograms_are_added_up() -> None:
    """Bucket by bucket, and the sums of seconds, too."""
    both = text(together([read(_shown(_counting(3))), read(_shown(_counting(2)))]))
    assert _lines(_counting(5).exposition()) == _lines(both)


def test_what_only_one_process_has_counted_is_shown() -> None:
    """A kind of callback that came to one of them alone."""
    one, other = _counting(1), Metrics(*GATEWAY_METRICS)
    other.count(CALLBACKS, "cli_a", "link_preview", "answered")
    shown = _lines(text(together([read(_shown(one)), read(_shown(other))])))
    assert 'cardwire_callbacks_total{app_id="cli_a",kind="card_action",outcome="recorded"} 1.0' in shown
    assert 'cardwire_callbacks_total{app_id="cli_a",kind="link_preview",outcome="answered"} 1.0' in shown


@pytest.mark.parametrize(
    ("metric", "labels", "expected"),
    [
        (APPENDS_IN_FLIGHT, (), 7.0),
        (SPILL_ROWS, ("own",), 7.0),
        (LOG_BREAKER_OPEN, (), 5.0),
        (SPILL_OLDEST_SECONDS, (), 5.0),
        (LONG_CONNECTION_UP, ("cli_a",), 2.0),
        (LAST_FRAME_AGE, ("cli_a",), 2.0),
    ],
)
def test_gauges_become_one_as_each_says(metric: Metric, labels: tuple[str, ...], expected: float) -> None:
    """The sum of rows, the worst of what should be 0 or 1, the last event of all."""
    pages = []
    for value in (5, 2):
        metrics = Metrics(*GATEWAY_METRICS)
        metrics.set(metric, value, *labels)
        pages.append(read(_shown(metrics)))
    assert [expected] == list(together(pages)[metric.name].samples.values())


def test_a_page_less_its_gauges_keeps_what_was_counted() -> None:
    """That is what lasts when a process has ended."""
    kept = lasting(read(_shown(_counting(3, in_flight=2))))
    assert "gauge" not in {numbers.kind for numbers in kept.values()}
    assert [3.0] == list(kept[CALLBACKS.name].samples.values())


def test_a_process_that_does_not_answer_keeps_what_it_had_counted_and_says_nothing_of_now() -> None:
    """A sum that fell would look as if everything had been counted again."""
    sums = Sums()
    sums.begun(0)
    sums.begun(1)
    pages = [read(_shown(_counting(clicks, in_flight=1))) for clicks in (3, 4)]
    assert "7.0" == _clicks(text(sums.page(dict(enumerate(pages)))))
    left = text(sums.page({0: pages[0]}))
    assert "7.0" == _clicks(left)
    assert "cardwire_appends_in_flight 1.0" in _lines(left)


def test_what_an_ended_process_had_counted_stays_when_its_successor_counts_from_0() -> None:
    """However often that happens."""
    sums = Sums()
    for run in range(3):
        sums.begun(run)
        sums.page({run: read(_shown(_counting(2)))})
        sums.ended(run)
    sums.begun(3)
    assert "6.0" == _clicks(text(sums.page({})))
    assert "7.0" == _clicks(text(sums.page({3: read(_shown(_counting(1)))})))


def test_a_page_that_comes_after_the_end_of_its_process_counts_nothing_twice() -> None:
    """It was asked, answered, and was killed while the others were waited for."""
    sums = Sums()
    sums.begun(0)
    page = read(_shown(_counting(2)))
    sums.page({0: page})
    sums.ended(0)
    assert "2.0" == _clicks(text(sums.page({0: page})))
    assert "2.0" == _clicks(text(sums.page({})))


def test_labels_survive_whatever_is_in_them() -> None:
    """Quotes, line breaks, and other people's languages."""
    metrics = Metrics(*GATEWAY_METRICS)
    metrics.count(CALLBACKS, 'a"b\\c\nd，', "card_action", "recorded")
    assert _shown(metrics) == text(read(_shown(metrics))).decode()


def test_our_own_numbers_stand_beside_those_of_the_processes() -> None:
    """No name is used twice."""
    assert not {metric.name for metric in GATEWAY_METRICS} & {metric.name for metric in GROUP_METRICS}
