import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.chaos.matrix.client import Client, Plan
from tests.chaos.matrix.history import Attempt, attempts_in
from tests.chaos.matrix.ways import webhooks

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Gateways:
    """
    Two servers in the place of gateways.

    Attributes:
        came: The gateway, the body and the headers of each request, and what the client had written down by then.
        deaf: Requests, by their count, whose connection ends without an answer.
    """

    def __init__(self, record: Path, deaf: set[int]) -> None:
        self._record, self._deaf = record, deaf
        self.came: list[tuple[int, bytes, dict[str, str], list[Attempt]]] = []

    @asynccontextmanager
    async def urls(self) -> AsyncIterator[tuple[str, ...]]:
        """Serve, and give the addresses."""
        runners = [web.ServerRunner(web.Server(self._handler(number))) for number in range(2)]
        try:
            for runner in runners:
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield tuple("http://{}:{}".format(*runner.addresses[0][:2]) for runner in runners)
        finally:
            for runner in runners:
                await runner.cleanup()

    def _handler(self, number: int) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            self.came.append((number, body, dict(request.headers), list(attempts_in(self._record))))
            if len(self.came) - 1 in self._deaf and request.transport is not None:
                request.transport.abort()
            return web.Response(text="answer")

        return handle


async def _clicked(gateways: Gateways, record: Path, *, clicks: int, leave_every: int = 0) -> list[Attempt]:
    async with gateways.urls() as urls, webhooks(urls, name="t") as way:
        plan = Plan(
            urls=urls, name="t", seconds=0, at_most_s=clicks / 20, per_second=20, cards=3, leave_every=leave_every
        )
        with record.open("ab") as notes:
            await Client(plan, way, notes).click(asyncio.Event())
    return list(attempts_in(record))


async def test_a_click_whose_connection_ended_is_sent_again_to_the_other_gateway(tmp_path: Path) -> None:
    """The same bytes and headers; that the first attempt ended stands in the record before the second is sent."""
    gateways = Gateways(tmp_path / "record", deaf={0})
    attempts = await _clicked(gateways, tmp_path / "record", clicks=1)
    (first, body, headers, _), (second, again, same, written) = gateways.came
    assert (0, 1) == (first, second)
    assert body == again
    assert {**headers, "Host": ""} == {**same, "Host": ""}
    assert ["closed", None] == [each.over and each.over.ending for each in written]
    assert [("closed", None), ("answered", "answer")] == [
        (each.over.ending, each.over.body) for each in attempts if each.over is not None
    ]


async def test_a_click_stands_in_the_record_before_it_is_sent(tmp_path: Path) -> None:
    """Whatever arrives at a gateway, the record already knows of it."""
    gateways = Gateways(tmp_path / "record", deaf=set())
    await _clicked(gateways, tmp_path / "record", clicks=4)
    assert 4 == len(gateways.came)
    assert [1, 2, 3, 4] == [len(written) for *_, written in gateways.came]


async def test_those_who_leave_do_not_wait_for_an_answer(tmp_path: Path) -> None:
    """Every other client sends its bytes, goes, and does not send them again."""
    gateways = Gateways(tmp_path / "record", deaf=set())
    attempts = await _clicked(gateways, tmp_path / "record", clicks=4, leave_every=2)
    assert ["left", "answered"] * 2 == [each.over.ending for each in attempts if each.over is not None]


async def test_clicks_go_on_until_it_is_enough(tmp_path: Path) -> None:
    """Not fewer than are wanted, and not for ever."""
    plan = Plan(urls=(), name="t", seconds=1, at_most_s=2, per_second=20)
    assert [False, True, True] == [plan.is_over(clicks, enough=True) for clicks in (19, 20, 40)]
    assert [False, False, True] == [plan.is_over(clicks, enough=False) for clicks in (19, 20, 40)]
