"""
Test handlers as what they are: functions from a click and a card to a decision.

::

    def test_the_first_press_renames_the_chat():
        given(app).when(click("follow_up")).then([RenameChat("跟进中")], state={"presses": 1})

Nothing is started and nothing is sent. Every handler is run twice, because the worker may do so after a crash: one
that reads a clock, draws random numbers or remembers earlier clicks is caught as `Nondeterministic`.
"""

from cardwire.testing.deciding import Given, Nondeterministic, given
from cardwire.testing.expecting import Result
from cardwire.testing.inputs import NEW_YEAR, card, click, event, link, reminder, result

__all__ = [
    "NEW_YEAR",
    "Given",
    "Nondeterministic",
    "Result",
    "card",
    "click",
    "event",
    "given",
    "link",
    "reminder",
    "result",
]
