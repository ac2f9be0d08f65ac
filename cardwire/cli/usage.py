"""What is told of a command line that cannot be understood: one line, as of every other mistake, without a frame."""

import sys
from typing import Any, Final

import typer

from cardwire.cli.refusals import SETTINGS, going_on_if_broken

EXAMPLES: Final = {"--code": 230002, "--last": 20, "--port": 7777, "--processes": 2}


def understood(cli: typer.Typer) -> int:
    """Run the command line and return its exit code; what cannot be understood is told in a line."""
    try:
        ended = cli(standalone_mode=False, prog_name="cardwire")
    except typer.Abort:
        return 1
    except Exception as error:
        if not hasattr(error, "format_message"):  # The framework's own, which it does not export.
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.ctx.get_help())  # type: ignore[attr-defined]
            return SETTINGS
        with going_on_if_broken(sys.stderr):
            sys.stderr.write(f"cardwire: {_line(error)}\n")
        return SETTINGS
    return ended if isinstance(ended, int) else 0


def _line(error: Any) -> str:
    param, context = getattr(error, "param", None), getattr(error, "ctx", None)
    name = "" if param is None else _named(param)
    helps = f"{context.command_path if context is not None else 'cardwire'} --help"
    if type(error).__name__ == "MissingParameter":
        return f"{name} is missing: {helps} says what is expected"
    if param is not None and name in EXAMPLES:
        expected = error.message.partition(",")[0].removeprefix("Input should be ")
        return f"{name} is malformed: expected {expected}, for example {name} {EXAMPLES[name]}"
    told = " ".join(error.format_message().split()).rstrip(".")
    return f"{told}: {helps} shows what there is"


def _named(param: Any) -> str:
    """Return how people know a parameter: an option by its name, an argument by what it stands for."""
    options = [name for name in param.opts if name.startswith("-")]
    return str(options[0] if options else param.metavar or param.name.upper())
