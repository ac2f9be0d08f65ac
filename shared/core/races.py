"""
Race rules: whose click counts, where several people may click the same thing.

A rule is declared with a handler and judged by log order, inside the decision: the first click in the log wins, and
every worker, and whoever reads the log again, comes to the same. The count belongs to one handler and one message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from shared.core.ids import OpenId
from shared.core.json_text import JsonText

LostReason = Literal["once_per_card", "once_per_user", "quorum_reached"]
"""Why a click came too late for its handler."""


@dataclass(frozen=True, slots=True)
class OncePerCard:
    """The first click on a message is decided; all others lose."""


@dataclass(frozen=True, slots=True)
class OncePerUser:
    """The first click of each person on a message is decided; that person's others lose."""


@dataclass(frozen=True, slots=True)
class Quorum:
    """The click of the ``of``-th different person on a message is decided; those before it count, later ones lose."""

    of: int


Rule = OncePerCard | OncePerUser | Quorum


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How a race stands.

    Attributes:
        winners: Whose clicks were decided, in log order.
        voters: Who was counted towards a quorum, in log order; with it reached, the last one is the winner.
    """

    winners: tuple[OpenId, ...] = ()
    voters: tuple[OpenId, ...] = ()

    def plus(self, added: "Standing") -> "Standing":
        """Return how it stands when these have joined."""
        return Standing(winners=self.winners + added.winners, voters=self.voters + added.voters)


NOBODY_YET: Final = Standing()

Standings = Mapping[str, Standing]
"""The races on one card, by their handler's name."""


@dataclass(frozen=True, slots=True)
class Won:
    """The click is decided by its handler, if that does not fail; `added` joins the standing then."""

    added: Standing


@dataclass(frozen=True, slots=True)
class Counted:
    """The click is no winner, and nothing is lost yet; `added` joins the standing: nobody, if counted before."""

    added: Standing


@dataclass(frozen=True, slots=True)
class Lost:
    """The click comes too late."""

    reason: LostReason


Place = Won | Counted | Lost


def enter(rule: Rule, standing: Standing, who: OpenId) -> Place:
    """Return what a click of this person comes to, given the clicks before it in the log."""
    match rule:
        case OncePerCard():
            return Lost("once_per_card") if standing.winners else Won(Standing(winners=(who,)))
        case OncePerUser():
            return Lost("once_per_user") if who in standing.winners else Won(Standing(winners=(who,)))
        case Quorum() if standing.winners:
            return Lost("quorum_reached")
        case Quorum() if who in standing.voters:
            return Counted(NOBODY_YET)
        case Quorum(of=of) if len(standing.voters) + 1 >= of:
            return Won(Standing(winners=(who,), voters=(who,)))
        case Quorum():
            return Counted(Standing(voters=(who,)))


def joined(standings: Standings, handler: str, added: Standing) -> Standings:
    """Return a card's races with those who joined one of them."""
    if added == NOBODY_YET:
        return standings
    return {**standings, handler: standings.get(handler, NOBODY_YET).plus(added)}


def standings_text(standings: Standings) -> JsonText | None:
    """Return a card's races as JSON text, the same for the same; ``None`` where there is none."""
    return JsonText(_ENCODER.encode(dict(standings)).decode()) if standings else None


def read_standings(text: JsonText | None) -> Standings:
    """Return a card's races as `standings_text` wrote them."""
    return _DECODER.decode(text) if text else {}


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(dict[str, Standing])
