"""Findings of time travel as people and programs read them."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import typer
from rich.text import Text

from cardwire.cli.terminal import console
from cardwire.cli.texts import plain, time_text
from worker.traveling.compare import Change
from worker.traveling.findings import Difference, Findings, HandlerFindings
from worker.traveling.travel import Traveled

CARDS_SHOWN: Final = 5
_MIB: Final = 1 << 20


def print_findings(traveled: Traveled, took_s: float) -> None:
    """Print what was found, handler by handler, the most differing one first."""
    out = console()
    findings = traveled.findings
    differing = {name: found for name, found in findings.by_handler.items() if found.differing or found.follows}
    for name, found in sorted(differing.items(), key=lambda each: (-each[1].differing, each[0])):
        for line in _handler(name, found):
            out.print(line, soft_wrap=True)
        out.print()
    for line in _summary(traveled, took_s):
        out.print(line, soft_wrap=True)


def print_json(traveled: Traveled, took_s: float) -> None:
    """Print what was found as JSON lines: each handler, then all together."""
    findings = traveled.findings
    for name, found in sorted(findings.by_handler.items()):
        fields = msgspec.to_builtins(found)
        del fields["examples"], fields["named"]
        _line({"what": "handler", "handler": name, **fields})
    fields = msgspec.to_builtins(findings)
    del fields["by_handler"]
    told = {"differing": findings.differing, "follows": findings.follows, **fields}
    _line({"what": "summary", **told, "seconds": round(took_s, 3), "peak_bytes": traveled.peak_bytes})


def _line(fields: dict[str, Any]) -> None:
    typer.echo(json.dumps(fields, ensure_ascii=False))


def _handler(name: str, found: HandlerFindings) -> Iterator[Text]:
    counts = f"{found.inputs:,} inputs, {found.differing:,} decided otherwise on {found.cards:,} cards"
    more = f"; {found.follows:,} more follow from them" if found.follows else ""
    yield Text.assemble((plain(name), "bold red"), f"  {counts}{more}")
    if found.nondeterministic:
        told = f"  nondeterministic: {found.nondeterministic:,} of these it decides otherwise each time it is asked"
        yield Text(told, style="yellow")
    if found.same_code:
        yield Text(
            f"  same code: {found.same_code:,} of these, so what it calls has changed, or it depends on something "
            "outside the click (time, environment)",
            style="yellow",
        )
    for kind, count in sorted(found.kinds.items(), key=lambda each: -each[1]):
        yield Text(f"  {kind:<8} {count:,}")
    if found.named:
        rest = found.cards - min(len(found.named), CARDS_SHOWN)
        shown = ", ".join(plain(card) for card in found.named[:CARDS_SHOWN])
        yield Text(f"  cards    {shown}{f' and {rest:,} more (--json names all)' if rest else ''}")
    for example in found.examples:
        yield from _example(example)


def _example(one: Difference) -> Iterator[Text]:
    about = f" on {plain(one.message_id)}" if one.message_id else ""
    again = f" (redrive {one.redrive})" if one.redrive else ""
    head = f"  {time_text(one.occurred_at)}  {plain(one.event_id)}{about}{again}"
    why = "" if one.why == "decided_otherwise" else f"  {one.why.replace('_', ' ')}"
    yield Text.assemble(head, (why, "yellow"))
    for change in one.changes:
        yield _change(change)


def _change(change: Change) -> Text:
    what = f" {plain(change.what)}" if change.what else ""
    if not change.was and not change.now:
        return Text(f"    {change.kind:<8}{what}")
    return Text.assemble(
        f"    {change.kind:<8}{what}: ", (plain(change.was), "red"), " → ", (plain(change.now), "green")
    )


def _summary(traveled: Traveled, took_s: float) -> Iterator[Text]:
    findings = traveled.findings
    if findings.differing or findings.follows:
        follow = f", and {findings.follows:,} follow" if findings.follows else ""
        told = f"{findings.differing:,} of {findings.compared:,} inputs are decided otherwise{follow}"
        yield Text.assemble(("different: ", "bold red"), told)
    elif not findings.compared:
        told = "the log has no decisions in this period that handlers made"
        yield Text.assemble(("nothing was compared: ", "bold red"), told)
    else:
        yield Text.assemble(("no difference: ", "bold green"), f"{findings.compared:,} inputs are decided as recorded")
    for line in _left_out(findings):
        yield Text(f"  {line}")
    yield Text(
        f"  {findings.cards:,} cards, {took_s:.1f} s, {traveled.peak_bytes / _MIB:,.0f} MiB of memory at most",
        style="dim",
    )


def _left_out(findings: Findings) -> Iterator[str]:
    for cause, count in sorted(findings.as_recorded.items()):
        yield f"{count:,} stay as recorded ({plain(cause)}): no handler decided them"
    counts = {
        "outside of the period": findings.before,
        "have no decision in the log: not decided yet, second deliveries, or lost": findings.undecided,
        "were delivered twice": findings.duplicates,
        "cannot be read": findings.unread,
        "decisions have lost their input to retention, and are taken over": findings.inputless,
        "cards' decisions are taken over because earlier ones are not in the log": findings.begun_later,
    }
    yield from (f"{count:,} {told}" for told, count in counts.items() if count)
