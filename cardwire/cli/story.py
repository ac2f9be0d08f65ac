"""A click's story, as the log and the platform tell it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import aiohttp

from shared.core.codec import decode
from shared.core.effects import CallApi, StoredEffect
from shared.core.errors import CardwireError
from shared.core.events import (
    CallReturned,
    Decided,
    EffectOutcome,
    Event,
    InteractionAnswered,
    InteractionReceived,
    RedriveRequested,
    RequestReceived,
    TimerFired,
)
from shared.core.ids import EventId
from shared.core.json_text import EpochMs, JsonText, json_value
from shared.eventlog.port import EventLog, Topics

LOOK_AGAIN_S: Final = 0.02
PAGE: Final = 500
CHAPTERS: Final = ("received", "answered", "decided", "updated")
"""What every click goes through, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened: so many ms after its click."""

    event_id: EventId
    after_ms: int
    what: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What people see on the platform: the card's title and the chat's name, when it began and now."""

    card: tuple[str, str]
    chat: tuple[str, str]

    def missing(self, expected: str) -> Iterator[str]:
        """Say what does not read as expected."""
        for name, (_, now) in (("card", self.card), ("chat", self.chat)):
            if now != expected:
                yield f"the {name} still reads {now}, expected {expected}"


class NotPlayed(CardwireError):
    """The simulator did not do what it was asked."""


