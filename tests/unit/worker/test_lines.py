"""The line of an outcome says what people look for in it."""

import re

import pytest

from shared.core.ids import AppId, MessageId
from tests.unit.worker.test_meter import head, outcome
from worker.ledger.leased import Settlement, TargetKey
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


def test_the_line_of_a_refusal_says_what_the_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    """In our words: the platform's quote what was sent. Where it gave no code, the status is told."""
    for given, words in (
        (
            outcome("failed", code=230099, http_status=400),
            ["code=230099", "the card's JSON was not taken: its ErrCode says why"],
        ),
        (outcome("failed", http_status=500, final=False), ["http_status=500"]),
    ):
        settlement = Settlement(key=TargetKey(AppId("cli_a"), given.target), leased_at=0, called=True)
        write_lines(Result(settlement=settlement, outcomes=[(head(), given)]))
        told = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        assert [True] * len(words) == [word in told for word in words], told
        assert 1 == ("code=" in told.replace("_code", "")) + ("http_status=" in told)
