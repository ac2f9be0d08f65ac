"""`cardwire click`: press a button in a running deployment with a simulated platform, and tell what became of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from cardwire.cli.refusals import only_our_lines
from cardwire.cli.story import NotPlayed, Story
from cardwire.cli.telling import Telling
from cardwire.demo import alert_card
from shared.core.errors import ConfigError
from shared.eventlog.open import open_log
from shared.eventlog.port import Topics
from shared.settings import LogSettings, domain, load, section

ALERT: Final = "支付超时率 3.2%，超过阈值 1%"
CHAT: Final = "支付告警"
PERSON: Final = "ou_ada"
FOLLOWING_UP: Final = "跟进中"
PATIENCE_S: Final = 20.0
"""Everything happens within a second; a machine that needs longer than this has another problem."""
LAST_LOOK_S: Final = 1.0
"""A click without a good answer may be in the log all the same."""

CONNECTING: Final = aiohttp.ClientTimeout(sock_connect=5, sock_read=10)
"""The simulator waits 3 s for a click's answer, and answers everything else at once."""

PLATFORMS: Final = frozenset({"open.feishu.cn", "open.larksuite.com"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickSettings:
    """Where the simulated platform and the log are."""

    domain: str = domain()
    log: LogSettings = section(LogSettings)

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        settings = load(cls, env)
        if urlsplit(settings.domain).hostname in PLATFORMS:
            raise ConfigError(
                "LARK_DOMAIN: nobody can be made to click on the real platform: expected the address of a simulator, "
                "for example LARK_DOMAIN=http://127.0.0.1:8900"
            )
        return settings


def run_click(env: Mapping[str, str], *, as_json: bool) -> int:
    """
    Post the alert card of the demo to a new chat, press its button, print what happened, and return the exit code.

    The deployment's handlers must be those of the demo (``examples/followup``).

    Returns:
        0 if card and chat were renamed, else 1 with what is missing.

    Raises:
        LogUnavailable, NotPlayed: The log or the simulator cannot be reached.
    """
    only_our_lines()
    return asyncio.run(_click(ClickSettings.load(env), Telling("click", as_json=as_json)))


async def once(story: Story, telling: Telling) -> int:
    """Press the button once, tell the whole story, and return the exit code."""
    wrong = await story.click(PERSON)
    await story.until_told(PATIENCE_S if wrong is None else LAST_LOOK_S)
    telling.timeline(story.steps())
    seen = await story.seen()
    telling.result(seen)
    missing = [*filter(None, [wrong]), *story.missing(), *seen.missing(FOLLOWING_UP)]
    if any((step.what, step.detail) == ("decided", "ignored") for step in story.steps()):
        missing = ["no handler of this deployment is for its button, follow_up: expected those of examples/followup"]
    telling.missing(missing)
    return 1 if missing else 0


async def _click(settings: ClickSettings, telling: Telling) -> int:
    topics = Topics.prefixed(settings.log.topic_prefix)
    event_log = open_log(settings.log.url, topics=topics, kafka=settings.log.kafka)
    try:
        async with aiohttp.ClientSession(settings.domain, timeout=CONNECTING) as session:
            story = await Story.begin(session, event_log, topics=topics, chat=CHAT, card=alert_card(ALERT))
            return await once(story, telling)
    except aiohttp.ClientError as error:
        raise NotPlayed(
            f"LARK_DOMAIN: no simulator answers at {settings.domain} ({type(error).__name__}): "
            "start one with `cardwire simulator`, and name it, for example LARK_DOMAIN=http://127.0.0.1:8900"
        ) from error
    finally:
        await event_log.close()
