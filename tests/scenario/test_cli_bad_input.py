"""
What a person sees when something is wrong, before anything was started.

Every line stands in docs/reference/bad-input.md, and is looked up there.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from tests.support.apps import ALERTS, BILLING, write_apps
from tests.support.commands import environment, run, started
from tests.support.documents import is_documented

pytestmark = pytest.mark.slow


def _refused(command: str, folder: Path, env: Mapping[str, str], *, code: int) -> str:
    """Return the one line on standard error that a command ends with; nothing else may be told of our own secrets."""
    ran = run(*command.split(), env=env, cwd=folder)
    assert code == ran.returncode, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "secret-of-the-app" not in ran.stderr
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("cardwire: "))
    assert ran.stdout == ""
    assert is_documented(line.removeprefix("cardwire: "))
    return line.removeprefix("cardwire: ")


@pytest.mark.parametrize("command", ["gateway", "worker", "run"])
def test_a_missing_setting(command: str, tmp_path: Path) -> None:
    """The line names the setting, what is expected and an example."""
    line = _refused(command, tmp_path, environment(tmp_path, LARK_APP_ID=None), code=2)
    assert "LARK_APP_ID is missing: expected the app's id, for example LARK_APP_ID=cli_a1b2c3d4e5f6" == line


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Nobody has to start a process five times to find five mistakes."""
    env = environment(tmp_path, LARK_APP_ID=None, CARDWIRE_PORT="http", CARDWIRE_LOG=None)
    lines = run("gateway", env=env, cwd=tmp_path).stderr.splitlines()
    assert ["LARK_APP_ID", "CARDWIRE_LOG", "CARDWIRE_PORT"] == [line.split()[1] for line in lines]


@pytest.mark.parametrize(
    ("command", "name", "text"),
    [
        ("gateway", "CARDWIRE_PORT", "70000"),
        ("gateway", "CARDWIRE_LOG", "redis://x"),
        ("worker", "CARDWIRE_LEDGER", "mysql://user:pass-word@x/y"),
        ("topics check", "CARDWIRE_LOG", "redis://x"),
        ("db upgrade", "CARDWIRE_LEDGER", "mysql://user:pass-word@x/y"),
        ("simulator", "CARDWIRE_SIMULATOR_PORT", "-1"),
    ],
)
def test_a_malformed_setting(command: str, name: str, text: str, tmp_path: Path) -> None:
    """The line does not repeat what was given: it may be a secret in the wrong place."""
    line = _refused(command, tmp_path, environment(tmp_path, **{name: text}), code=2)
    assert line.startswith(f"{name} is malformed: expected ")
    assert f", for example {name}=" in line
    assert "pass-word" not in line


def _of_two_apps(folder: Path, **billing: str) -> Mapping[str, str]:
    """Return an environment with a file of two apps, of which one is changed as given."""
    apps = {"alerts": ALERTS, "billing": {**BILLING, **billing}}
    own = {"LARK_APP_ID", "LARK_APP_SECRET", "LARK_ENCRYPT_KEY", "LARK_VERIFICATION_TOKEN"}
    env = {name: text for name, text in environment(folder).items() if name not in own}
    return {**env, "CARDWIRE_APPS": str(write_apps(folder / "apps.toml", apps))}


@pytest.mark.parametrize("command", ["gateway", "worker", "run"])
def test_a_misspelt_field_of_one_of_several_apps(command: str, tmp_path: Path) -> None:
    """The line names app and field, and the field that was probably meant; not what it holds."""
    line = _refused(command, tmp_path, _of_two_apps(tmp_path, app_secrets="secret-of-the-app"), code=2)
    meant = 'app_secret = "s-from-the-console"'
    assert f"CARDWIRE_APPS: app billing: app_secrets is no field: did you mean {meant}?" == line


@pytest.mark.parametrize("command", ["gateway", "worker", "run"])
def test_handlers_of_one_of_several_apps_that_are_not_there(command: str, tmp_path: Path) -> None:
    """The line names the app, and the example is one for the file."""
    line = _refused(command, tmp_path, _of_two_apps(tmp_path, handlers="nowhere:app"), code=2)
    assert line.startswith("CARDWIRE_APPS: app billing: handlers names the module 'nowhere', which is neither")
    assert line.endswith('as in handlers = "handlers:app"')


@pytest.mark.parametrize("command", ["gateway", "worker", "run"])
def test_a_handlers_module_that_does_not_import(command: str, tmp_path: Path) -> None:
    """The line leads to the mistake: module, file, line, what Python said."""
    env = environment(tmp_path)
    (tmp_path / "my_handlers.py").write_text("import no_such_library\n")
    line = _refused(command, tmp_path, env, code=2)
    place = f"{tmp_path / 'my_handlers.py'}:1: ModuleNotFoundError: No module named 'no_such_library'"
    assert f"CARDWIRE_APP names the module 'my_handlers', which does not import: {place}" == line


