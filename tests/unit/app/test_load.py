import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.app.load import load_app, load_apps, of_each
from shared.core.errors import ConfigError
from shared.core.ids import AppId

GOOD = "from cardwire import App\napp = App()\n@app.on_action('a')\ndef handle(click, card): ...\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty folder, and forget afterwards what was imported from it."""
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def _refused(address: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load_app(address)
    return str(refused.value)


def test_an_app_is_found_in_the_current_folder(here: Path) -> None:
    """The address is a module and a name in it."""
    (here / "my_handlers.py").write_text(GOOD)
    load_app("my_handlers:app").check()
    assert sys.path[-1] == str(here)


def test_an_app_in_a_package_is_found(here: Path) -> None:
    """Dots lead into packages."""
    (here / "team").mkdir()
    (here / "team" / "alerts.py").write_text(GOOD)
    load_app("team.alerts:app").check()


def test_the_current_folder_is_looked_in_last(here: Path) -> None:
    """A user's own json.py does not take the place of the library's."""
    (here / "wave.py").write_text(GOOD)
    assert "the module has no 'app'" in _refused("wave:app")


@pytest.mark.parametrize("address", ["", "handlers", "handlers:", ":app", "handlers.py:app", "a b:c", "./handlers:app"])
def test_an_address_of_another_shape(address: str) -> None:
    """The line says what was given, the expected shape and an example."""
    assert f"CARDWIRE_APP is {address!r}: expected module:attribute, as in CARDWIRE_APP=handlers:app" == _refused(
        address
    )


def test_a_module_that_is_not_there(here: Path) -> None:
    """The line says where it was looked for."""
    told = _refused("no_such_module:app")
    assert f"CARDWIRE_APP names the module 'no_such_module', which is neither installed nor in {here}" in told


@pytest.mark.parametrize(
    ("source", "place", "told"),
    [
        ("import no_such_library", 1, "ModuleNotFoundError: No module named 'no_such_library'"),
        ("\n1 / 0", 2, "ZeroDivisionError: division by zero"),
        ("def (:", 1, "SyntaxError: "),
        ("raise SystemExit(3)", 1, "SystemExit: 3"),
        (
            "from cardwire import App\napp = App()\napp.on_action('a', anwser=1)",
            3,
            "TypeError: App.on_action() got an unexpected keyword argument 'anwser'",
        ),
        (
            "from cardwire import Toast\nToast.info('x', en_uk='y')",
            2,
            "TypeError: Toast has no language 'en_uk': expected some of zh_cn, en_us, ",
        ),
        ("from cardwire import Toast\n\nToast.error(5)", 3, "TypeError: a text of a Toast is int 5: expected a text"),
    ],
)
def test_a_module_that_does_not_import(here: Path, source: str, place: int | None, told: str) -> None:
    """One line: the module, the file and line, and what Python said."""
    (here / "broken.py").write_text(source)
    line = _refused("broken:app")
    assert line.startswith("CARDWIRE_APP names the module 'broken', which does not import: ")
    assert told in line
    assert len(line.splitlines()) == 1
    if place is not None:
        assert f"broken.py:{place}: " in line


def test_a_handler_that_cannot_work(here: Path) -> None:
    """A refused decoration is told as it is, with its place."""
    (here / "asynchronous.py").write_text(
        "from cardwire import App\napp = App()\n@app.on_action('a')\nasync def handle(click, card): ...\n"
    )
    told = _refused("asynchronous:app")
    assert told.startswith(f"CARDWIRE_APP: {here / 'asynchronous.py'}:3: handle is async")


def test_handlers_that_contradict_each_other(here: Path) -> None:
    """Every contradiction is a line, and every line names the setting."""
    (here / "twice.py").write_text(GOOD + GOOD.splitlines()[2] + "\ndef other(click, card): ...\n")
    (told,) = _refused("twice:app").splitlines()
    assert told.startswith('CARDWIRE_APP=twice:app: handle and other are both registered with on_action("a")')


def test_a_name_that_is_not_there(here: Path) -> None:
    """A typo is answered with the name that was probably meant."""
    (here / "misspelt.py").write_text(GOOD)
    told = "CARDWIRE_APP is 'misspelt:ap': the module has no 'ap'; expected CARDWIRE_APP=misspelt:app"
    assert told == _refused("misspelt:ap")


def test_a_name_that_is_no_app(here: Path) -> None:
    """Anything else is not what the processes can work with."""
    (here / "empty_one.py").write_text("app = 7\n")
    told = _refused("empty_one:app")
    assert "empty_one.app is of type int, not an App, nor any App: expected app = App() in it" in told


@dataclass(frozen=True, kw_only=True)
class Told:
    """An app, as a process is told of it."""

    name: str | None
    app_id: AppId
    handlers: str


def test_apps_with_the_same_handlers_have_the_same_app(here: Path) -> None:
    """It is imported, and its threads are started, once; others have their own."""
    (here / "my_handlers.py").write_text(f"{GOOD}other = App()\n")
    told = [Told(name=n, app_id=AppId(f"cli_{n}"), handlers=f"my_handlers:{which}") for n, which in
            (("a", "app"), ("b", "app"), ("c", "other"))]  # fmt: skip
    a, b, c = load_apps(told).values()
    assert a is b
    assert c is not a
    assert {app.app_id: a for app in told} == of_each(a, told)
    assert [AppId("cli_a")] == list(of_each({AppId("cli_a"): a, AppId("cli_x"): c}, told[:1]))


def test_the_handlers_of_each_app_are_looked_for_and_all_problems_are_told(here: Path) -> None:
    """In the words of the file; what several apps share is told once."""
    (here / "my_handlers.py").write_text(GOOD)
    named = {"a": "nowhere:app", "b": "my_handlers:app", "c": "nowhere:app", "d": "my_handlers:ap"}
    told = [Told(name=name, app_id=AppId(f"cli_{name}"), handlers=handlers) for name, handlers in named.items()]
    with pytest.raises(ConfigError) as refused:
        load_apps(told)
    first, second = str(refused.value).splitlines()
    assert first.startswith("CARDWIRE_APPS: app a: handlers names the module 'nowhere', which is neither installed")
    assert second.startswith("CARDWIRE_APPS: app d: handlers is 'my_handlers:ap': ")
    assert second.endswith('expected handlers = "my_handlers:app"')


def test_the_only_apps_problems_are_told_as_the_settings(here: Path) -> None:
    """It stands in no file."""
    with pytest.raises(ConfigError, match=r"^CARDWIRE_APP names the module 'nowhere'"):
        load_apps([Told(name=None, app_id=AppId("cli_a"), handlers="nowhere:app")])
