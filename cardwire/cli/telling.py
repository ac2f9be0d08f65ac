"""Tell people, or programs, what happened."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.table import Table

from cardwire.cli.story import Seen, Step, Story
from cardwire.cli.terminal import console

COLOURS = {"clicked": "bold", "received": "cyan", "answered": "green", "decided": "yellow", "updated": "bold green"}


class Telling:
    """Prints to standard output: tables and colours, or JSON lines."""

    def __init__(self, command: str, *, as_json: bool) -> None:
        self._command, self._as_json = command, as_json
        self._console = console()

    def timeline(self, steps: Sequence[Step]) -> None:
        """Print what happened, when."""
        if self._as_json:
            for step in steps:
                self.step(step)
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("ms", justify="right")
        table.add_column("what")
        table.add_column("")
        for step in steps:
            table.add_row(str(step.after_ms), f"[{COLOURS.get(step.what, 'red')}]{step.what}[/]", step.detail)
        self._console.print(table)

    def step(self, step: Step) -> None:
        """Print one thing that happened."""
        if self._as_json:
            self._json(asdict(step))
        else:
            colour = COLOURS.get(step.what, "red")
            self._console.print(f"{step.after_ms:>6} ms  [{colour}]{step.what:<9}[/]  {step.detail}", soft_wrap=True)

    def result(self, seen: Seen) -> None:
        """Print what people see now."""
        if self._as_json:
            self._json({"card": seen.card[1], "chat": seen.chat[1]})
            return
        self._console.print()
        for name, (before, now) in (("card", seen.card), ("chat", seen.chat)):
            self._console.print(f"{name}  {before} → [bold]{now}[/]")

    def missing(self, missing: Sequence[str]) -> None:
        """Say on standard error what should have happened and did not."""
        for line in missing:
            typer.echo(f"cardwire {self._command}: {line}", err=True)

    def how_to_click(self, control: str, gateway: str, story: Story) -> None:
        """Print how a person clicks the card, and where to look."""
        body = json.dumps(story.click_body("ou_ada"), ensure_ascii=False)
        if self._as_json:
            self._json(
                {"control": control, "gateway": gateway, "message_id": story.message_id, "chat_id": story.chat_id}
            )
            return
        self._console.print(f"gateway    {gateway}\nsimulator  {control}\n")
        self._console.print("A card with the button 跟进处理 is in the chat. Click it, as often as you like:\n")
        typer.echo(f"  curl -s {control}/_sim/click -d {shlex.quote(body)}\n")
        self._console.print("Then look at the card and at the chat:\n")
        typer.echo(f"  curl -s {control}/_sim/messages/{story.message_id}")
        typer.echo(f"  curl -s {control}/_sim/chats/{story.chat_id}\n")
        self._console.print("What happens is told here; Ctrl-C ends the demo.\n")

    def _json(self, value: object) -> None:
        typer.echo(json.dumps(value, ensure_ascii=False))
