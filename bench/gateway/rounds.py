"""
Rounds: each server once, one after another, so that all of a round meet the same weather.

A figure of a busy or virtual machine is worth little by itself; its ratio to another one of the same round is worth
more. A round in which the two plain servers that store nothing are not as far apart as they always are is void.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.figures import percentile
from bench.gateway.callbacks import Callback, requests
from bench.gateway.contenders import Contender
from bench.gateway.load import Clients, Load
from bench.gateway.serving import Server, serving

PLAUSIBLE: Final = (0.8, 1.5)
"""What (a) costs, as a multiple of (c), in a round that counts."""

PACED_WARM_UP: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    One server in one round.

    Attributes:
        cpu_us: CPU time of the server for each click (µs).
        rate: Good answers per second.
        p50_ms: Median latency (ms), as `Load` has it.
        p99_ms: The latency that one in a hundred exceeds (ms).
    """

    cpu_us: float
    rate: float
    p50_ms: float
    p99_ms: float
    first_answer_s: float
    rss_mb: float
    bad: int


Round = Mapping[str, Sample]
Measure = Callable[[Contender], Sample]


def saturated(contender: Contender, made: Sequence[Callback], *, core: int, warm_up_s: float, seconds: float) -> Sample:
    """Measure a server whose every connection always waits for an answer."""
    with serving(contender, made[0], core=core) as server, Clients(server.port, server.toast) as clients:
        signed = requests(made)
        clients.closed(signed, seconds=warm_up_s)
        before = server.cpu_s()
        load = clients.closed(signed, seconds=seconds)
        return _sample(server, load, server.cpu_s() - before)


def paced(contender: Contender, made: Sequence[Callback], *, core: int, rate: int, seconds: float) -> Sample:
    """Measure a server that is asked at constant times (open loop)."""
    with serving(contender, made[0], core=core) as server, Clients(server.port, server.toast) as clients:
        signed = requests(made)
        clients.paced(signed, rate=rate, seconds=PACED_WARM_UP / rate)
        before = server.cpu_s()
        load = clients.paced(signed, rate=rate, seconds=seconds)
        return _sample(server, load, server.cpu_s() - before)


def rounds(
    contenders: Sequence[Contender], measure: Measure, *, count: int, most: int
) -> Iterator[tuple[Round, str | None]]:
    """
    Yield rounds until so many counted or ``most`` were made, each with the reason for which it is void, if it is.

    The order changes from round to round, so that nobody always comes after the same one.
    """
    counted = 0
    for number in range(most):
        turn = number % len(contenders)
        found = {each.name: measure(each) for each in (*contenders[turn:], *contenders[:turn])}
        void = why_void(found)
        counted += void is None
        yield found, void
        if counted == count:
            return


def why_void(found: Round) -> str | None:
    """Say why a round does not count, if it does not."""
    if wrong := [name for name, sample in found.items() if sample.bad]:
        return f"bad answers from {', '.join(wrong)}"
    if "naive" not in found or "go" not in found:
        return None
    ratio = found["naive"].cpu_us / found["go"].cpu_us
    low, high = PLAUSIBLE
    return None if low <= ratio <= high else f"naive / go is {ratio:.2f}"


def _sample(server: Server, load: Load, spent_s: float) -> Sample:
    return Sample(
        cpu_us=spent_s / max(1, load.answered) * 1e6,
        rate=load.answered / load.wall_s,
        p50_ms=percentile(load.latencies, 0.5) * 1000,
        p99_ms=percentile(load.latencies, 0.99) * 1000,
        first_answer_s=server.first_answer_s,
        rss_mb=server.rss_mb(),
        bad=load.bad,
    )
