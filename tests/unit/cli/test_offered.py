"""What is said of an option that does not exist."""

import pytest
import typer
from typer.testing import CliRunner

from cardwire.cli.commands import cli

HIDDEN = ("--parent", "--group")


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (["gateway", "--prot", "7777"], ["--port"]),
        (["gateway", "--grup", "3"], []),
        (["gateway", "--processs", "2"], ["--processes"]),
        (["worker", "--paren", "1"], []),
        (["worker", "--ap", "h:app"], ["--app"]),
        (["dlq", "list", "--sinc", "2h"], ["--since"]),
    ],
)
def test_only_options_that_people_use_are_offered(asked: list[str], offered: list[str]) -> None:
    """Not those by which one process of ours knows another."""
    told = CliRunner().invoke(cli, asked)
    assert 2 == told.exit_code
    assert "No such option" in told.stderr
    assert [True] * len(offered) == [name in told.stderr for name in offered]
    assert [False] * len(HIDDEN) == [name in told.stderr.replace(asked[-2], "") for name in HIDDEN]


def test_every_command_with_hidden_options_holds_them_back() -> None:
    """A command that gets one needs the class that does so."""
    commands = typer.main.get_group(cli).commands
    hiding = {name for name, one in commands.items() if any(getattr(each, "hidden", False) for each in one.params)}
    assert ({"gateway", "worker"}, {"Offering"}) == (hiding, {type(commands[name]).__name__ for name in hiding})