@pytest.mark.parametrize("command", ["gateway", "worker", "run"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"toast": {"content": "好"}}', "answer= is of type dict: expected a Toast, CardAnswer or CustomAnswer"),
        ('CardAnswer("[]")', "answer= is CardAnswer with a card that is no JSON object: expected a card"),
    ],
)
def test_what_a_handler_answers_is_no_answer(command: str, answer: str, told: str, tmp_path: Path) -> None:
    """The line leads to the handler; otherwise every click would show an error code."""
    line = _refused(command, tmp_path, _answering(tmp_path, answer), code=2)
    assert line.startswith(f"CARDWIRE_APP: {tmp_path / 'my_handlers.py'}:5: clicked: {told}")


def test_what_a_handler_answers_is_too_large(tmp_path: Path) -> None:
    """The platform's limit is known before anybody clicks."""
    line = _refused("gateway", tmp_path, _answering(tmp_path, 'CardAnswer({"n": "x" * 40_000})'), code=2)
    assert line.startswith("CARDWIRE_APP: the answer of clicked has a card larger than the platform's 30 KB: ")


def _answering(folder: Path, answer: str) -> Mapping[str, str]:
    env = environment(folder)
    (folder / "my_handlers.py").write_text(
        "from cardwire import App, CardAnswer\n\napp = App()\n\n"
        f"@app.on_action(answer={answer})\ndef clicked(click, card): ...\n"
    )
    return env


def test_a_handlers_module_that_is_not_there(tmp_path: Path) -> None:
    """The option replaces the setting, and is refused by the same line."""
    line = _refused("worker --app nowhere:app", tmp_path, environment(tmp_path), code=2)
    assert line.startswith(f"CARDWIRE_APP names the module 'nowhere', which is neither installed nor in {tmp_path}: ")
    assert line.endswith("as in CARDWIRE_APP=handlers:app")


@pytest.mark.parametrize("command", ["worker", "topics check", "topics create"])
def test_brokers_that_cannot_be_reached_at_start(command: str, tmp_path: Path) -> None:
    """A worker does not start without its log; the gateway does, and waits for it."""
    line = _refused(command, tmp_path, environment(tmp_path, CARDWIRE_LOG="kafka://127.0.0.1:1"), code=1)
    assert line.startswith("CARDWIRE_LOG: Kafka at 127.0.0.1:1 cannot be re")
    assert line.endswith("for example CARDWIRE_LOG=kafka://kafka-1:9092,kafka-2:9092")


@pytest.mark.parametrize("command", ["worker", "db upgrade"])
def test_a_database_that_cannot_be_reached_at_start(command: str, tmp_path: Path) -> None:
    """The line names the setting and not the password in it."""
    env = environment(tmp_path, CARDWIRE_LEDGER="postgresql://ada:secret-of-the-app@127.0.0.1:1/cardwire")
    line = _refused(command, tmp_path, env, code=1)
    assert line.startswith("CARDWIRE_LEDGER: the ledger at ")
    assert line.endswith("for example CARDWIRE_LEDGER=postgresql://cardwire:password@db:5432/cardwire")


@pytest.mark.postgres
class TestASchemaThatDoesNotFit:
    """On PostgreSQL nothing is made or changed without being asked."""

    def test_a_database_without_tables(self, tmp_path: Path, postgres_url: str) -> None:
        """The line says what to run, and that mends it."""
        env = environment(tmp_path, CARDWIRE_LEDGER=postgres_url)
        line = _refused("worker", tmp_path, env, code=1)
        assert line.endswith("has no tables yet: run `cardwire db upgrade`")
        assert 0 == run("db", "upgrade", env=env, cwd=tmp_path).returncode
        with started("worker", env=env, cwd=tmp_path) as worker:
            worker.until("^worker ready admin=http://127.0.0.1:")

    @pytest.mark.parametrize(
        ("version", "told"), [("0000", ": run `cardwire db upgrade`"), ("9999", "newer than this")]
    )
    def test_an_older_and_a_newer_schema(self, version: str, told: str, tmp_path: Path, postgres_url: str) -> None:
        """An older one is upgraded on demand; a newer one needs a newer Cardwire."""
        env = environment(tmp_path, CARDWIRE_LEDGER=postgres_url)
        assert 0 == run("db", "upgrade", env=env, cwd=tmp_path).returncode
        asyncio.run(_set_version(postgres_url, version))
        line = _refused("worker", tmp_path, env, code=1)
        assert f"has schema {version}" in line
        assert told in line


