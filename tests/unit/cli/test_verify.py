"""`cardwire verify`: what is documented of its rules."""

from tests.support.documents import ROOT
from worker.history.verifying.rules import RULES


def test_the_table_of_rules_is_that_of_the_code() -> None:
    """Each rule with its promise, what it proves, and what a log cannot show of it."""
    rows = [f"| {rule.guarantee} | `{rule.name}` | {rule.proves} | {rule.blind} |" for rule in RULES]
    table = [line for line in (ROOT / "docs/howto/verify.md").read_text().splitlines() if line.startswith("| G")]
    assert rows == table
