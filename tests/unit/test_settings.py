import ast
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from cardwire.cli.settings import RunSettings
from gateway.admission import Cause
from gateway.settings import GatewaySettings
from shared.core.errors import ConfigError
from shared.feishu.limits import ApiRate, Limits
from shared.settings import (
    APPS,
    CALLERS,
    CallbackSettings,
    ConfigWarning,
    KafkaSecurity,
    ObservabilitySettings,
    Secret,
    declared,
    load,
)
from simulator.settings import SimulatorSettings
from tests.support.asking import write_callers
from tests.support.reference import PROCESSES, ROOT, env_example, metrics_page, pages
from worker.settings import SETTLE_MS, WorkerSettings

GATEWAY = {
    "LARK_APP_ID": "cli_a1",
    "LARK_ENCRYPT_KEY": "key",
    "CARDWIRE_APP": "handlers:app",
    "CARDWIRE_LOG": "sqlite:///log.db",
}
WORKER = {
    "LARK_APP_ID": "cli_a1",
    "LARK_APP_SECRET": "secret",
    "CARDWIRE_APP": "handlers:app",
    "CARDWIRE_LOG": "kafka://one:9092,two:9092",
    "CARDWIRE_LEDGER": "postgresql://u:p@db/cardwire",
}


def _refusal(env: Mapping[str, str], of: type[object] = GatewaySettings) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(of, env)
    return str(refused.value).splitlines()


