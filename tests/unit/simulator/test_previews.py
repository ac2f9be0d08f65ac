import asyncio
import json
from typing import Any

import aiohttp
import pytest

from shared.clock import ManualClock
from shared.feishu.crypto import Cipher
from simulator.app import RunningSimulator
from tests.unit.simulator.asking import Asking
from tests.unit.simulator.receiver import Receiver
from tests.unit.simulator.world import World

LINK = "https://example.com/alerts/1"
PATH = "im/v2/url_previews/batch_update"


class Links:
    """A link in a message, and its previews."""

    def __init__(self, ask: Asking, receiver: Receiver, session: aiohttp.ClientSession, url: str) -> None:
        self._ask, self._receiver, self._session, self._url = ask, receiver, session, url
        self.message_id = ""

    async def show(self, open_id: str, url: str = LINK) -> str:
        """Let somebody look at the link; return the preview's token."""
        await self._ask.post("previews", {"url": url, "message_id": self.message_id, "operator": {"open_id": open_id}})
        return await self.asked()

    async def asked(self) -> str:
        """Return the token that the receiver was asked with."""
        body = json.loads((await asyncio.wait_for(self._receiver.came.get(), 5)).body)
        context = json.loads(Cipher("k").decrypt(body["encrypt"]))["event"]["context"]
        return str(context["preview_token"])

    def answer(self, title: str, status: int = 200) -> None:
        """Answer like this from now on."""
        self._receiver.answer = (status, json.dumps({"inline": {"title": title}}).encode())

    async def refresh(self, body: dict[str, Any]) -> int:
        """Have previews asked for again; return the code."""
        headers = await self._ask.token()
        async with self._session.post(f"{self._url}/open-apis/{PATH}", json=body, headers=headers) as response:
            return int((await response.json())["code"])

    async def titles(self, pulls: int) -> dict[str, str]:
        """Return what people see, once it was asked for so often."""
        while True:
            _, (told,) = await self._ask.get(f"previews?message_id={self.message_id}")
            if told["pulls"] == pulls and all(view["inline"] for view in told["views"].values()):
                return {person: view["inline"]["title"] for person, view in told["views"].items()}
            await asyncio.sleep(0)


@pytest.fixture
async def links(ask: Asking, receiver: Receiver, session: aiohttp.ClientSession, sim: RunningSimulator) -> Links:
    """Return a link in a message that Alice and Bob see."""
    found = Links(ask, receiver, session, sim.url)
    _, found.message_id = await ask.card()
    found.answer("一")
    return found


async def test_a_link_has_one_token_for_everybody(links: Links) -> None:
    """The same message and link ask with the same token, another link with another."""
    tokens = [await links.show("ou_alice"), await links.show("ou_bob"), await links.show("ou_alice", LINK + "2")]
    assert tokens[0] == tokens[1] != tokens[2]


async def test_a_refresh_asks_for_everybody_who_sees_the_link(links: Links) -> None:
    """What is answered then is what they see."""
    token = await links.show("ou_alice")
    await links.show("ou_bob")
    links.answer("二")
    assert 0 == await links.refresh({"preview_tokens": [token]})
    assert [token, token] == [await links.asked(), await links.asked()]
    assert {"ou_alice": "二", "ou_bob": "二"} == await links.titles(pulls=4)


async def test_a_refresh_for_some_people_leaves_the_others(links: Links) -> None:
    """Whoever never saw the link is not asked for."""
    token = await links.show("ou_alice")
    await links.show("ou_bob")
    links.answer("二")
    assert 0 == await links.refresh({"preview_tokens": [token], "open_ids": ["ou_bob", "ou_carol"]})
    await links.asked()
    assert {"ou_alice": "一", "ou_bob": "二"} == await links.titles(pulls=3)


async def test_after_an_error_people_see_what_they_saw(links: Links) -> None:
    """A preview that fails takes nothing away."""
    token = await links.show("ou_alice")
    links.answer("二", status=500)
    assert 0 == await links.refresh({"preview_tokens": [token]})
    await links.asked()
    assert {"ou_alice": "一"} == await links.titles(pulls=2)


async def test_a_link_is_refreshed_once_in_five_seconds(links: Links, ask: Asking, clock: ManualClock) -> None:
    """A second refresh is refused and noted, the next one is not."""
    token = await links.show("ou_alice")
    codes = [await links.refresh({"preview_tokens": [token]}) for _ in range(2)]
    clock.advance(5)
    assert [0, 99991400, 0] == [*codes, await links.refresh({"preview_tokens": [token]})]
    _, violations = await ask.get("violations")
    assert ["preview_refresh"] == [each["rule"] for each in violations]


async def test_without_limits_a_link_is_refreshed_at_will(links: Links, ask: Asking) -> None:
    """A test in a hurry lifts this limit with all others."""
    await ask.post("limits", {"factor": None})
    token = await links.show("ou_alice")
    assert [0, 0, 0] == [await links.refresh({"preview_tokens": [token]}) for _ in range(3)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"preview_tokens": []},
        {"preview_tokens": "t"},
        {"preview_tokens": [7]},
        {"preview_tokens": ["unknown"]},
        {"preview_tokens": ["t"] * 11},
        {"preview_tokens": ["t"], "open_ids": ["ou_1"] * 101},
    ],
)
def test_a_refresh_needs_known_tokens(body: dict[str, Any]) -> None:
    """One to ten tokens, at most a hundred people."""
    assert 230001 == World().call("POST", PATH, body).code


def test_five_refreshes_are_made_in_a_second() -> None:
    """The limit of this API is lower than that of others."""
    world = World()
    assert [230001] * 5 + [99991400] == [world.call("POST", PATH, {}).code for _ in range(6)]
