"""A command line that cannot be understood is told of in one line, as any other mistake is."""

import pytest

from cardwire.cli.commands import cli
from cardwire.cli.usage import understood

INTEGER = "expected a valid integer"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("dlq list --code x", f"--code is malformed: {INTEGER}, for example --code 230002"),
        ("dlq redrive --code 1.5", f"--code is malformed: {INTEGER}, for example --code 230002"),
        ("card --last 0 om_1", "--last is malformed: expected greater than or equal to 1, for example --last 20"),
        ("gateway --port http", f"--port is malformed: {INTEGER}, for example --port 7777"),
        ("gateway --processes two", f"--processes is malformed: {INTEGER}, for example --processes 2"),
        ("dlq show", "ID is missing: cardwire dlq show --help says what is expected"),
        ("dlq list --code", "Option '--code' requires an argument: cardwire --help shows what there is"),
        ("dlq zzz", "No such command 'zzz': cardwire dlq --help shows what there is"),
    ],
)
def test_a_wrong_option_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: str, told: str
) -> None:
    """It names the option, what is expected and an example, and no frame is drawn around it."""
    monkeypatch.setattr("sys.argv", ["cardwire", *asked.split()])
    assert 2 == understood(cli)
    assert ("", f"cardwire: {told}\n") == capsys.readouterr()


@pytest.mark.parametrize(("asked", "code"), [("--version", 0), ("dlq", 2), ("dlq list --help", 0)])
def test_what_is_no_mistake_ends_as_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: str, code: int
) -> None:
    """Help and version are printed, not complained of."""
    monkeypatch.setattr("sys.argv", ["cardwire", *asked.split()])
    assert code == understood(cli)
    printed = capsys.readouterr()
    assert ("", True) == (printed.err, "cardwire" in printed.out)
