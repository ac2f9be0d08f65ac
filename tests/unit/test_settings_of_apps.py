import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from shared.core.errors import ConfigError
from shared.core.secret import Secret
from shared.settings import AppFields, ConfigWarning, declared, field_of, load, rereader, respelled
from shared.settings.apps import setting_of
from tests.support.apps import ALERTS, BILLING, write_apps
from tests.support.documents import ROOT, is_documented
from worker.settings import WorkerSettings

REST = {"CARDWIRE_APP": "handlers:app", "CARDWIRE_LOG": "sqlite:///log.db", "CARDWIRE_LEDGER": "sqlite:///ledger.db"}
BOTH = {"alerts": ALERTS, "billing": BILLING}

HOWTO = ROOT / "docs" / "howto" / "several-apps.md"

in_both_processes = pytest.mark.parametrize("of", [GatewaySettings, WorkerSettings])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file of apps is."""
    return tmp_path / "apps.toml"


def _env(path: Path, apps: Mapping[str, Mapping[str, str]] | str = BOTH, **env: str) -> Mapping[str, str]:
    """Return an environment with a file of apps, given as tables or as its text."""
    if isinstance(apps, str):
        path.write_text(apps)
    else:
        write_apps(path, apps)
    return {**REST, "CARDWIRE_APPS": str(path), **env}


def _refusal(env: Mapping[str, str], of: type[object] = GatewaySettings) -> list[str]:
    """Return the lines of a refusal, which stand in docs/reference/bad-input.md."""
    with pytest.raises(ConfigError) as refused:
        load(of, env)
    lines = str(refused.value).splitlines()
    assert [] == [line for line in lines if not is_documented(line)]
    return lines


class TestTables:
    """A table for each app."""

    def test_each_app_has_its_own_settings(self, path: Path) -> None:
        """In the order of the file; what it does not say has its default."""
        alerts, billing = GatewaySettings.load(_env(path)).apps
        assert ("alerts", "cli_a1b2c3d4e5f60718", "handlers:app") == (alerts.name, alerts.app_id, alerts.handlers)
        assert (Secret("key-of-alerts"), "auto") == (alerts.callbacks.encrypt_key, alerts.callbacks.style)
        assert ("billing", None, "legacy") == (billing.name, billing.callbacks.encrypt_key, billing.callbacks.style)

    def test_the_worker_reads_the_same_file(self, path: Path) -> None:
        """Brands may differ."""
        env = _env(path, {"alerts": {**ALERTS, "domain": "open.larksuite.com"}, "billing": BILLING})
        assert {
            "cli_a1b2c3d4e5f60718": ("https://open.larksuite.com", Secret("secret-of-alerts")),
            "cli_b1b2c3d4e5f60718": ("https://open.feishu.cn", Secret("secret-of-billing")),
        } == {
            app_id: (platform.domain, platform.app_secret)
            for app_id, platform in WorkerSettings.load(env).platforms.items()
        }

    def test_an_app_may_name_handlers_of_its_own(self, path: Path) -> None:
        """Others have those of all; without any, the app that has none is named."""
        apps = {"alerts": {**ALERTS, "handlers": "alerts:app"}, "billing": BILLING}
        assert ["alerts:app", "handlers:app"] == [app.handlers for app in GatewaySettings.load(_env(path, apps)).apps]
        [line] = _refusal(_env(path, apps, CARDWIRE_APP=""))
        assert line.startswith("CARDWIRE_APPS: app billing: handlers is missing: expected the module and the name")
        assert line.endswith('for example handlers = "handlers:app"')

    def test_what_is_recorded_is_said_for_all_or_for_one(self, path: Path) -> None:
        """An app's own word counts."""
        apps = {"alerts": {**ALERTS, "keep_form_value": "true", "keep_callback": "false"}, "billing": BILLING}
        settings = GatewaySettings.load(_env(path, apps, CARDWIRE_KEEP_FORM_VALUE="false"))
        told = [(one.recording.keep_form_value, one.recording.keep_callback) for one in settings.apps]
        assert [(True, False), (False, True)] == told
        (line,) = _refusal(_env(path, {"alerts": {**ALERTS, "keep_callback": "perhaps"}}))
        assert line.startswith("CARDWIRE_APPS: app alerts: keep_callback is malformed: expected true or false")

    @in_both_processes
    def test_no_process_opens_the_files_of_the_other(self, path: Path, of: type[object]) -> None:
        """Each can be given its own secrets and no others."""
        secret = path.with_name("secret")
        secret.write_text("mounted\n")
        other = {"app_secret_file"} if of is GatewaySettings else {"encrypt_key_file", "verification_token_file"}
        mounted = {
            f"{name}_file": str(path.with_name("nowhere") if f"{name}_file" in other else secret)
            for name in ("app_secret", "encrypt_key", "verification_token")
        }
        load(of, _env(path, {"alerts": {"app_id": "cli_a1", **mounted}}))

    def test_nothing_shows_a_secret(self, path: Path) -> None:
        """Not even one written into the file itself."""
        for of in (GatewaySettings, WorkerSettings):
            assert "of-alerts" not in repr(load(of, _env(path)))

    def test_one_app_in_the_environment_is_as_ever(self) -> None:
        """It has no name."""
        env = {**REST, "LARK_APP_ID": "cli_a1", "LARK_ENCRYPT_KEY": "k"}
        assert [(None, "cli_a1")] == [(app.name, app.app_id) for app in GatewaySettings.load(env).apps]

    @in_both_processes
    def test_the_file_in_the_documents_is_one_that_could_be_used(self, path: Path, of: type[object]) -> None:
        """By either process, where the secrets are that it names."""
        [text] = re.findall(r"^```toml\n(.*?)^```", HOWTO.read_text(), re.MULTILINE | re.DOTALL)
        for name in re.findall(r"/run/secrets/(\w+)", text):
            path.with_name(name).write_text(f"the {name}\n")
        load(of, _env(path, text.replace("/run/secrets", str(path.parent))))


