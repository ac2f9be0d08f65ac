"""The file of callers: what it may say, and the lines about what it may not."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import ConfigError
from shared.core.ids import AppId
from shared.settings.callers_file import read_callers
from tests.support.asking import TOKEN, table, write_callers


def lines(path: Path, text: str, *, with_tokens: bool = True) -> list[str]:
    """Return the lines about a file, less the path."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_callers(str(path), with_tokens=with_tokens)
    return str(caught.value).replace(str(path), "…").splitlines()


def one(**fields: Any) -> str:
    """Return a file with one caller whose table differs in these fields."""
    given = {**table(), **fields}
    return "[callers.billing]\n" + "".join(
        f"{name} = {json.dumps(text)}\n" for name, text in given.items() if text is not None
    )


def test_a_file_names_callers_with_their_apps_effects_and_tokens(tmp_path: Path) -> None:
    """Tokens as SHA-256, or in a file with one on each line."""
    (tmp_path / "tokens").write_text("the-first-of-its-tokens\nthe-second-of-its-tokens\n")
    mounted = {"apps": ["cli_b"], "effects": ["SendText"], "token_file": str(tmp_path / "tokens")}
    found = read_callers(
        str(write_callers(tmp_path / "callers.toml", {"billing": table(), "cron": mounted})), with_tokens=True
    )
    billing, cron = found.by_name["billing"], found.by_name["cron"]
    assert [billing, cron, cron] == [
        found.who(token) for token in (TOKEN, "the-first-of-its-tokens", "the-second-of-its-tokens")
    ]
    assert ([AppId("cli_b")], ["SendText"]) == (list(cron.apps), list(cron.effects))


def test_a_worker_needs_no_tokens(tmp_path: Path) -> None:
    """The files of them are not even there."""
    mounted = {"apps": ["cli_b"], "effects": ["SendText"], "token_file": "/nowhere"}
    path = write_callers(tmp_path / "callers.toml", {"cron": mounted})
    assert ["cron"] == list(read_callers(str(path), with_tokens=False).by_name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (one(apps=None), "caller billing: apps is missing: expected a list of ids of apps, for example apps = …"),
        (one(apps=[]), "caller billing: apps is malformed: expected a list of ids of apps, for example apps = …"),
        (one(apps="cli_a"), "caller billing: apps is malformed: expected a list of ids of apps, for example apps = …"),
        (one(effects=["Call"]), "caller billing: effects is malformed: expected a list of some of …"),
        (one(effects=["SendCardx"]), "caller billing: effects is malformed: expected a list of some of …"),
        (one(token_sha256=None), "caller billing: token_file is missing: expected a file with its token, or …"),
        (
            one(token_sha256=["planted"]),
            "caller billing: token_sha256 is malformed: expected 64 lower-case hex …",
        ),
        (one(token_sha256=[]), "caller billing: token_sha256 is malformed: expected 64 lower-case hex …"),
        (
            one(token_file="/nowhere"),
            "caller billing: token_file cannot be used (/nowhere: No such file or directory): expected …",
        ),
        (
            one(token_file="planted"),
            "caller billing: token_file cannot be used (No such file or directory): expected a …",
        ),
        (
            one(token_file=3),
            "caller billing: token_file cannot be used (it is no text): expected a readable file with …",
        ),
        (one(token="planted"), "caller billing: token is no field: expected some of apps, effects, token_sha256, …"),
        ("[callers.worker]\n", "caller worker is Cardwire itself: expected another name, for example …"),
        ('[callers."a b"]\n', "the name of a caller is malformed: expected a table whose name has …"),
        ("callers.billing = 3\n", "caller billing is malformed: expected a table whose name has …"),
    ],
)
def test_what_is_wrong_with_a_caller_is_told_by_its_name(tmp_path: Path, text: str, line: str) -> None:
    """The field, what was expected, an example; never what was given."""
    told = lines(tmp_path / "callers.toml", text)
    pattern = re.escape(f"CARDWIRE_CALLERS: {line}").replace("…", ".*")
    assert [each for each in told if re.fullmatch(pattern, each)]
    assert "planted" not in "".join(told)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("planted = [\n]]", "it is no TOML at line 2, column 2"),
        ("", "it does not consist of tables of callers, as [callers.billing]"),
        ("[callers]\n", "it does not consist of tables of callers, as [callers.billing]"),
        ("[billing]\n", "it does not consist of tables of callers, as [callers.billing]"),
        ('[callers.billing]\n[apps.alerts]\napp_id = "x"\n', "it does not consist of tables of callers, as …"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    """With where it is wrong, and nothing of what stands there."""
    (line,) = lines(tmp_path / "callers.toml", text)
    expected = f"CARDWIRE_CALLERS names …, which cannot be used ({why}): expected a TOML file with a table for each "
    assert re.match(re.escape(expected).replace("…", ".*"), line)
    assert "planted" not in line


def test_a_short_token_is_not_taken(tmp_path: Path) -> None:
    """Somebody would guess it."""
    (tmp_path / "tokens").write_text("the-first-of-its-tokens\nshort\n")
    told = lines(tmp_path / "callers.toml", one(token_sha256=None, token_file=str(tmp_path / "tokens")))
    assert ["a token of at least 16 characters on each line" in line for line in told] == [True]


def test_two_callers_have_no_token_in_common(tmp_path: Path) -> None:
    """It would not tell who calls."""
    path = write_callers(tmp_path / "callers.toml", {"billing": table(), "cron": table()})
    with pytest.raises(ConfigError, match="callers billing and cron share a token: expected one for each"):
        read_callers(str(path), with_tokens=True)
