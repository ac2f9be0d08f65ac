"""The rows of the benchmarks that read a log, and what a command's memory is."""

import sys

from bench.apart import apart
from bench.place import environment
from bench.reading import COLUMNS, Step, lines


def test_what_reads_a_log_stands_beside_reading_it_raw() -> None:
    """By time on the wall and by CPU time; what writes one stands alone."""
    steps = [
        Step(name="Kafka, read raw", reads="Kafka", records=1_000, wall_s=1.0, cpu_s=0.01),
        Step(name="Kafka → files", reads="Kafka", records=1_000, wall_s=2.0, cpu_s=0.025, peak_mb=117.4),
        Step(name="files → SQLite", reads=None, records=1_000, wall_s=4.0, cpu_s=0.05, peak_mb=120.0),
    ]
    assert [
        ["Kafka, read raw", "1,000", "1.0", "1,000", "", "10", "", ""],
        ["Kafka → files", "1,000", "2.0", "500", "50%", "25", "2.5", "117"],
        ["files → SQLite", "1,000", "4.0", "250", "", "50", "", "120"],
    ] == list(lines(steps))
    assert {len(COLUMNS) + 1} == {len(row) for row in lines(steps)}


def test_a_log_is_compared_with_its_own_raw_reading() -> None:
    """Of several logs in one table with the one that was read before."""
    steps = [
        Step(name=name, reads="SQLite", records=records, wall_s=1.0, cpu_s=cpu_s, peak_mb=peak_mb)
        for records in (100, 1_000)
        for name, cpu_s, peak_mb in (("SQLite, read raw", 0.001, None), ("SQLite, verified", 0.002, 80.0))
    ]
    assert ["", "2.0", "", "2.0"] == [row[6] for row in lines(steps)]


def test_a_command_is_not_charged_with_the_memory_of_who_starts_it() -> None:
    """However much that is; what it printed, and its exit code, are told."""
    held = b"x" * (200 << 20)
    took = apart([sys.executable, "-c", "print('it ran'); raise SystemExit(3)"], environment())
    assert ("it ran\n", 3) == (took.told, took.status)
    assert 1 < took.peak_mb < len(held) >> 20