class TestProblems:
    """What is wrong with the file, all of it at once, a line each."""

    def test_every_problem_of_every_app_is_told(self, path: Path) -> None:
        """With the app's name, the field, what was expected and an example in the file's words; no value is shown."""
        apps = {
            "alerts": {**ALERTS, "delivery": "pigeon", "encrpt_key": "planted"},
            "billing": {"app_id": "pl anted", "callbacks": "legacy", "encrypt_key": "planted-key"},
            "third": {"app_id": "cli_c3", "encrypt_key_file": "/nowhere", "delivery": "both"},
        }
        lines = _refusal(_env(path, apps))
        told = [
            ("alerts", "encrpt_key is no field: did you mean encrypt_key"),
            ("alerts", "delivery is malformed: expected one of"),
            ("billing", "app_id is malformed: expected the app's id"),
            ("third", "encrypt_key_file names /nowhere, which cannot be used"),
            ("billing", 'verification_token is missing: callbacks = "legacy" expects it'),
        ]
        assert len(told) == len(lines)
        for app, start in told:
            [line] = (line for line in lines if line.startswith(f"CARDWIRE_APPS: app {app}: {start}"))
            assert re.search(r'[a-z_]+ = ".+"\??$', line)
        assert "planted" not in "\n".join(lines)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "the file names no app: expected a table for each, for example [apps.alerts]"),
            ("apps = 1", "the file names no app: expected"),
            ("[apps]", "the file names no app: expected"),
            ('[apps."a b"]', "the name of an app is malformed: expected a table whose name has"),
            ("[apps]\nalerts = 1", "app alerts is malformed: expected a table whose name has"),
            ("[alerts]", "alerts stands outside of any app: expected it below a name, for example [apps.alerts]"),
            ('[app.alerts]\napp_id = "x"', "[app.…] is no table of apps: did you mean [apps.alerts]?"),
            ("[apps.a]\napp_id = 5", 'app a: app_id is malformed: expected text, for example app_id = "cli_'),
            ("[apps.a]\nkeys = ['a']", 'app a: keys is no field: did you mean encrypt_key = "kudryavka"?'),
        ],
    )
    @in_both_processes
    def test_a_file_of_another_shape(self, path: Path, text: str, told: str, of: type[object]) -> None:
        """The line shows what a right one looks like."""
        assert f"CARDWIRE_APPS: {told}" in "\n".join(_refusal(_env(path, text), of))

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (None, "No such file or directory"),
            (b"[apps.a]\napp_id = planted", "it is no TOML at line 2, column 10"),
            (b"[apps.a", "it is no TOML at"),
            (b"\xff", "it is not UTF-8 text"),
        ],
    )
    def test_a_file_that_cannot_be_read(self, path: Path, content: bytes | None, why: str) -> None:
        """Where it is wrong, and nothing of what stands there."""
        if content is not None:
            path.write_bytes(content)
        [line] = _refusal({**REST, "CARDWIRE_APPS": str(path)})
        assert line.startswith(f"CARDWIRE_APPS names {path}, which cannot be used ({why}")
        assert line.endswith("for example CARDWIRE_APPS=/etc/cardwire/apps.toml")
        assert "planted" not in line

    @in_both_processes
    def test_an_app_in_the_environment_beside_the_file(self, path: Path, of: type[object]) -> None:
        """The short paths can be one app's only."""
        [line] = _refusal(_env(path, LARK_APP_ID="cli_c3"), of)
        assert line.startswith("CARDWIRE_APPS and LARK_APP_ID are both set: expected")
        [line] = _refusal(_env(path, APP_ID="cli_c3"), of)
        assert line.startswith("CARDWIRE_APPS and LARK_APP_ID are both set: expected")

    def test_other_settings_of_one_app_beside_the_file(self, path: Path) -> None:
        """They count for nothing, and one warning says which they are."""
        env = _env(path, LARK_DOMAIN="open.larksuite.com", LARK_ENCRYPT_KEY_FILE="/nowhere")
        with pytest.warns(ConfigWarning, match="CARDWIRE_APPS is used, and not LARK_DOMAIN, LARK_ENCRYPT_KEY:"):
            assert ["alerts", "billing"] == [app.name for app in GatewaySettings.load(env).apps]

    @pytest.mark.parametrize("old", [("", ""), ("_old", ""), ("", "_old"), ("_old", "_old")])
    @pytest.mark.parametrize("kind", ["encrypt_key", "verification_token"])
    def test_a_key_of_two_apps(self, path: Path, kind: str, old: tuple[str, str]) -> None:
        """Whoever has it could come in as either."""
        first, second = ({f"{kind}{which}": "the same", "verification_token": f"t{n}", kind: f"k{n}"} for n, which in
                         enumerate(old))  # fmt: skip
        apps = {
            "alerts": {**ALERTS, **first, f"{kind}{old[0]}": "the same"},
            "billing": {**BILLING, **second, f"{kind}{old[1]}": "the same"},
        }
        [line] = _refusal(_env(path, apps))
        assert line.startswith(f"CARDWIRE_APPS: app billing: {kind} is that of alerts as well: expected")

    @in_both_processes
    def test_an_app_that_is_there_twice(self, path: Path, of: type[object]) -> None:
        """Its records could be anybody's."""
        lines = _refusal(_env(path, {**BOTH, "again": {**BILLING, "verification_token": "t"}}), of)
        assert [line.partition(": expected")[0] for line in lines] == [
            "CARDWIRE_APPS: app again: app_id is that of billing as well"
        ]


