"""The commands, their options and what each hands over to."""

import os
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated

import typer

from cardwire.cli.light import load_structlog
from cardwire.cli.offered import Offering

cli = typer.Typer(
    name="cardwire",
    help="Durable, event-sourced card interactions for Feishu and Lark.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics = typer.Typer(no_args_is_help=True, help="Make and compare the log's topics.")
db = typer.Typer(no_args_is_help=True, help="Look after the ledger's database.")
dlq = typer.Typer(no_args_is_help=True, help="Look at what failed and is kept, and have it tried again.")
log = typer.Typer(no_args_is_help=True, help="Watch the log, and move it from one back end to another.")
cli.add_typer(topics, name="topics")
cli.add_typer(log, name="log")
cli.add_typer(dlq, name="dlq")
cli.add_typer(db, name="db")

AppOption = Annotated[str | None, typer.Option("--app", metavar="MODULE:ATTR", help="Your handlers (CARDWIRE_APP).")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port for callbacks, 0: any free one (CARDWIRE_PORT).")]
ProcessesOption = Annotated[
    int | None, typer.Option("--processes", help="Gateways that share the port, on Linux (CARDWIRE_PROCESSES).")
]
ParentOption = Annotated[int | None, typer.Option(hidden=True)]
GroupOption = Annotated[int | None, typer.Option(hidden=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")]


def _show_version(asked: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    if asked:
        typer.echo(f"cardwire {version('cardwire')}")
        raise typer.Exit


@cli.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Durable, event-sourced card interactions for Feishu and Lark."""


@cli.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Click once, print what happened, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Click a card and watch it change: gateway, worker and simulator on this machine, no account needed."""
    from cardwire.cli.demo import run_demo

    raise SystemExit(run_demo(is_once=once, as_json=as_json))


@cli.command()
def run(app: AppOption = None, port: PortOption = None) -> None:
    """Run gateway and worker on this machine, on SQLite files, as two processes that are kept running."""
    from cardwire.cli.run import run_both

    run_both(_process(app, port))


@cli.command(cls=Offering)
def gateway(
    app: AppOption = None,
    port: PortOption = None,
    processes: ProcessesOption = None,
    parent: ParentOption = None,
    group: GroupOption = None,
) -> None:
    """Receive callbacks, record them, answer them."""
    load_structlog()
    from cardwire.cli.processes import run_gateway

    given = {"CARDWIRE_APP": app, "CARDWIRE_PORT": _text(port), "CARDWIRE_PROCESSES": _text(processes)}
    run_gateway(environment(given, parent=parent), parent=parent, group=group)


@cli.command(cls=Offering)
def worker(app: AppOption = None, parent: ParentOption = None) -> None:
    """Decide what was recorded, and update cards and chats."""
    load_structlog()
    from cardwire.cli.processes import run_worker

    run_worker(_process(app, None, parent), parent=parent)


@cli.command()
def simulator(
    port: Annotated[
        int | None, typer.Option(help="Port of the OpenAPI and of /_sim/, 0: any free one (CARDWIRE_SIMULATOR_PORT).")
    ] = None,
    callback: Annotated[
        str | None, typer.Option(metavar="URL", help="Where callbacks go (CARDWIRE_SIMULATOR_CALLBACK).")
    ] = None,
    control_host: Annotated[
        str | None, typer.Option(help="Address on which /_sim/ answers (CARDWIRE_SIMULATOR_CONTROL_HOST).")
    ] = None,
) -> None:
    """Be the platform: chats, cards, clicks and rules, without an account."""
    from cardwire.cli.processes import run_simulator

    given = {
        "CARDWIRE_SIMULATOR_PORT": _text(port),
        "CARDWIRE_SIMULATOR_CALLBACK": callback,
        "CARDWIRE_SIMULATOR_CONTROL_HOST": control_host,
    }
    run_simulator(environment(given))


@cli.command()
def click(*, as_json: JsonOption = False) -> None:
    """Press the demo's button in a running deployment with a simulator, and print what became of it."""
    from cardwire.cli.click import run_click

    raise SystemExit(run_click(environment({}), as_json=as_json))


@cli.command()
def send(
    card: Annotated[str, typer.Argument(metavar="CARD", help="File with the card's JSON, or - for standard input.")],
    to: Annotated[str, typer.Option(help="A chat (oc_…), a person (ou_…, on_…, a user id) or an e-mail address.")],
    name: Annotated[str | None, typer.Option(help="Which of several apps sends it.")] = None,
    tenant: Annotated[str | None, typer.Option(help="In which organisation, by its key: for a store app.")] = None,
    request_id: Annotated[str | None, typer.Option(help="Sent again with the same id, it is sent once.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Send a card: recorded in the log, performed by the worker. Prints the id of its outcomes."""
    from cardwire.cli.send import send as send_card

    send_card(environment({}), card, to=to, name=name, tenant=tenant, request_id=request_id, as_json=as_json)


@cli.command()
def card(
    message_id: Annotated[
        str | None, typer.Argument(metavar="[MESSAGE_ID]", help="The card's open_message_id (om_…).")
    ] = None,
    app: Annotated[str | None, typer.Option("--app", metavar="APP_ID", help="Only this app's story of it.")] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, help="The newest N clicks.")] = 100,
    request_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The card of this request, or of the callback with this id.")
    ] = None,
    *,
    from_log: Annotated[bool, typer.Option("--from-log", help="As far as the log tells, without the ledger.")] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="From the log, also how its versions differ.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell a card's story: clicks, effects, what waits and for what; from the ledger, else the log. Changes nothing."""
    from cardwire.cli.card import run_card
    from cardwire.cli.card_sources import Asked

    asked = Asked(
        message_id=message_id, request_id=request_id, app_id=app, last=last, from_log=from_log, show_values=show_values
    )
    run_card(environment({}), asked, as_json=as_json)


@cli.command()
def pending(*, as_json: JsonOption = False) -> None:
    """List effects that have waited for more than a minute: since when, why, and when they are tried next."""
    from cardwire.cli.pending import run_pending

    run_pending(environment({}), as_json=as_json)


@cli.command()
def verify(*, as_json: JsonOption = False) -> None:
    """Prove from the log that the promises were kept, or name the events by which they were not. Exit code 1 then."""
    from cardwire.cli.verify import run_verify

    raise SystemExit(run_verify(environment({}), as_json=as_json))


@cli.command()
def diff(
    app: AppOption = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="What occurred from then on: a time, or 7d ago.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="What occurred before then.")] = None,
    examples: Annotated[int, typer.Option(metavar="N", min=0, help="Show N differences of each handler.")] = 3,
    *,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Also what cards and states hold: what people typed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Decide the recorded interactions again, by other handlers or today's: exit 1 if they decide otherwise."""
    from cardwire.cli.diff import run_diff

    env = environment({"CARDWIRE_APP": app})
    raise SystemExit(run_diff(env, begin=begin, end=end, examples=examples, show_values=show_values, as_json=as_json))


ValuesOption = Annotated[
    bool, typer.Option("--show-values", help="Also what people typed, and how cards changed; never a token.")
]


@cli.command()
def replay(
    *,
    since: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="What came in from then on: a time, or how long ago.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="What came in before then.")] = None,
    card: Annotated[str | None, typer.Option(metavar="MESSAGE_ID", help="About this card.")] = None,
    chat: Annotated[str | None, typer.Option(metavar="CHAT_ID", help="From this chat, or sent or done there.")] = None,
    operator: Annotated[
        str | None, typer.Option(metavar="ID", help="By this person: an open, user or union id.")
    ] = None,
    event: Annotated[str | None, typer.Option(metavar="EVENT_ID", help="This event, and what came of it.")] = None,
    request_id: Annotated[str | None, typer.Option(metavar="ID", help="With this request id.")] = None,
    app: Annotated[str | None, typer.Option("--app", metavar="APP_ID", help="Of this app.")] = None,
    form: Annotated[str, typer.Option("--as", metavar="timeline|table", help="How it is told.")] = "timeline",
    show_values: ValuesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell from the log what came in, what was decided about it and what became of that. Changes nothing."""
    from cardwire.cli.replay import run_replay, wish_of

    wish = wish_of(
        since=since, until=until, card=card, chat=chat, operator=operator, event=event, request_id=request_id, app=app
    )
    run_replay(environment({}), wish, form=form, show_values=show_values, as_json=as_json)


@cli.command()
def rebuild(*, as_json: JsonOption = False) -> None:
    """Fill an empty ledger from the log alone, sending nothing; run again, it goes on where it ended."""
    from cardwire.cli.rebuild import run_rebuild

    run_rebuild(environment({}), as_json=as_json)


SinceOption = Annotated[str | None, typer.Option(help="Not older: a time, or how long ago (2h, 3d).")]
UntilOption = Annotated[str | None, typer.Option(help="Older: a time, or how long ago.")]
CardOption = Annotated[str | None, typer.Option(metavar="MESSAGE_ID", help="About this card.")]
OfAppOption = Annotated[str | None, typer.Option("--app", metavar="APP_ID", help="Of this app.")]
CodeOption = Annotated[int | None, typer.Option(help="The platform's code of the last answer.")]
KindOption = Annotated[str | None, typer.Option(help="handler, effect or undecodable.")]
HandlerOption = Annotated[str | None, typer.Option(help="Of this handler.")]
BodyOption = Annotated[bool, typer.Option("--body", help="Also what it holds: what people typed, tokens masked.")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them, where nothing else says which.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say which.")]


@dlq.command("list")
def dlq_list(
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    card: CardOption = None,
    app: OfAppOption = None,
    code: CodeOption = None,
    kind: KindOption = None,
    handler: HandlerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters: inputs whose handler failed, effects that were given up, records that nobody can read."""
    from cardwire.cli.dlq import list_letters
    from cardwire.cli.letters import wish

    meant = wish((), since=since, until=until, card=card, app=app, code=code, kind=kind, handler=handler)
    list_letters(environment({}), meant, as_json=as_json)


@dlq.command("show")
def dlq_show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="As `cardwire dlq list` shows it.")],
    *,
    body: BodyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter."""
    from cardwire.cli.dlq import show_letter

    show_letter(environment({}), letter, with_body=body, as_json=as_json)


@dlq.command("redrive")
def dlq_redrive(
    letters: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Only these.")] = None,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    card: CardOption = None,
    app: OfAppOption = None,
    code: CodeOption = None,
    kind: KindOption = None,
    handler: HandlerOption = None,
    everything: AllOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Have dead letters tried again, oldest first: handlers decide them once more, effects are performed once more."""
    from cardwire.cli.dlq import redrive
    from cardwire.cli.letters import wish

    meant = wish(letters or (), since=since, until=until, card=card, app=app, code=code, kind=kind, handler=handler)
    redrive(environment({}), meant, everything=everything, dry_run=dry_run, as_json=as_json)


@log.command("tail")
def log_tail(
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WHERE", help="beginning, a time, how long ago (2h), or TOPIC/PARTITION/OFFSET."
        ),
    ] = None,
    card: CardOption = None,
    app: OfAppOption = None,
    kind: Annotated[str | None, typer.Option("--type", help="Of this type, or of those that begin so.")] = None,
    *,
    show_values: Annotated[bool, typer.Option("--show-values", help="With --json: also what people typed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the log's records as they are appended, until told to stop. Tokens are never shown."""
    from cardwire.cli.tail import Wanted, tail

    wanted = Wanted.of(since=since, card=card, app=app, kind=kind)
    tail(environment({}), wanted, show_values=show_values, as_json=as_json)


FolderArgument = Annotated[str, typer.Argument(metavar="FOLDER", help="Of the files; made for its owner alone.")]


@log.command("export")
def log_export(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Bring what the log holds into files: all of it, tokens too. Goes on where the folder ends."""
    from cardwire.cli.log import export

    export(environment({}), folder, as_json=as_json)


@log.command("import")
def log_import(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Bring exported files into an empty log, with keys, order and ids, and compare both. Goes on where it ended."""
    from cardwire.cli.log import bring

    bring(environment({}), folder, as_json=as_json)


@topics.command("create")
def topics_create(*, as_json: JsonOption = False) -> None:
    """Create the topics that do not exist; leave the others as they are."""
    from cardwire.cli.topics import create

    create(environment({}), as_json=as_json)


@topics.command("check")
def topics_check(*, as_json: JsonOption = False) -> None:
    """Compare the topics with what Cardwire needs; exit 1 if they differ."""
    from cardwire.cli.topics import check

    if not check(environment({}), as_json=as_json):
        raise SystemExit(1)


@db.command("upgrade")
def db_upgrade(*, as_json: JsonOption = False) -> None:
    """Bring the ledger's schema up to date; safe to run by several machines at once."""
    from cardwire.cli.database import upgrade

    upgrade(environment({}), as_json=as_json)


@db.command("prune")
def db_prune(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what is old in ledger and SQLite log, as a worker does every hour; beside workers or without them."""
    from cardwire.cli.database import prune

    prune(environment({}), dry_run=dry_run, as_json=as_json)


def environment(given: Mapping[str, str | None], *, parent: int | None = None) -> Mapping[str, str]:
    """
    Return the environment as the options change it: what is given on the command line counts.

    Args:
        parent: The process that handed its environment over, and has given every warning about it.
    """
    if parent is None:
        from cardwire.cli.misspelt import warn_of_misspelt

        warn_of_misspelt(os.environ)
    else:
        from shared.settings import ConfigWarning

        warnings.simplefilter("ignore", ConfigWarning)
    return {**os.environ, **{name: text for name, text in given.items() if text is not None}}


def _process(app: str | None, port: int | None = None, parent: int | None = None) -> Mapping[str, str]:
    return environment({"CARDWIRE_APP": app, "CARDWIRE_PORT": _text(port)}, parent=parent)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
