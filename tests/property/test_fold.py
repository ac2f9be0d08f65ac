"""Folding does not care for order or repetition."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.core.effects import SendCard, UpdateCard
from shared.core.events import EFFECTS_PER_DECISION, Decided, EffectOutcome, Output, PlannedEffect
from shared.core.fold import fold
from shared.core.ids import EventId, MessageId
from shared.core.json_text import JsonText
from shared.core.targets import message_target
from tests.support.facts import APP, CARD, CHAT, NOW, TENANT


def decided(version: int) -> Decided:
    """Return the decision that made a version of the card: an update, and a new card sent."""
    order = version * EFFECTS_PER_DECISION
    target = message_target(CARD)
    update = PlannedEffect(index=1, target=target, coalesce="card", order=order + 1, effect=UpdateCard({"v": version}))
    send = PlannedEffect(index=2, target=target, order=order + 2, effect=SendCard({"sent": version}))
    return Decided(
        event_id=EventId(f"e{version}"),
        app_id=APP,
        tenant_key=TENANT,
        message_id=CARD,
        partition=0,
        offset=version,
        result="decided",
        version=version,
        state=JsonText(str(version)),
        newest_at=NOW + version,
        occurred_at=NOW,
        decided_at=NOW,
        effects=(update, send),
    )


def outcomes(version: int) -> list[EffectOutcome]:
    """Return a failed attempt, then success, of the update, and the success of the send."""

    def of(index: int, k: int, **fields: Any) -> EffectOutcome:
        return EffectOutcome(
            event_id=EventId(f"e{version}"),
            app_id=APP,
            tenant_key=TENANT,
            message_id=CARD,
            index=index,
            k=k,
            kind="UpdateCard",
            target=message_target(CARD),
            finished_at=NOW,
            **fields,
        )

    order = version * EFFECTS_PER_DECISION + 1
    sent = MessageId(f"om_new{version}")
    return [
        of(1, 1, status="failed", final=False, attempts=1),
        of(1, 2, status="succeeded", attempts=2, shown=f"hash{version}", shown_order=order, card_format="1.0"),
        of(2, 1, status="succeeded", attempts=1, sent_message_id=sent, sent_at=NOW, chat_id=CHAT),
    ]


HISTORY: list[Output] = []
for number in range(1, 6):
    HISTORY += [decided(number), *outcomes(number)]


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(range(len(HISTORY)))))
def test_a_fold_is_idempotent_and_commutative(rng: random.Random, again: list[int]) -> None:
    """Any order, with any repetitions, folds to the same ledger."""
    shuffled = [*HISTORY, *[HISTORY[at] for at in again]]
    rng.shuffle(shuffled)
    assert fold(HISTORY) == fold(shuffled)


def test_the_fold_holds_the_newest_of_everything() -> None:
    """State, card, shown face and the cards that were sent."""
    folded = fold(HISTORY)
    card = folded.cards[APP, CARD]
    assert (5, "5", '{"v":5}') == (card.version, card.state, card.content)
    assert ("hash5", 5 * EFFECTS_PER_DECISION + 1) == (
        folded.faces[APP, CARD].shown,
        folded.faces[APP, CARD].shown_order,
    )
    assert ('{"sent":3}', CHAT) == (
        folded.faces[APP, MessageId("om_new3")].sent,
        folded.faces[APP, MessageId("om_new3")].chat_id,
    )
    assert {"succeeded"} == {effect.status for effect in folded.effects.values()}
    assert 5 == len(folded.claims)
