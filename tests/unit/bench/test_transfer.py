"""The rows of the benchmark that moves a log."""

from bench.transfer import HEAD, Move, lines


def test_what_reads_a_log_stands_beside_reading_it_raw() -> None:
    """By time on the wall and by CPU time; what writes one stands alone."""
    moves = [
        Move(name="Kafka, read raw", records=1_000, wall_s=1.0, cpu_s=0.01),
        Move(name="Kafka → files", records=1_000, wall_s=2.0, cpu_s=0.025, peak_mb=117.4),
        Move(name="files → SQLite", records=1_000, wall_s=4.0, cpu_s=0.05, peak_mb=120.0),
    ]
    assert [
        ["Kafka, read raw", "1,000", "1.0", "1,000", "", "10", "", ""],
        ["Kafka → files", "1,000", "2.0", "500", "50%", "25", "2.5", "117"],
        ["files → SQLite", "1,000", "4.0", "250", "", "50", "", "120"],
    ] == list(lines(moves))
    assert {len(HEAD)} == {len(row) for row in lines(moves)}
