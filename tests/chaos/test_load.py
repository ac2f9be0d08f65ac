import random
from collections import Counter
from typing import Any

import aiohttp
import pytest

from tests.chaos.load import Load, People
from tests.chaos.platform import Platform


class Recorder(Platform):
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    async def post(self, call: str, body: Any) -> dict[str, Any]:
        self.asked.append((body["message_id"], body["action"]["value"]["action"], body["copies"]))
        return {"event_id": "e", "status": 200, "client_error": None, "answered_in_ms": 1, "body": "{}"}


async def _asked(load: Load, *, seed: int = 7) -> list[tuple[str, str, int]]:
    recorder = Recorder()
    await People(recorder, [f"om_{number}" for number in range(10)], load, random.Random(seed)).click()
    return recorder.asked


@pytest.mark.parametrize("sick_every", [0, 12])
async def test_the_same_seed_clicks_the_same(sick_every: int) -> None:
    """Which card is clicked, and how often a click is delivered."""
    load = Load(clicks=48, per_second=2_000, patience_s=1, sick_every=sick_every)
    assert await _asked(load) == await _asked(load)
    assert await _asked(load) != await _asked(load, seed=8)


async def test_sick_cards_get_their_share_of_the_clicks() -> None:
    """Of 48 clicks four are on the first card, two of which nobody can decide, and four on the second."""
    asked = await _asked(Load(clicks=48, per_second=2_000, patience_s=1, sick_every=12))
    counted = Counter((card, action) for card, action, _ in asked)
    assert (2, 2, 4) == (counted["om_0", "poison"], counted["om_0", "count"], counted["om_1", "count"])
    assert 2 == sum(action == "poison" for _, action in counted.elements())


async def test_who_is_not_answered_has_the_same_bytes_delivered_again() -> None:
    """Until patience ends; a click that never left is asked for anew."""

    class Deaf(Recorder):
        async def post(self, call: str, body: Any) -> dict[str, Any]:
            self.asked.append((str(body.get("again")), "", body["copies"]))
            if len(self.asked) == 1:
                raise aiohttp.ClientConnectionError
            seen = {"event_id": "e", "client_error": None, "answered_in_ms": 1, "body": None}
            return {**seen, "status": 503 if len(self.asked) == 2 else 200}

    deaf = Deaf()
    people = People(deaf, ["om_0"], Load(clicks=1, per_second=100, patience_s=30), random.Random(7))
    await people.click()
    assert ["None", "None", "e"] == [again for again, *_ in deaf.asked]
    assert [[None, 503, 200]] == [[attempt.status for attempt in click.attempts] for click in people.clicked]
