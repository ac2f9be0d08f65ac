from gateway.spill.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker


def test_one_failure_opens_it_and_another_does_not_open_it_again() -> None:
    """It counts from the first."""
    breaker = Breaker()
    assert not breaker.is_open
    breaker.trip(10.0)
    breaker.trip(11.0)
    assert breaker.is_open
    assert 5.0 == breaker.close(15.0)
    assert not breaker.is_open


def test_pauses_double_up_to_a_bound_and_begin_anew() -> None:
    """A log that is away for long is not asked without end, and one that is back is noticed soon."""
    breaker = Breaker()
    breaker.trip(0.0)
    pauses = []
    for _ in range(100):
        pauses.append(breaker.pause_s)
        breaker.failed()
    assert [FIRST_PAUSE_S, 0.2, 0.4, 0.8, LONGEST_PAUSE_S] == pauses[:5]
    assert LONGEST_PAUSE_S == max(pauses)
    breaker.got_through()
    assert FIRST_PAUSE_S == breaker.pause_s
    breaker.failed()
    breaker.close(1.0)
    breaker.trip(2.0)
    assert FIRST_PAUSE_S == breaker.pause_s


def test_closed_already_it_was_open_for_no_time() -> None:
    """Closing twice is harmless."""
    assert Breaker().close(7.0) == 0.0
