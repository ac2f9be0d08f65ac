"""
The stages, each on a stack of its own: from nothing to a click, scaled and broken under load, three brokers.

A stage returns what it saw in lines for people, and what was not as it must be.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos.checker import check
from tests.chaos.facts import Facts
from tests.chaos.report import report
from tests.chaos.rules import RULES, Rule
from tests.compose import scaling
from tests.compose.breaking import Breaking
from tests.compose.engine import IMAGE, PROXY_IMAGE, ROOT, Compose, EngineFailed, docker, inspect, size_mb
from tests.compose.people import HANDLERS, PER_SECOND, clicked_while
from tests.compose.requested import let_in, requested

OWN_IMAGE: Final = f"{IMAGE}-own"
ANSWER_MS: Final = 2_500
RECOVER_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What every stage is given: a folder for settings, a seed, and somebody to tell."""

    folder: Path
    seed: int
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a stage saw, and what was wrong."""

    lines: Sequence[str]
    wrong: Sequence[str] = field(default=())


async def first_click(scene: Scene) -> Seen:
    """
    From an engine without our images to a click's timeline, with the README's commands; then nothing is left.

    Before it is taken down, an image of the user's own takes the place of ours, and programs ask for things.
    """
    compose = Compose(project="cardwire-first", folder=scene.folder, settings={})
    began = time.monotonic()
    async with _stack(compose, scene, "--build") as left:
        healthy_s = time.monotonic() - began
        story = await compose.run("run", "--rm", "--no-TTY", "cli", "click")
        clicked_s = time.monotonic() - began
        own, wrong = await _own_image(compose, scene)
        scene.tell(f"{compose.project}: the port for requests")
        asked, unlike = await requested(compose, await let_in(compose, scene.folder))
    mb, base_mb = await size_mb(IMAGE), await size_mb(await _base())
    lines = [
        *story.out.rstrip().splitlines(),
        f"image       {mb:.0f} MB, of which the base is {base_mb:.0f} MB",
        f"healthy     {healthy_s:.0f} s after `up --build --wait`, first click told after {clicked_s:.0f} s",
        *own,
        *asked,
    ]
    return Seen(lines=lines, wrong=[*wrong, *unlike, *left])


async def scaled_and_broken(scene: Scene) -> Seen:
    """Under 20 clicks/s: three workers instead of one, a worker and the broker killed, both halves replaced."""
    compose = Compose(project="cardwire-broken", folder=scene.folder, settings=HANDLERS, scales={"gateway": 2})

    async def act(breaking: Breaking) -> None:
        await asyncio.sleep(4)
        await breaking.scale("worker", 3)
        await asyncio.sleep(4)
        await breaking.kill("worker", role="worker")
        await asyncio.sleep(4)
        broker = await breaking.kill_broker("kafka")
        await breaking.start(broker, "broker", "kafka")
        await asyncio.sleep(12)
        await breaking.roll("gateway")
        await breaking.roll("worker")

    async with _stack(compose, scene) as wrong:
        history = await clicked_while(
            compose, act, clicks=round(90 * PER_SECOND), seed=scene.seed, tell=scene.tell, kills={"worker": 1}
        )
        violations = check(history)
    return Seen(lines=report(history, violations).splitlines(), wrong=[*map(str, violations), *wrong])


async def three_brokers(scene: Scene) -> Seen:
    """Three brokers, of which one is killed under clicks and comes back."""
    compose = Compose(
        project="cardwire-cluster",
        folder=scene.folder,
        settings=HANDLERS,
        env_files=("deploy/cluster.env",),
        profiles=(),  # the file names them
        scales={"gateway": 2},
    )

    async def act(breaking: Breaking) -> None:
        await asyncio.sleep(8)
        victim = f"kafka{('', '-2', '-3')[scene.seed % 3]}"
        broker = await breaking.kill_broker(victim)
        await asyncio.sleep(RECOVER_S + 10)
        await breaking.start(broker, "broker", victim)

    async with _stack(compose, scene) as wrong:
        history = await clicked_while(
            compose, act, clicks=round(50 * PER_SECOND), seed=scene.seed, tell=scene.tell, kills={}
        )
        violations = check(history, [*RULES, *CLUSTER_RULES])
    lines = [*report(history, violations).splitlines(), _recovery(Facts(history))]
    return Seen(lines=lines, wrong=[*map(str, violations), *wrong])


async def workers_scaled(scene: Scene) -> Seen:
    """One worker and three, with all limits off; the figure counts where there are cores for it."""
    compose = Compose(project="cardwire-scaling", folder=scene.folder, settings=scaling.SETTINGS)
    async with _stack(compose, scene) as wrong:
        lines = scaling.verdict(await scaling.rounds(compose))
    return Seen(lines=lines, wrong=wrong)


def _answered_always(facts: Facts) -> Iterator[str]:
    for click in facts.history.clicks:
        for attempt in click.attempts:
            took_ms = attempt.answered_in_ms
            if attempt.status != 200 or attempt.toast is None or took_ms is None or took_ms > ANSWER_MS:
                yield f"{click.event_id} on {click.message_id}: {attempt}"


def _accepted_again(facts: Facts) -> Iterator[str]:
    from_at = _killed_at(facts) + RECOVER_S * 1000
    for click in facts.history.clicks:
        if click.intended_at >= from_at and not click.attempts[0].is_accepted:
            after_s = (click.intended_at - from_at) / 1000 + RECOVER_S
            yield f"{click.event_id}, {after_s:.1f} s after the kill: {click.attempts[0]}"


CLUSTER_RULES: Final[Sequence[Rule]] = (
    Rule(name="every delivery is answered within 2.5 s", guarantee="G2", breaches=_answered_always),
    Rule(name="all are accepted again within 15 s of a broker's loss", guarantee="G1", breaches=_accepted_again),
)


def _killed_at(facts: Facts) -> int:
    return next(fault.at for fault in facts.history.faults if fault.kind == "down")


def _recovery(facts: Facts) -> str:
    refused = [
        attempt.at - _killed_at(facts)
        for click in facts.history.clicks
        for attempt in click.attempts
        if not attempt.is_accepted
    ]
    if not refused:
        return "recovery    no click was refused"
    return f"recovery    {len(refused)} deliveries not accepted, the last {max(refused) / 1000:.1f} s after the kill"


@asynccontextmanager
async def _stack(compose: Compose, scene: Scene, *options: str) -> AsyncIterator[list[str]]:
    """Have a stack, and take it down again; what is left behind is appended to the list."""
    left: list[str] = []
    scene.tell(f"{compose.project}: up")
    try:
        await compose.up(*options)
        yield left
    finally:
        scene.tell(f"{compose.project}: down")
        left += [f"left behind: {each}" for each in await compose.down()]


async def _own_image(compose: Compose, scene: Scene) -> tuple[Sequence[str], Sequence[str]]:
    """
    Build an image as the documents tell users to, roll to it, and fail to roll to a broken one.

    Returns:
        What was seen, and what was wrong.
    """
    folder = scene.folder / "own"
    folder.mkdir()
    handlers = (ROOT / "examples/followup/handlers.py").read_text()
    (folder / "handlers.py").write_text(handlers.replace('Toast.info("正在跟进"', 'Toast.info("自己的"'))
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nWORKDIR /srv/handlers\nCOPY handlers.py ./\n")
    await docker("build", "--quiet", "--tag", OWN_IMAGE, str(folder))
    # As somebody does who upgrades: ours is built again, and must not take the place of theirs.
    await compose.set(CARDWIRE_IMAGE=OWN_IMAGE)
    await compose.run("build")
    await compose.roll("worker")
    await compose.roll("gateway")
    story = await compose.run("run", "--rm", "--no-TTY", "cli", "click")
    before = await compose.containers("worker")
    await compose.set(CARDWIRE_IMAGE=OWN_IMAGE, CARDWIRE_APP="handlers:nothing")
    said = await _refused(compose.roll("worker"))
    wrong = [] if "自己的" in story.out else ["the click was not answered by the image of the user's"]
    if "handlers:nothing" not in said:
        wrong.append(f"a failed roll does not say why: {said}")
    if await compose.containers("worker") != before:
        wrong.append("a failed roll changed the containers")
    # As an interrupted roll leaves it: one that was to go has ended, another runs; both are of the old image.
    await compose.set(CARDWIRE_IMAGE=OWN_IMAGE)
    await compose.scale("worker", 2)
    await docker("stop", before[0])
    await compose.set()
    await compose.roll("worker")
    images = [(await inspect(container))["Config"]["Image"] for container in await compose.containers("worker")]
    if images != [IMAGE]:
        wrong.append(f"a repeated roll leaves {images} behind, not one of {IMAGE}")
    return ["own image   rolled to; a broken one was refused, and the next roll succeeded"], wrong


async def _refused(rolling: Awaitable[None]) -> str:
    try:
        await rolling
    except EngineFailed as failed:
        return str(failed)
    return "it succeeded"


async def _base() -> str:
    first = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("ARG PYTHON="))
    return f"python:{first.removeprefix('ARG PYTHON=')}-slim"


STAGES: Final = {"first": first_click, "broken": scaled_and_broken, "cluster": three_brokers, "scaling": workers_scaled}
PROOFS: Final = ("first", "broken", "cluster")
"""The stages that can fail; the other one measures."""
OUR_IMAGES: Final = (IMAGE, PROXY_IMAGE, OWN_IMAGE)
