"""The documented limits: never exceeded, used while there is work, a 429 obeyed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card
from shared.core.effects import Effect, Reply, SendText, UpdateCard
from shared.core.events import COMMAND_LINE, Event, RequestReceived, request_event_id
from shared.core.ids import MessageId, TenantKey
from shared.feishu.limits import Limits
from simulator.faults import FaultRule
from tests.scenario.handlers import BLANK, COUNT, PATCH, SEND, app_of_stories
from tests.support import facts
from tests.support.tries import best_of, in_time
from tests.support.world import Stack, World, clock_of_now, files, world

HALF = 0.5
"""Half the documented limits: the same arithmetic in half the time, and more calls at once than its minute's burst."""

BURST = 550
"""Cards that are clicked at once: more than a minute's calls."""

PER_SECOND, PER_MINUTE = HALF * Limits().api.per_second, HALF * Limits().api.per_minute
PER_CHAT = Limits().per_chat
USED = 0.9
REPLY, GET = "im.v1.message.reply", "im.v1.message.get"
OVER_AN_HOUR_S = 65 * 60
"""The platform tells a repeated send from a second one for an hour."""

PATIENCE_S, CALM_MS = 5.0, 8
"""The clock waits for calls, and for what gathers for a moment before it is stored: no lateness is its fault."""


async def test_a_burst_on_many_cards_uses_the_limits_and_exceeds_none(tmp_path: Path) -> None:
    """More cards at once than a minute allows: nine tenths of both limits are used, and neither is exceeded."""
    clock = clock_of_now()
    async with world(files(tmp_path), app_of_stories(), clock=clock, limits=str(HALF)) as running:
        running.busy.patience_s = PATIENCE_S
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(BURST)]
        await running.append(*clicks(cards, COUNT, chat_id, clock.now()))
        await running.until(lambda: running.simulator.platform.history.calls.count >= BURST, patience_s=100)
        await running.quiet()
        times = [call.at_ms for call in running.calls(PATCH)]
        assert {0} == {call.code for call in running.calls(PATCH)}
        # An unknown ledger starts without a burst, so the first minute holds the fast start and then the minute's pace.
        assert most_within(times, 1_000) >= USED * PER_SECOND
        in_first_minute = sum(at < times[0] + 60_000 for at in times)
        assert USED * PER_MINUTE <= in_first_minute <= PER_MINUTE
        await running.check()


async def test_clicks_and_requests_share_the_limits(either_ledger: Stack) -> None:
    """A click names its organisation and a program does not: together they stay within what one app may call."""

    async def attempt(number: int) -> None:
        clock = clock_of_now()
        async with world(either_ledger, app_of_stories(), clock=clock, limits=str(HALF)) as running:
            running.busy.patience_s, running.busy.calm_ms = PATIENCE_S, CALM_MS
            chat_id = await running.chat()
            cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(160)]
            asked = [update_of(card, clock.now()) for card in cards[::2]]
            told = clicks(cards[1::2], COUNT, chat_id, clock.now(), prefix=f"try-{number}")
            await running.append(*told, *asked)
            await running.quiet()
            times = [call.at_ms for call in running.calls(PATCH)]
            assert len(cards) == len(times)
            await running.check()
            most = most_within(times, 1_000)
            in_time(holds=most >= USED * PER_SECOND, what=most)

    await best_of(attempt)


def update_of(card: str, at: int) -> RequestReceived:
    """Return a request of the command line to update a card."""
    return RequestReceived(
        event_id=request_event_id(COMMAND_LINE, card),
        app_id=facts.APP,
        tenant_key=TenantKey(""),
        message_id=MessageId(card),
        caller=COMMAND_LINE,
        request_id=card,
        effects=(UpdateCard(BLANK),),
        occurred_at=at,
        received_at=at,
    )