class TestWords:
    """How a line about a setting becomes one about a field."""

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("LARK_APP_ID is missing: LARK_APP_ID=cli_a1", 'app_id is missing: app_id = "cli_a1"'),
            ("LARK_CALLBACKS=both lets them in", 'callbacks = "both" lets them in'),
            ("CARDWIRE_APP=handlers:app: handlers.py:3: x", 'handlers = "handlers:app": handlers.py:3: x'),
            ("LARK_ENCRYPT_KEY_FILE names a file", "encrypt_key_file names a file"),
            ("CARDWIRE_APPS is another thing", "CARDWIRE_APPS is another thing"),
        ],
    )  # fmt: skip
    def test_a_setting_is_a_field(self, line: str, expected: str) -> None:
        """Its value stands in quotes; the only app's lines are as they are."""
        assert f"CARDWIRE_APPS: app alerts: {expected}" == respelled(line, "alerts")
        assert line == respelled(line, None)

    def test_every_field_is_a_setting_and_only_one(self) -> None:
        """Both ways lead to the other."""
        names = [told.name for told in declared(AppFields)]
        assert names == [setting_of(field_of(name)) for name in names]
        assert len(names) == len({field_of(name) for name in names})

    @in_both_processes
    def test_a_file_can_say_all_that_the_environment_can_of_an_app(self, of: type[object]) -> None:
        """No process has a setting of an app that is no field."""
        apps = next(member for member in declared(of) if member.name == "CARDWIRE_APPS")
        of_one = {told.name for told in declared(of) if told.name.startswith("LARK_")}
        assert apps.kind.name == "path"
        assert set() == of_one - {told.name for told in declared(AppFields)}


class TestTwoKeys:
    """While a key is being changed, two are accepted."""

    def test_the_old_one_may_be_mounted_and_empty(self, path: Path) -> None:
        """So that it can be put there and taken away without a restart."""
        old = path.with_name("old")
        env = _env(path, {"alerts": {**ALERTS, "encrypt_key_old_file": str(old)}})
        old.write_text("")
        assert (Secret("key-of-alerts"),) == GatewaySettings.load(env).apps[0].callbacks.encrypt_keys
        old.write_text("key-before\n")
        both = (Secret("key-of-alerts"), Secret("key-before"))
        assert both == GatewaySettings.load(env).apps[0].callbacks.encrypt_keys
        old.unlink()
        assert 1 == len(_refusal(env))


class TestRereading:
    """Settings that may change while a process runs."""

    def test_only_files_can_change(self, path: Path) -> None:
        """An environment does not; neither does a file that is none of an app's."""
        env = {**REST, "LARK_APP_ID": "cli_a1", "LARK_ENCRYPT_KEY": "k", "CARDWIRE_KAFKA_PASSWORD_FILE": "/nowhere"}
        assert rereader(GatewaySettings, env) is None
        path.write_text("another key")
        mounted = {**env, "LARK_ENCRYPT_KEY": "", "LARK_ENCRYPT_KEY_FILE": str(path)}
        assert rereader(WorkerSettings, {**REST, "CARDWIRE_APPS": "x"}) is not None
        assert rereader(GatewaySettings, mounted) is not None

    def test_what_is_read_again_is_what_is_there_then_without_the_warnings(self, path: Path) -> None:
        """They were told at start; warnings are errors in these tests."""
        env = _env(path, LARK_DOMAIN="open.larksuite.com")
        read = rereader(GatewaySettings, env)
        assert read is not None
        write_apps(path, {"alerts": {**ALERTS, "encrypt_key": "the next"}})
        assert [Secret("the next")] == [app.callbacks.encrypt_key for app in read().apps]
        path.write_text("")
        with pytest.raises(ConfigError, match="names no app"):
            read()