class TestLoad:
    """From the environment to settings."""

    def test_what_is_absent_has_its_default(self) -> None:
        """A minimal environment is enough."""
        settings = GatewaySettings.load(GATEWAY)
        assert ("127.0.0.1", 7777, 9101, "auto", True) == (
            settings.host,
            settings.port,
            settings.admin_port,
            settings.apps[0].callbacks.style,
            settings.apps[0].recording.keep_callback,
        )
        assert 9102 == WorkerSettings.load(WORKER).admin_port

    def test_a_secret_is_one_line(self) -> None:
        """Two are a note or another secret in the same file; the text itself is never shown."""
        problems = _refusal({**GATEWAY, "LARK_ENCRYPT_KEY": "one\ntwo"})
        assert [
            "LARK_ENCRYPT_KEY is malformed: expected a secret of one line, for example LARK_ENCRYPT_KEY=kudryavka"
        ] == problems

    def test_settings_cannot_be_changed(self) -> None:
        """They are read once."""
        settings = GatewaySettings.load(GATEWAY)
        with pytest.raises(FrozenInstanceError):
            settings.port = 1  # type: ignore[misc]

    @pytest.mark.parametrize("empty", ["", "  "])
    def test_an_empty_variable_is_an_absent_one(self, empty: str) -> None:
        """Compose files pass empty texts for what is not set."""
        assert 7777 == GatewaySettings.load({**GATEWAY, "CARDWIRE_PORT": empty}).port
        assert ["LARK_APP_ID is missing"] == [
            line.partition(":")[0] for line in _refusal({**GATEWAY, "LARK_APP_ID": empty})
        ]

    def test_every_problem_is_reported_at_once(self) -> None:
        """One line each: the name, what was expected, an example."""
        lines = _refusal({"CARDWIRE_PORT": "many", "CARDWIRE_KAFKA_TLS": "perhaps"})
        names = [
            "LARK_APP_ID",
            "LARK_ENCRYPT_KEY",
            "CARDWIRE_APP",
            "CARDWIRE_LOG",
            "CARDWIRE_KAFKA_TLS",
            "CARDWIRE_PORT",
        ]
        assert names == [line.split()[0] for line in lines]
        assert [] == [line for line in lines if not re.search(r": expected .*, .*for example [A-Z_]+=\S", line)]

    def test_no_value_is_shown_in_a_problem(self) -> None:
        """Somebody may have put a secret into the wrong variable."""
        values = {name: "planted" + text for name, text in WORKER.items()} | {"CARDWIRE_LIMITS": "planted"}
        shown = "\n".join(_refusal(values, WorkerSettings))
        assert "CARDWIRE_LEDGER is malformed" in shown
        assert "planted" not in shown

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("CARDWIRE_PORT", ["0", "1", "65535"], ["-1", "65536", "1.0", "x", "１"]),
            ("CARDWIRE_APP", ["h:app", "a.b_c:x1"], ["h", "h:", ":app", "h:app()", "h/x:app", "1h:app"]),
            (
                "CARDWIRE_LOG",
                ["kafka://a:1", "kafka://a:1,b:2", "kafka://[::1]:9092", "sqlite:///a.db", "sqlite:////var/a.db"],
                ["kafka://", "kafka://a", "kafka://a:1,", "kafka://u:p@a:1", "sqlite://a.db", "sqlite:///", "a.db"],
            ),
            ("CARDWIRE_LOG_LEVEL", ["debug", "error"], ["loud", "DEBUG "[:-1]]),
            ("CARDWIRE_KEEP_CALLBACK", ["true", "False", "1", "no"], ["maybe", "2"]),
            ("LARK_APP_ID", ["cli_a1"], ["cli a1", "cli_a1;", "x" * 65]),
            ("CARDWIRE_TOPIC_PREFIX", ["staging.", "a-b_"], ["a b", "a/b", "é"]),
        ],
    )
    def test_each_kind_takes_what_it_says(self, name: str, good: list[str], bad: list[str]) -> None:
        """And nothing else."""
        for text in good:
            GatewaySettings.load({**GATEWAY, name: text})
        for text in bad:
            assert [f"{name} is malformed"] == [line.partition(":")[0] for line in _refusal({**GATEWAY, name: text})]

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            (
                "CARDWIRE_LEDGER",
                ["postgresql://u:p@h/d", "postgresql://h:5432/d?sslmode=verify-full", "sqlite:///l.db"],
                ["postgres://h/d", "postgresql://h", "postgresql:///d", "postgresql://h:x/d", "sqlite:///", "l.db"],
            ),
            (
                "LARK_DOMAIN",
                ["open.feishu.cn", "open.larksuite.com", "http://127.0.0.1:8900", "https://open.feishu.cn/"],
                [
                    "feishu",
                    "example.com",
                    "ftp://open.feishu.cn",
                    "https://u:p@x",
                    "http://x:y",
                    "https://",
                    "http://x/open-apis",
                ],
            ),
            (
                "CARDWIRE_PROXY",
                ["http://p:3128", "https://u:p%40%3A@proxy.example.com:1", "http://u@[::1]:8080/"],
                [
                    "p:3128",
                    "http://p",
                    "socks5://p:1",
                    "http://:1",
                    "http://p:1/x",
                    "http://p:1?x",
                    "http://a%3Ab:c@p:1",
                ],
            ),
            ("CARDWIRE_LIMITS", ["1", "0.5", "20", "none"], ["0", "-1", "inf", "nan", "many"]),
            ("CARDWIRE_CONCURRENCY", ["1", "1000"], ["0", "1001"]),
        ],
    )
    def test_each_kind_of_the_worker_takes_what_it_says(self, name: str, good: list[str], bad: list[str]) -> None:
        """And nothing else."""
        for text in good:
            WorkerSettings.load({**WORKER, name: text})
        for text in bad:
            lines = _refusal({**WORKER, name: text}, WorkerSettings)
            assert [f"{name} is malformed"] == [line.partition(":")[0] for line in lines]

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("open.feishu.cn", "https://open.feishu.cn"),
            ("open.larksuite.com", "https://open.larksuite.com"),
            ("http://127.0.0.1:8900/", "http://127.0.0.1:8900"),
        ],
    )
    def test_a_domain_becomes_an_address(self, given: str, expected: str) -> None:
        """Whoever calls the platform puts a path behind it."""
        assert expected == WorkerSettings.load({**WORKER, "LARK_DOMAIN": given}).apps[0].platform.domain

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("2", Limits().times(2)),
            ("none", Limits().unlimited()),
            ("100/s 3000/min", Limits(api=ApiRate(per_second=100, per_minute=3000))),
        ],
    )
    def test_limits_are_raised_lifted_or_named(self, given: str, expected: Limits) -> None:
        """A tier that the platform raised, a load test against a simulator, rates as a console shows them."""
        assert expected == WorkerSettings.load({**WORKER, "CARDWIRE_LIMITS": given}).limits
        assert Limits() == WorkerSettings.load(WORKER).limits

    @pytest.mark.parametrize("given", ["0", "-1", "inf", "50/s", "0/s 10/min", "50/min 10/s"])
    def test_limits_that_are_none_are_refused(self, given: str) -> None:
        """The line says what would do."""
        with pytest.raises(ConfigError, match=r"CARDWIRE_LIMITS .* 50/s 1000/min"):
            WorkerSettings.load({**WORKER, "CARDWIRE_LIMITS": given})

    def test_how_long_card_updates_wait_is_said_once(self) -> None:
        """What a ledger and a decision take unless told otherwise is the setting's default."""
        said = [path for package in ("gateway", "worker", "shared") for path in (ROOT / package).rglob("*.py")
                if re.search(r"^SETTLE_MS\b.*=", path.read_text(), re.MULTILINE)]  # fmt: skip
        assert [ROOT / "worker" / "settings.py"] == said
        assert SETTLE_MS == WorkerSettings.load(WORKER).settle_ms


