"""Who may ask for what."""

import hashlib

from shared.core.callers import NOBODY, Caller, Callers, digest
from shared.core.effects import SendText, UpdateCard
from shared.core.ids import AppId

APP = AppId("cli_a")
BILLING = Caller(
    name="billing",
    apps=frozenset({APP}),
    effects=frozenset({"SendText"}),
    digests=(digest("old-token"), digest("new-token")),
)
CALLERS = Callers(by_name={"billing": BILLING, "cron": Caller(name="cron", apps=frozenset(), effects=frozenset())})


def test_a_caller_is_known_by_each_of_its_tokens() -> None:
    """Two, while one is being changed."""
    assert [BILLING, BILLING] == [CALLERS.who(token) for token in ("old-token", "new-token")]


def test_nobody_is_known_by_another_text() -> None:
    """Nothing, a part of a token, its digest, or what no UTF-8 holds."""
    others = ("", "new-toke", "new-token ", hashlib.sha256(b"new-token").hexdigest(), "\udcff")
    assert {None} == {CALLERS.who(token) for token in others}
    assert NOBODY.who("new-token") is None


def test_a_caller_may_ask_for_what_its_lists_name() -> None:
    """All effects of a request count, and the app."""
    text, update = SendText("x", "oc_1"), UpdateCard("{}")
    assert BILLING.refusal(APP, [text, text]) is None
    assert "the caller billing may not ask for UpdateCard" == BILLING.refusal(APP, [text, update])
    other = BILLING.refusal(AppId("cli_b"), [text])
    assert "the caller billing may not ask in the name of app cli_b" == other


def test_nothing_that_could_be_a_token_is_in_a_repr() -> None:
    """Nor the digest, which a short token could be found by."""
    assert "digest" not in repr(CALLERS)
