import re

import pytest

from cardwire.cli.misspelt import misspelt, settings
from tests.support.documents import ROOT


def _lines(*names: str) -> list[str]:
    return list(misspelt(names, settings()))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LARK_ENCRPT_KEY", "LARK_ENCRYPT_KEY"),
        ("FEISHU_APPID", "FEISHU_APP_ID"),
        ("LARK_CALLBACK", "LARK_CALLBACKS"),
        ("LARK_VERIFICATION_TOKEN_FIL", "LARK_VERIFICATION_TOKEN_FILE"),
        ("CARDWIRE_LEGDER", "CARDWIRE_LEDGER"),
        ("CARDWIRE_LOGLEVEL", "CARDWIRE_LOG_LEVEL"),
        ("CARDWIRE_PORT_FILE", "CARDWIRE_PORT"),
    ],
)
def test_a_misspelt_setting_is_told_with_the_one_that_was_meant(name: str, meant: str) -> None:
    """Its default would count without a word."""
    assert [f"{name} is not a setting: did you mean {meant}?"] == _lines(name)


@pytest.mark.parametrize("name", ["LARK_GROUP_CHAT", "CARDWIRE_KAFKA_BROKERS", "CARDWIRE_"])
def test_a_name_like_no_setting_is_said_to_change_nothing(name: str) -> None:
    """A guess would mislead."""
    assert [f"{name} is not a setting: it changes nothing"] == _lines(name)


def test_every_name_of_every_setting_is_known_to_every_command() -> None:
    """Aliases and mounted secrets too, so that one environment serves all commands."""
    assert [] == _lines(
        *(name for told in settings() for name in (told.name, *told.aliases)),
        *(f"{name}_FILE" for told in settings() if told.kind.mountable for name in (told.name, *told.aliases)),
    )


@pytest.mark.parametrize("name", ["PATH", "APP_IDS", "MY_LARK_KEY", "LARKY", "CARDWIRE_TEST_KAFKA_JARS"])
def test_what_is_not_for_us_is_left_alone(name: str) -> None:
    """Other programs' variables, and those of our tests."""
    assert [] == _lines(name)


def test_what_compose_reads_is_not_taken_for_a_mistake() -> None:
    """Its file of settings is handed to the containers whole."""
    read = set(re.findall(r"\$\{((?:CARDWIRE|LARK)_\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert {"CARDWIRE_IMAGE", "LARK_APP_ID"} <= read
    assert [] == _lines(*read)