class TestAliases:
    """Other names of the same thing."""

    @pytest.mark.parametrize("alias", ["FEISHU_APP_ID", "APP_ID"])
    def test_the_platforms_other_names_are_read(self, alias: str) -> None:
        """Who comes from an SDK's sample need not rename anything."""
        env = {name: text for name, text in GATEWAY.items() if name != "LARK_APP_ID"}
        assert "cli_b2" == GatewaySettings.load({**env, alias: "cli_b2"}).apps[0].app_id

    def test_where_two_names_differ_ours_is_used_and_a_warning_says_so(self) -> None:
        """The warning names both and shows neither."""
        with pytest.warns(ConfigWarning, match=r"LARK_APP_ID and FEISHU_APP_ID differ: LARK_APP_ID is used") as warned:
            assert "cli_a1" == GatewaySettings.load({**GATEWAY, "FEISHU_APP_ID": "cli_b2"}).apps[0].app_id
        assert "cli_b2" not in str(warned[0].message)

    def test_the_warning_goes_where_it_is_wanted(self) -> None:
        """A command line shows it in its own way."""
        warned: list[str] = []
        load(GatewaySettings, {**GATEWAY, "ENCRYPT_KEY": "another"}, warn=warned.append)
        assert 1 == len(warned)

    def test_two_names_that_agree_are_no_conflict(self) -> None:
        """Warnings are errors in these tests."""
        GatewaySettings.load({**GATEWAY, "FEISHU_APP_ID": "cli_a1"})


