"""What following up does, without a server, an account or a network."""

from handlers import app, following_up_card

from cardwire import RenameChat, Toast, UpdateCard
from cardwire.testing import click, given

PRESS = click("follow_up", value={"alert": "支付超时"})


def test_the_first_press_renames_the_group_and_turns_the_card() -> None:
    """Both become 跟进中, and the person is told at once."""
    given(app).when(PRESS).then(
        [RenameChat("跟进中"), UpdateCard(following_up_card("支付超时", 1))], state={"presses": 1}
    ).answered(Toast.info("正在跟进", en_us="Following up"))


def test_every_press_counts() -> None:
    """The card keeps the count from press to press."""
    first = given(app).when(PRESS)
    given(app, first.card).when(PRESS).then(
        [RenameChat("跟进中"), UpdateCard(following_up_card("支付超时", 2))], state={"presses": 2}
    )


def test_other_buttons_are_left_alone() -> None:
    """Only 跟进处理 follows up."""
    given(app).when(click("mute")).ignored()
