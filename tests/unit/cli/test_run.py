from pathlib import Path

import pytest

from cardwire.cli.run import check, make_folder, make_folder_of_log, with_files, worker_admin_port
from shared.core.errors import ConfigError

ENV = {
    "LARK_APP_ID": "cli_a",
    "LARK_APP_SECRET": "s",
    "LARK_ENCRYPT_KEY": "k",
    "CARDWIRE_APP": "handlers:app",
    "CARDWIRE_LOG": "sqlite:////data/log.db",
    "CARDWIRE_LEDGER": "sqlite:////data/ledger.db",
}


def test_log_and_ledger_lie_in_the_data_folder_of_the_current_one() -> None:
    """A small team sets neither."""
    env = with_files({"OTHER": "x"}, Path("/home/ada"))
    assert "sqlite:////home/ada/cardwire-data/log.db" == env["CARDWIRE_LOG"]
    assert "sqlite:////home/ada/cardwire-data/ledger.db" == env["CARDWIRE_LEDGER"]
    assert env["OTHER"] == "x"


def test_the_data_folder_can_be_another() -> None:
    """An absolute path is taken as it is."""
    env = with_files({"CARDWIRE_DATA": "/var/lib/cardwire"}, Path("/home/ada"))
    assert "sqlite:////var/lib/cardwire/log.db" == env["CARDWIRE_LOG"]


def test_a_log_or_ledger_that_is_set_stays() -> None:
    """Also when it is named by a mounted file."""
    env = with_files({"CARDWIRE_LOG": "kafka://k:9092", "CARDWIRE_LEDGER_FILE": "/run/secrets/l"}, Path("/home/ada"))
    assert env["CARDWIRE_LOG"] == "kafka://k:9092"
    assert "CARDWIRE_LEDGER" not in env


def test_the_problems_of_both_processes_are_told_at_once_and_once() -> None:
    """What the gateway and the worker both miss is one line; what one of them misses is told, too."""
    with pytest.raises(ConfigError) as refused:
        check({"CARDWIRE_LOG": "sqlite:////l", "CARDWIRE_LEDGER": "nonsense"})
    lines = str(refused.value).splitlines()
    assert 1 == sum(line.startswith("LARK_APP_ID is missing") for line in lines)
    assert 1 == sum(line.startswith("LARK_APP_SECRET is missing") for line in lines)
    assert 1 == sum(line.startswith("LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN are both missing") for line in lines)
    assert 1 == sum(line.startswith("CARDWIRE_LEDGER is malformed") for line in lines)


def test_good_settings_pass() -> None:
    """Nothing else is asked for."""
    assert ["handlers:app"] == [app.handlers for app in check(ENV).apps]


def test_the_worker_takes_the_next_admin_port_and_any_free_one_stays_any() -> None:
    """Two processes of one machine cannot share a port."""
    assert (9202, 0) == (worker_admin_port(9201), worker_admin_port(0))


def test_the_last_port_leaves_none_for_the_worker() -> None:
    """The refusal names the setting."""
    with pytest.raises(ConfigError, match="CARDWIRE_ADMIN_PORT is 65535, and the worker takes the next"):
        check({**ENV, "CARDWIRE_ADMIN_PORT": "65535"})


def test_the_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """It holds what people typed."""
    make_folder(tmp_path / "a" / "data")
    make_folder(tmp_path / "a" / "data")
    assert 0o700 == (tmp_path / "a" / "data").stat().st_mode & 0o777


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The refusal names the setting, the folder and an example."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"CARDWIRE_DATA is .*/file/data, which cannot be made \(Not a directory\)"):
        make_folder(tmp_path / "file" / "data")


def test_a_log_that_cannot_be_written_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    """Not told by a gateway that is up and records nothing."""
    make_folder_of_log(f"sqlite:///{tmp_path}/new/log.db")
    assert (tmp_path / "new").is_dir()
    make_folder_of_log("kafka://127.0.0.1:1")
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=r"^CARDWIRE_LOG lies in .*/file, where nothing can be written \(.+\): expected"
    ):
        make_folder_of_log(f"sqlite:///{tmp_path}/file/log.db")


def test_a_secret_that_both_processes_miss_is_told_once() -> None:
    """The gateway wants it for the long connection, the worker to call the platform."""
    env = {name: text for name, text in ENV.items() if name != "LARK_APP_SECRET"}
    with pytest.raises(ConfigError) as refused:
        check({**env, "LARK_DELIVERY": "websocket"})
    assert 1 == str(refused.value).count("LARK_APP_SECRET is missing")