async def test_texts_to_one_chat_keep_to_its_limit(either_ledger: Stack) -> None:
    """Five in a second; nine tenths of that while there is work."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        running.busy.patience_s, running.busy.calm_ms = PATIENCE_S, CALM_MS
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(60)]
        await running.append(*clicks(cards, {"action": "text", "text": "hello"}, chat_id, clock.now()))
        await running.quiet()
        times = [call.at_ms for call in running.calls(SEND)]
        assert len(cards) == len(times)
        assert (len(times) - 1) / (times[-1] - times[0]) * 1_000 >= USED * PER_CHAT
        await running.check()


async def test_replies_share_their_chats_limit_whatever_they_answer(either_ledger: Stack) -> None:
    """Ten messages of one chat are answered beside texts to it: five in a second, and each chat is asked for once."""
    app = App()

    @app.on_action("reply")
    def reply(click: Interaction, card: Card | None) -> list[Effect]:
        return [effect for each in click.value["to"] for effect in (Reply("hello", message_id=each), SendText("hello"))]

    clock = clock_of_now()
    async with world(either_ledger, app, clock=clock) as running:
        running.busy.patience_s, running.busy.calm_ms = PATIENCE_S, CALM_MS
        chat_id = await running.chat()
        card, *others = [running.simulator.put_card(chat_id, BLANK) for _ in range(11)]
        for _ in range(2):
            await running.simulator.click(card, {"action": "reply", "to": others})
        await running.quiet()
        made = [*running.calls(SEND), *running.calls(REPLY)]
        assert {0} == {call.code for call in made}
        assert 40 == len(made)
        assert len(others) == len(running.calls(GET))
        await running.check()


async def test_updates_of_one_card_keep_to_its_limit(either_ledger: Stack) -> None:
    """Somebody clicks one card without end: what is sent stays within five in a second, the last number is shown."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        running.busy.patience_s, running.busy.calm_ms = PATIENCE_S, CALM_MS
        chat_id = await running.chat()
        card = running.simulator.put_card(chat_id, BLANK)
        for nth in range(40):
            await running.append(*clicks([card], COUNT, chat_id, clock.now(), prefix=f"{nth}"))
            clock.advance(0.1)
            await running.busy.over()
        await running.quiet()
        assert '"n":40' in shown(running, card)
        assert len(running.calls(PATCH)) > 5
        await running.check()


async def test_a_429_silences_its_api_for_as_long_as_the_platform_says(either_ledger: Stack) -> None:
    """No call is begun until the named time is over; then all of them are performed, without an attempt used up."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        running.busy.patience_s, running.busy.calm_ms = PATIENCE_S, CALM_MS
        chat_id = await running.chat()
        cards = [running.simulator.put_card(chat_id, BLANK) for _ in range(150)]
        running.simulator.faults.set(1, [FaultRule(path=f"/open-apis/im/v1/messages/{cards[40]}", kind="429", p=1.0)])
        await running.append(*clicks(cards, COUNT, chat_id, clock.now()))
        await running.until(lambda: any(call.fault for call in running.calls(PATCH)))
        running.simulator.faults.set(1, [])
        await running.quiet()
        calls = running.calls(PATCH)
        refused_at = next(call.at_ms for call in calls if call.fault)
        assert [] == [call for call in calls if refused_at < call.at_ms < refused_at + 1_000]
        assert len(cards) == len({call.target for call in calls if call.code == 0})
        assert {1} == {outcome.attempts for outcome in await running.outcomes() if outcome.status == "succeeded"}
        await running.check()


async def test_a_send_that_a_429_put_off_is_made_by_whoever_comes_an_hour_later(either_ledger: Stack) -> None:
    """Only the call that was answered left; the others are none that may have been made, and none is given up."""
    clock = clock_of_now()
    async with world(either_ledger, app_of_stories(), clock=clock) as running:
        chats = [await running.chat() for _ in range(6)]
        cards = [running.simulator.put_card(chat_id, BLANK) for chat_id in chats]
        running.simulator.faults.set(1, [FaultRule(path="/open-apis/im/v1/messages", kind="429", p=1.0, ms=2_000)])
        now, value = clock.now(), {"action": "text", "text": "hello"}
        clicked = [clicks([card], value, chat, now, prefix=chat) for chat, card in zip(chats, cards, strict=True)]
        await running.append(*[event for events in clicked for event in events])
        await running.until(lambda: len(running.calls(SEND)) > 0)
        await running.until(lambda: clock.now() > now + 600)
        assert len(running.calls(SEND)) < len(chats)
        await running.stop_worker(running.workers[0])
        clock.advance(OVER_AN_HOUR_S)
        running.simulator.faults.set(1, [])
        async with running.worker():
            await running.quiet()
        final = [outcome for outcome in await running.outcomes() if outcome.final]
        assert ["succeeded"] * len(chats) == [outcome.status for outcome in final]
        sent = [len(running.simulator.platform.chat(chat_id).message_ids) - 1 for chat_id in chats]
        assert [1] * len(chats) == sent
        await running.check()


def clicks(cards: Sequence[str], value: object, chat_id: str, now: int, *, prefix: str = "") -> list[Event]:
    """Return a click on each card, each with its mark."""
    found: list[Event] = []
    for nth, card in enumerate(cards):
        click = facts.click(
            f"{prefix}-{nth}", value=value, message_id=card, chat_id=chat_id, occurred_at=now, received_at=now
        )
        found += [click, facts.mark(click, answered_at=now)]
    return found


def most_within(times: Sequence[int], window_ms: int) -> int:
    """Return how many fell into the fullest calendar window."""
    return max(Counter(at // window_ms for at in times).values())


def shown(running: World, message_id: str) -> str:
    """Return the card that everybody sees."""
    card = running.simulator.platform.message(message_id).card
    return card.text if card else ""