@dataclass(slots=True, kw_only=True)
class Story:
    """A chat with a card in it, and everything that the log tells about its clicks."""

    session: aiohttp.ClientSession
    event_log: EventLog
    topics: Topics
    chat_id: str
    message_id: str
    card: Mapping[str, Any]
    _read: dict[tuple[str, int], int] = field(default_factory=dict)
    _clicked_at: dict[EventId, EpochMs] = field(default_factory=dict)
    _steps: list[Step] = field(default_factory=list)
    _toasts: dict[EventId, str] = field(default_factory=dict)
    _planned: dict[tuple[EventId, int], str] = field(default_factory=dict)
    _ended: set[tuple[EventId, int]] = field(default_factory=set)

    @classmethod
    async def begin(
        cls,
        session: aiohttp.ClientSession,
        event_log: EventLog,
        *,
        chat: str,
        card: Mapping[str, Any],
        topics: Topics | None = None,
    ) -> "Story":
        """Make a chat and post a card in it; what the log has told before is not read."""
        topics = topics or Topics()
        told = {
            (topic, partition): span.end
            for topic in (topics.interactions, topics.outcomes)
            for partition, span in (await event_log.spans(topic)).items()
        }
        chat_id = (await _post(session, "/_sim/chats", {"name": chat}))["chat_id"]
        message_id = (await _post(session, "/_sim/cards", {"chat_id": chat_id, "card": card}))["message_id"]
        return cls(
            session=session,
            event_log=event_log,
            topics=topics,
            chat_id=chat_id,
            message_id=message_id,
            card=card,
            _read=told,
        )

    async def click(self, person: str) -> str | None:
        """Press the card's button, wait for the answer, and return what was wrong with it from the client's view."""
        seen = await _post(self.session, "/_sim/click", self.click_body(person))
        if seen["client_error"] is None:
            return None
        answer = "no answer" if seen["status"] is None else f"the answer {seen['status']}"
        return f"the click got {answer}: the person's client shows error {seen['client_error']}"

    def click_body(self, person: str) -> Mapping[str, Any]:
        """Return what the simulator is sent for a click on the card's button."""
        button = self.card["elements"][-1]["actions"][0]
        return {
            "message_id": self.message_id,
            "action": {"tag": "button", "value": button["value"]},
            "operator": {"open_id": person},
        }

    async def until_told(self, patience_s: float) -> None:
        """Read until the log has told the whole story, or patience is at its end."""
        try:
            async with asyncio.timeout(patience_s):
                while not self._is_whole():
                    await self.news()
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            return

    async def news(self) -> Sequence[Step]:
        """Return what the log tells that it had not told before."""
        # Outcomes are read first: what they are about is in the other topic by then.
        outcomes = await self._new(self.topics.outcomes)
        events = [*await self._new(self.topics.interactions), *outcomes]
        for event in events:
            self._learn(event)
        news = [step for event in events for step in self._steps_of(event)]
        self._steps.extend(news)
        return news

    def steps(self) -> Sequence[Step]:
        """Return everything told so far, in order of time."""
        return sorted(self._steps, key=lambda step: step.after_ms)

    def missing(self) -> Iterator[str]:
        """Say what the log has not told."""
        told = {step.what for step in self._steps}
        return (f"the log does not say that the click was {chapter}" for chapter in CHAPTERS if chapter not in told)

    async def seen(self) -> Seen:
        """Return what the platform shows."""
        message = await _get(self.session, f"/_sim/messages/{self.message_id}")
        chat = await _get(self.session, f"/_sim/chats/{self.chat_id}")
        return Seen(
            card=(_title(self.card), _title(message["card"])),
            chat=(chat["names"][0]["name"], chat["name"]),
        )

    def _is_whole(self) -> bool:
        told = {step.what for step in self._steps}
        return {"received", "answered", "decided"} <= told and self._ended >= self._planned.keys()

    async def _new(self, topic: str) -> Sequence[Event]:
        events: list[Event] = []
        for partition, span in (await self.event_log.spans(topic)).items():
            offset = self._read.get((topic, partition), span.begin)
            for record in await self.event_log.read(topic, partition, offset, limit=PAGE):
                self._read[topic, partition] = record.offset + 1
                events.append(decode(record.headers, record.value))
        return events

    def _learn(self, event: Event) -> None:
        match event:
            case InteractionReceived() if event.message_id == self.message_id:
                self._clicked_at[event.event_id] = event.occurred_at
                if event.answer.toast is not None:
                    self._toasts[event.event_id] = event.answer.toast.content
            case Decided() if event.event_id in self._clicked_at:
                for planned in event.effects:
                    self._planned[event.event_id, planned.index] = _wanted(planned.effect)
            case EffectOutcome(final=True) if event.event_id in self._clicked_at:
                self._ended.add((event.event_id, event.index))
            case _:
                return

    def _steps_of(self, event: Event) -> Iterator[Step]:
        clicked_at = self._clicked_at.get(event.event_id)
        if clicked_at is None:
            return
        for at, what, detail in self._told(event):
            yield Step(event_id=event.event_id, after_ms=at - clicked_at, what=what, detail=detail)

    def _told(self, event: Event) -> Iterator[tuple[EpochMs, str, str]]:
        match event:
            case InteractionReceived():
                yield event.occurred_at, "clicked", f"by {event.operator.open_id}"
                yield event.received_at, "received", f"event {event.event_id}"
            case InteractionAnswered():
                toast = self._toasts.get(event.event_id, "")
                yield event.answered_at, "answered", toast if event.delivered else "but the client had gone"
            case RequestReceived():
                yield event.received_at, "requested", f"by {event.caller}"
            case CallReturned():
                yield event.occurred_at, "returned", event.name
            case TimerFired():
                yield event.occurred_at, "reminded", event.key
            case RedriveRequested():
                yield event.requested_at, "redriven", f"for the {event.n}. time"
            case Decided():
                effects = ", ".join(type(planned.effect).__name__ for planned in event.effects)
                yield event.decided_at, "decided", f"{event.handler}: {effects}" if event.handler else event.result
            case EffectOutcome():
                what = "updated" if event.status == "succeeded" else event.status
                wanted = self._planned.get((event.event_id, event.index), "")
                yield event.finished_at, what, " ".join(filter(None, [event.kind, wanted, event.reason]))
            case _ as unreachable:
                assert_never(unreachable)


def _wanted(effect: StoredEffect) -> str:
    """Return what a person would know an effect by: a card's title, a text, a name."""
    if isinstance(effect, CallApi):
        return f"{effect.method} {effect.path}"
    card = getattr(effect, "card", None)
    told = (getattr(effect, name, None) for name in ("text", "name", "key"))
    return _title(card) if card else next((str(text) for text in told if text), "")


def _title(card: Any) -> str:
    content = json_value(JsonText(card)) if isinstance(card, str) else card
    return str(content.get("header", {}).get("title", {}).get("content", ""))


async def _post(session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
    async with session.post(path, json=body) as response:
        return await _answer(response, path)


async def _get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path) as response:
        return await _answer(response, path)


async def _answer(response: aiohttp.ClientResponse, path: str) -> Any:
    answer = await response.json()  # An aiohttp.ClientError unless it is JSON: a simulator always answers in it.
    if response.status != 200:  # noqa: PLR2004 -- OK
        raise NotPlayed(f"the simulator answered {response.status} to {path}: {(await response.text()).strip()}")
    return answer
