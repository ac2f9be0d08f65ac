"""
`cardwire card`: one card's story, from the ledger, or as far as the log tells it.

Nothing is changed, and nothing of its content is shown unless ``--show-values`` asks for it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import typer
from rich.text import Text

from cardwire.cli.card_sources import Asked, Known, look_up
from cardwire.cli.moments import Moment, What, card_facts, moments
from cardwire.cli.recorded import change_facts, change_in_words
from cardwire.cli.refusals import only_our_lines
from cardwire.cli.terminal import console
from cardwire.cli.texts import plain, time_text
from shared.core.json_text import EpochMs
from shared.core.races import Standing

_COLOURS: Final[Mapping[What, str]] = {
    "sent": "bold",
    "clicked": "cyan",
    "requested": "cyan",
    "returned": "cyan",
    "reminded": "cyan",
    "version": "bold",
    "effect": "green",
    "waiting": "yellow",
    "undecided": "yellow",
    "dead_letter": "red",
}


def run_card(env: Mapping[str, str], asked: Asked, *, as_json: bool) -> None:
    """Print a card's story: of each app that knows it, or of one; raises as `look_up`."""
    only_our_lines()
    for known in look_up(env, asked):
        _print_json(known) if as_json else _print(known)


def _print_json(known: Known) -> None:
    history = known.history
    card = {"what": "card", "source": known.source, "now": history.now, **card_facts(history)}
    typer.echo(json.dumps(card, ensure_ascii=False))
    for one in moments(history, known.others):
        told: dict[str, object] = {"what": one.what, "at": one.at, "event_id": one.event_id, **one.facts}
        if one.changes:
            told["changes"] = [dict(change_facts(change)) for change in one.changes]
        typer.echo(json.dumps(told, ensure_ascii=False))


def _print(known: Known) -> None:
    out = console()
    out.print(_headline(known), soft_wrap=True)
    out.print(f"told from the {known.source}", style="dim", soft_wrap=True)
    for one in moments(known.history, known.others):
        line = Text.assemble(f"{_time(one.at):<24}  ", (f"{one.what:<11}", _COLOURS[one.what]), "  ", _text(one))
        out.print(line, soft_wrap=True)
        for change in one.changes:
            out.print(Text(f"{'':<39}{plain(change_in_words(change))}"), soft_wrap=True)


def _headline(known: Known) -> Text:
    history = known.history
    head = Text.assemble((plain(history.message_id), "bold"), f" of {plain(history.app_id)}, version {history.version}")
    head.append("".join(f"\n{line}" for line in _validity(known)))
    if history.successor is not None:
        head.append(f"\nhad expired, and was followed by {plain(history.successor)}")
    for api, until in history.silent_until.items():
        head.append(f"\nthe platform wants no call of {api} until {_time(until)}", style="yellow")
    if behind := next((letter.event_id for letter in history.letters if letter.parks), None):
        how = f"cardwire dlq redrive --card {history.message_id}"
        head.append(f"\nstands still until {plain(behind)} is decided: {plain(how)}", style="red")
    head.append("".join(f"\n{plain(_race(*each))}" for each in history.races.items()))
    if history.tokens:
        left, until = sum(token.uses_left for token in history.tokens), max(token.until for token in history.tokens)
        head.append(f"\nuses left of its clicks' tokens: {left}, the last until {_time(until)}")
    for one in history.suspended:
        head.append(f"\nthe handler {plain(one.handler)} is suspended until {_time(one.until)}", style="red")
    if history.older:
        head.append(f"\n{history.older} older clicks are not shown: --last {len(history.inputs) + history.older}")
    return head


def _validity(known: Known) -> Iterator[str]:
    """Yield until when the card is valid, or why nobody can tell."""
    facts = card_facts(known.history)
    if known.history.sent_at is None:
        yield f"nothing in the {known.source} says that Cardwire sent it, so its age is not known"
        return
    for word, name in (("clicked", "clickable_until"), ("updated", "updatable_until")):
        until = facts[name]
        if isinstance(until, int):
            yield f"can be {word} until {_time(until)}"
        else:
            yield f"until when it can be {word} is not known: nothing in the {known.source} says how it was written"


def _race(handler: str, race: Standing) -> str:
    won = f"won by {', '.join(race.winners)}" if race.winners else "not won yet"
    counted = f", counted: {', '.join(race.voters)}" if race.voters else ""
    return f"the race of {handler}: {won}{counted}"


def _text(one: Moment) -> Text:
    text = Text(plain(one.text))
    if one.event_id is not None:
        text.append(f"  {plain(one.event_id)}", style="dim")
    return text


def _time(at: EpochMs | None) -> str:
    return "" if at is None else time_text(at)