class TestMounted:
    """Secrets that come as files."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Return a file with a secret, and the newline that editors leave."""
        path = tmp_path / "key"
        path.write_text("mounted key\n")
        return path

    @pytest.mark.parametrize("name", ["LARK_ENCRYPT_KEY_FILE", "FEISHU_ENCRYPT_KEY_FILE", "ENCRYPT_KEY_FILE"])
    def test_a_secret_may_be_mounted_under_any_of_its_names(self, file: Path, name: str) -> None:
        """As containers do it."""
        settings = GatewaySettings.load({**GATEWAY, "LARK_ENCRYPT_KEY": "", name: str(file)})
        assert Secret("mounted key") == settings.apps[0].callbacks.encrypt_key

    def test_a_byte_order_mark_is_no_part_of_a_secret(self, tmp_path: Path) -> None:
        """Some editors write it, with lines that end as Windows ends them; neither can be seen."""
        (tmp_path / "key").write_bytes(b"\xef\xbb\xbfmounted key\r\n")
        env = {**GATEWAY, "LARK_ENCRYPT_KEY": "", "LARK_ENCRYPT_KEY_FILE": str(tmp_path / "key")}
        assert Secret("mounted key") == GatewaySettings.load(env).apps[0].callbacks.encrypt_key

    def test_the_databases_address_may_be_mounted(self, tmp_path: Path) -> None:
        """It holds a password."""
        (tmp_path / "url").write_text("postgresql://u:p@db/cardwire")
        env = {**WORKER, "CARDWIRE_LEDGER": "", "CARDWIRE_LEDGER_FILE": str(tmp_path / "url")}
        assert Secret("postgresql://u:p@db/cardwire") == WorkerSettings.load(env).ledger

    def test_the_proxys_address_may_be_mounted(self, tmp_path: Path) -> None:
        """It may hold a password, and shows none."""
        (tmp_path / "proxy").write_text("http://u:planted@proxy:3128\n")
        settings = WorkerSettings.load({**WORKER, "CARDWIRE_PROXY_FILE": str(tmp_path / "proxy")})
        assert Secret("http://u:planted@proxy:3128") == settings.outbound.proxy
        assert "planted" not in repr(settings)

    def test_both_at_once_is_a_problem(self, file: Path) -> None:
        """Nobody could tell which of them was meant."""
        [line] = _refusal({**GATEWAY, "LARK_ENCRYPT_KEY_FILE": str(file)})
        assert "LARK_ENCRYPT_KEY and LARK_ENCRYPT_KEY_FILE are both set: keep one of them" == line

    @pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
    def test_a_file_that_holds_no_secret_is_a_problem(self, tmp_path: Path, content: bytes | None) -> None:
        """The line names the setting, the file and why."""
        path = tmp_path / "key"
        if content is not None:
            path.write_bytes(content)
        [line] = _refusal({**GATEWAY, "LARK_ENCRYPT_KEY": "", "LARK_ENCRYPT_KEY_FILE": str(path)})
        assert re.match(
            rf"LARK_ENCRYPT_KEY_FILE names {path}, which cannot be used \(.+\): expected .* for example", line
        )

    def test_what_is_no_secret_is_not_read_from_files(self, file: Path) -> None:
        """A port in a file is a mistake, and the setting keeps its default."""
        assert 7777 == GatewaySettings.load({**GATEWAY, "CARDWIRE_PORT_FILE": str(file)}).port


class TestAgreement:
    """Settings that make sense only together."""

    def test_without_any_credential_nothing_starts(self) -> None:
        """Or anybody could click."""
        [line] = _refusal({**GATEWAY, "LARK_ENCRYPT_KEY": ""})
        assert line.startswith("LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN are both missing: expected")

    @pytest.mark.parametrize("style", ["legacy", "both"])
    def test_legacy_callbacks_need_the_verification_token(self, style: str) -> None:
        """They are signed with it."""
        [line] = _refusal({**GATEWAY, "LARK_CALLBACKS": style})
        assert line.startswith(f"LARK_VERIFICATION_TOKEN is missing: LARK_CALLBACKS={style} expects it")

    @pytest.mark.parametrize(
        ("env", "expected"),
        [
            ({"CARDWIRE_KAFKA_SASL": "PLAIN"}, "CARDWIRE_KAFKA_USERNAME and CARDWIRE_KAFKA_PASSWORD"),
            ({"CARDWIRE_KAFKA_TLS": "true", "CARDWIRE_KAFKA_KEY": "k.pem"}, "CARDWIRE_KAFKA_CERT"),
            ({"CARDWIRE_KAFKA_CA": "ca.pem"}, "CARDWIRE_KAFKA_TLS=true"),
        ],
    )
    def test_half_of_a_security_is_none(self, env: Mapping[str, str], expected: str) -> None:
        """What is missing is named."""
        [line] = _refusal({**GATEWAY, **env})
        assert expected in line
        assert "for example" in line


class TestSecret:
    """Texts that must not be seen."""

    def test_it_shows_nothing_of_itself(self) -> None:
        """However it is printed."""
        secret = Secret("planted")
        assert {"***"} == {repr(secret), str(secret), f"{secret}", "%s" % secret}  # noqa: UP031 -- one of the ways
        assert "planted" not in repr(GatewaySettings.load({**GATEWAY, "LARK_ENCRYPT_KEY": "planted"}))
        with pytest.raises(TypeError):
            pickle.dumps(secret)

    def test_it_is_equal_to_its_like(self) -> None:
        """And to no text."""
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret("b")
        assert Secret("\udc80") != Secret("b")
        assert Secret("a") != "a"
        assert 1 == len({Secret("a"), Secret("a")})

    def test_it_gives_itself_away_when_asked(self) -> None:
        """To what needs it."""
        assert "planted" == Secret("planted").reveal()