async def _set_version(url: str, version: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = $1", version)
    await connection.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("gateway", "CARDWIRE_PORT"),
        ("gateway", "CARDWIRE_ADMIN_PORT"),
        ("worker", "CARDWIRE_ADMIN_PORT"),
        ("simulator", "CARDWIRE_SIMULATOR_PORT"),
    ],
)
def test_a_port_that_is_taken(command: str, name: str, taken: int, tmp_path: Path) -> None:
    """The line names the setting, the address and an example."""
    line = _refused(command, tmp_path, environment(tmp_path, **{name: str(taken)}), code=2)
    assert line.startswith(f"{name}: ")
    assert f"127.0.0.1:{taken}" in line
    assert f"for example {name}=" in line


def test_a_click_where_no_simulator_answers(tmp_path: Path) -> None:
    """The line says how to start one, and how to name it."""
    line = _refused("click", tmp_path, environment(tmp_path, LARK_DOMAIN="http://127.0.0.1:1"), code=1)
    assert line.startswith("LARK_DOMAIN: no simulator answers at http://127.0.0.1:1 (")
    assert line.endswith("for example LARK_DOMAIN=http://127.0.0.1:8900")


def test_a_click_where_something_else_answers(tmp_path: Path) -> None:
    """A gateway is no simulator either, so it is the same line."""
    env = environment(tmp_path)
    with started("gateway", env=env, cwd=tmp_path) as gateway:
        callbacks = gateway.until(r"^gateway ready callbacks=(http://127\.0\.0\.1:\d+)")[1]
        line = _refused("click", tmp_path, {**env, "LARK_DOMAIN": callbacks}, code=1)
    assert line.startswith(f"LARK_DOMAIN: no simulator answers at {callbacks} (")


@pytest.mark.parametrize("domain", [None, "open.feishu.cn", "https://open.larksuite.com"])
def test_a_click_on_the_real_platform(domain: str | None, tmp_path: Path) -> None:
    """Nobody is made to click there, and nothing is sent."""
    line = _refused("click", tmp_path, environment(tmp_path, LARK_DOMAIN=domain), code=2)
    assert line.startswith("LARK_DOMAIN: nobody can be made to click on the real platform: ")


def test_settings_that_contradict_each_other(tmp_path: Path) -> None:
    """An alias that says otherwise is a warning in one line; the first name is used."""
    env = environment(tmp_path, FEISHU_APP_ID="cli_other", CARDWIRE_PORT="x")
    warned, _ = run("gateway", env=env, cwd=tmp_path).stderr.splitlines()
    assert warned == "cardwire: LARK_APP_ID and FEISHU_APP_ID differ: LARK_APP_ID is used"


def test_an_unknown_option(tmp_path: Path) -> None:
    """As everywhere on a command line."""
    ran = run("gateway", "--prot", "80", env=environment(tmp_path), cwd=tmp_path)
    assert 2 == ran.returncode
    assert "No such option: --prot" in ran.stderr


@pytest.mark.parametrize("command", ["gateway", "worker", "run", "simulator", "topics check", "db upgrade"])
def test_a_misspelt_setting_is_told_once_by_every_command(command: str, tmp_path: Path) -> None:
    """Beside whatever else is wrong, and without its value."""
    wrong = {"CARDWIRE_LOG": "x", "CARDWIRE_LEDGER": "x", "CARDWIRE_SIMULATOR_PORT": "x"}
    env = {**environment(tmp_path, **wrong), "LARK_ENCRPT_KEY": "secret-of-the-app"}
    lines = run(*command.split(), env=env, cwd=tmp_path).stderr.splitlines()
    warned = "LARK_ENCRPT_KEY is not a setting: did you mean LARK_ENCRYPT_KEY?"
    assert [f"cardwire: {warned}"] == [line for line in lines if "ENCRPT" in line]
    assert is_documented(warned)
    assert [] == [line for line in lines if "secret-of-the-app" in line]


def test_a_misspelt_setting_is_told_once_by_both_processes(tmp_path: Path) -> None:
    """`cardwire run` says it for its processes."""
    env = {**environment(tmp_path), "CARDWIRE_LOGLEVEL": "debug"}
    with started("run", env=env, cwd=tmp_path) as both:
        both.until("^gateway ready")
        both.until("^worker ready")
        assert 0 == both.stop()
    assert 1 == both.err.read_text().count("CARDWIRE_LOGLEVEL is not a setting: did you mean CARDWIRE_LOG_LEVEL?")
