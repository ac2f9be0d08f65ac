"""Whatever order clicks come in, however batches are cut, whoever is fenced: the same person wins, once."""

from collections.abc import Sequence
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.decision import Card, Decision
from shared.core.effects import UpdateCard
from shared.core.events import Decided, InteractionReceived, Operator
from shared.core.fold import fold
from shared.core.ids import OpenId
from shared.core.races import read_standings
from tests.support.facts import APP, CARD, NOW, TOPICS, click, records
from tests.unit.worker.test_decide import Direct, decisions
from worker.deciding.batch import Taken, take
from worker.deciding.decide import decide
from worker.ledger.decided import CardKey, CardRow, ClaimKey, Known, Write

RULES: list[dict[str, Any]] = [{"once": "per_card"}, {"once": "per_user"}, {"quorum": 2}, {"quorum": 3}]
PEOPLE = ["ou_ada", "ou_bob", "ou_cat", "ou_dan"]

Step = tuple[Literal[0, 1], int, bool]
"""Which of two workers, how many records it decides, and whether it reads the ledger anew before."""


class Rows:
    """What the ledger stores, with its compare-and-set of the position."""

    def __init__(self) -> None:
        self.next = 0
        self.claims: dict[ClaimKey, Any] = {}
        self.cards: dict[CardKey, CardRow] = {}
        self.told: list[Decided] = []

    def read(self) -> tuple[int, Known]:
        """Return the position and what is known."""
        return self.next, Known(now=NOW, claims=dict(self.claims), cards=dict(self.cards))

    def store(self, write: Write) -> None:
        """Store a write, or nothing if its position was moved by another worker."""
        (move,) = write.moves
        if move.expected != self.next:
            return
        self.next = move.next
        self.claims.update({ClaimKey(row.app_id, row.event_id): row.result for row in write.claims})
        self.cards.update({CardKey(row.app_id, row.message_id): row for row in write.cards})
        self.told += decisions(write)


def handlers(rule: dict[str, Any]) -> App:
    """Return a handler under a rule, which fails for the clicks that say so."""
    app = App()

    @app.on_action("follow_up", handler_name="follow_up", **rule)
    def follow_up(click: Interaction, _card: Card | None) -> Decision:
        if click.value.get("fail"):
            raise ValueError
        return Decision(effects=[UpdateCard({"voters": click.voters})])

    return app


def decided_by_two(taken: Sequence[Taken], app: App, steps: Sequence[Step]) -> Rows:
    """Let two workers decide the log in these steps; a worker that does not look again decides on what it knew."""
    rows = Rows()
    seen = {0: rows.read(), 1: rows.read()}
    for worker, count, looks in [*steps, *[(0, 1, True)] * len(taken)]:
        position, known = seen[worker] = rows.read() if looks else seen[worker]
        batch = taken[position : position + count]
        if batch:
            rows.store(decide(_batch(batch), known, {APP: app}, Direct()).write({0: position}, TOPICS, settle_ms=300))
    return rows


def _batch(taken: Sequence[Taken]) -> Any:
    return take({0: [one.record for one in taken]})


CLICKS = st.lists(st.tuples(st.sampled_from(PEOPLE), st.booleans()), min_size=1, max_size=12)
STEPS = st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(1, 4), st.booleans()), max_size=20)


def _logged(clicks: Sequence[tuple[str, bool]]) -> list[InteractionReceived]:
    return [
        click(f"e{n}", operator=Operator(open_id=OpenId(who)), value={"action": "follow_up", "fail": fails})
        for n, (who, fails) in enumerate(clicks)
    ]


@given(st.sampled_from(RULES), CLICKS, STEPS)
def test_two_workers_let_the_same_clicks_win_as_one(
    rule: dict[str, Any], clicks: list[tuple[str, bool]], steps: list[Step]
) -> None:
    """Batches are cut anywhere, decided twice, and stored once; the fold of what was told is what is stored."""
    taken = take({0: records(_logged(clicks))}).taken
    app = handlers(rule)
    alone = decided_by_two(taken, app, [(0, len(taken), True)])
    rows = decided_by_two(taken, app, steps)
    assert alone.told == rows.told
    assert alone.cards == rows.cards
    key = (APP, CARD)
    folded = fold(reversed(rows.told)).cards.get(key)
    stored = rows.cards.get(CardKey(*key))
    assert (stored.rules if stored else {}) == (read_standings(folded.rules) if folded else {})


@given(st.sampled_from(RULES), CLICKS)
def test_nobody_wins_who_should_not(rule: dict[str, Any], clicks: list[tuple[str, bool]]) -> None:
    """One winner a card or a person; of a quorum one, with as many different voters as it takes."""
    told = decided_by_two(take({0: records(_logged(clicks))}).taken, handlers(rule), []).told
    winners = [who for decided in told for who in decided.winners]
    voters = [who for decided in told for who in decided.voters]
    assert [decided for decided in told if decided.winners] == [one for one in told if one.result == "decided"]
    assert len(set(winners)) == len(winners)
    assert len(set(voters)) == len(voters)
    if rule.get("once") != "per_user":
        assert len(winners) <= 1
    if "quorum" in rule and winners:
        assert rule["quorum"] == len(voters)
