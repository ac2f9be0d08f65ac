"""The line of an outcome says what people look for in it."""

import re

import pytest

from shared.core.ids import AppId, MessageId
from tests.unit.worker.test_meter import head, outcome
from worker.ledger.port import Settlement, TargetKey
from worker.performing.lines import write_lines
from worker.performing.turn import Result


def test_the_line_of_a_send_names_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A program learns the id of its card from it, where no topic can be read."""
    sent = outcome(sent_message_id=MessageId("om_sent"))
    write_lines(
        Result(
            settlement=Settlement(key=TargetKey(AppId("cli_a"), sent.target), leased_at=0, called=True),
            outcomes=[(head(), sent)],
        )
    )
    assert "om_sent" in capsys.readouterr().out


@pytest.mark.parametrize(("final", "status"), [(False, "retried"), (True, "failed")])
def test_what_is_tried_again_is_told_by_the_word_of_the_metric(
    capsys: pytest.CaptureFixture[str], *, final: bool, status: str
) -> None:
    """Whoever searches for what failed for good does not find a thousand attempts."""
    given = outcome("failed", final=final)
    settlement = Settlement(key=TargetKey(AppId("cli_a"), given.target), leased_at=0, called=True)
    write_lines(Result(settlement=settlement, outcomes=[(head(), given)]))
    assert f"status={status}" in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