class TestUse:
    """What is set has its effect."""

    @pytest.mark.parametrize(("of", "package"), [(WorkerSettings, "worker"), (GatewaySettings, "gateway")])
    def test_every_setting_is_read_by_somebody(self, of: type[object], package: str) -> None:
        """By the process, or by a property of the settings that the process reads."""
        sources = [path for folder in (package, "shared", "cardwire") for path in (ROOT / folder).rglob("*.py")]
        trees = {path: ast.parse(path.read_text()) for path in sources}
        read = set().union(*(_read(tree) for path, tree in trees.items() if not _declares(path)))
        derived = [part for path, tree in trees.items() if _declares(path) for part in ast.walk(tree)]
        read |= set().union(
            *(_read(part) for part in derived if isinstance(part, ast.FunctionDef) and part.name in read)
        )
        unread = {f"{each.__name__}.{field.name}" for each in _sections(of) for field in fields(each)
                  if field.name not in read}  # fmt: skip
        assert set() == unread


def _declares(path: Path) -> bool:
    return "settings" in {path.stem, path.parent.name}


def _read(tree: ast.AST) -> set[str]:
    return {part.attr for part in ast.walk(tree) if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Load)}


def _sections(of: type[Any]) -> Iterator[type[Any]]:
    """Return settings and what they are made of."""
    yield of
    for hint in get_type_hints(of).values():
        for part in (hint, *get_args(hint)):
            if is_dataclass(part) and isinstance(part, type) and "settings" in part.__module__:
                yield from _sections(part)


class TestPages:
    """What is written about settings and metrics is what they are."""

    @pytest.mark.parametrize("path", list(pages()), ids=lambda path: path.name)
    def test_a_generated_page_is_up_to_date(self, path: Path) -> None:
        """Write it with: python -m tests.support.reference."""
        assert pages()[path] == path.read_text(encoding="utf-8")

    @pytest.mark.parametrize("of", PROCESSES.values(), ids=PROCESSES)
    def test_every_setting_says_all_about_itself(self, of: type[object]) -> None:
        """A sentence of meaning, and an example and a default that it would take."""
        for told in declared(of):
            assert re.fullmatch(r"[A-Z].*\.", told.meaning), told.name
            told.kind.parse(told.example)
            if told.default is not None:
                told.kind.parse(told.default)

    def test_every_name_in_the_sources_is_declared(self) -> None:
        """A setting cannot be read past its declaration."""
        sources = [path for package in ("cardwire", "gateway", "worker", "shared", "simulator")
                   for path in (ROOT / package).rglob("*.py")]  # fmt: skip
        used = {
            name for path in sources for name in re.findall(r'"((?:CARDWIRE|LARK)_[A-Z_]+[A-Z])"', path.read_text())
        }
        names = {told.name for of in PROCESSES.values() for told in declared(of)}
        aliases = {alias for of in PROCESSES.values() for told in declared(of) for alias in told.aliases}
        assert set() == used - names - aliases

    def test_the_example_file_is_one_that_could_be_used(self, tmp_path: Path) -> None:
        """Uncommented, it starts every process, with one app or with a file of several, and with a file of callers."""
        env = dict(re.findall(r"^# ([A-Z_]+)=(.+)$", env_example(), re.MULTILINE))
        assert APPS.example == env.pop(APPS.name)
        assert CALLERS.example == env[CALLERS.name]
        env[CALLERS.name] = str(write_callers(tmp_path / "callers.toml"))
        for of in (GatewaySettings, WorkerSettings, SimulatorSettings, RunSettings):
            load(of, env)

    def test_every_cause_of_a_refusal_is_explained(self) -> None:
        """An operator who sees one in a dashboard finds it."""
        table = metrics_page().partition("## Causes")[2]
        assert set(get_args(Cause)) == set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE))


def test_sections_can_be_made_without_an_environment() -> None:
    """Tests and compositions build them from values."""
    assert ("info", "auto") == (ObservabilitySettings().level, ObservabilitySettings().format)
    assert not list(KafkaSecurity().problems())
    assert not list(CallbackSettings(encrypt_key=Secret("k")).problems())
