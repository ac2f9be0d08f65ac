"""Rights that are newly known: kept back until all have read of them."""

from shared.core.callers import Caller, Callers
from shared.core.effects import Requestable, SendText, UpdateCard
from shared.core.ids import AppId
from shared.core.settling import LONG_KNOWN, Settling

APP, OTHER = AppId("cli_a"), AppId("cli_b")
TEXT, UPDATE = SendText("x", "oc_1"), UpdateCard("{}")


def caller(*effects: str, apps: tuple[AppId, ...] = (APP,), digests: tuple[bytes, ...] = ()) -> Caller:
    """Return the caller billing."""
    return Caller(name="billing", apps=frozenset(apps), effects=frozenset(effects), digests=digests)


def callers(*some: Caller) -> Callers:
    """Return all callers."""
    return Callers(by_name={each.name: each for each in some})


OLD = caller("SendText")
BOTH = caller("SendText", "UpdateCard")


def test_what_was_there_at_start_is_long_known() -> None:
    """Nobody waits for it."""
    assert LONG_KNOWN == Settling.from_start(callers(BOTH)).newest(BOTH, APP, [TEXT, UPDATE])


def test_a_new_effect_keeps_back_only_what_needs_it() -> None:
    """The newest right of a request counts, and what was allowed before goes on."""
    known = Settling.from_start(callers(OLD)).then(callers(BOTH), at=7)
    asked: list[list[Requestable]] = [[TEXT], [UPDATE], [TEXT, UPDATE]]
    assert [LONG_KNOWN, 7, 7] == [known.newest(BOTH, APP, effects) for effects in asked]


def test_a_new_app_and_a_new_caller_are_new() -> None:
    """With all that they bring."""
    wider = caller("SendText", apps=(APP, OTHER))
    known = Settling.from_start(callers(OLD)).then(callers(wider), at=7)
    assert [LONG_KNOWN, 7] == [known.newest(wider, app, [TEXT]) for app in (APP, OTHER)]
    assert 9 == Settling.from_start(callers()).then(callers(OLD), at=9).newest(OLD, APP, [TEXT])


def test_a_right_stays_as_old_as_it_is() -> None:
    """However often the file changes meanwhile; a token is no right."""
    known = Settling.from_start(callers(OLD)).then(callers(BOTH), at=7)
    changed = caller("SendText", "UpdateCard", digests=(b"another",))
    known = known.then(callers(changed), at=20)
    assert [LONG_KNOWN, 7] == [known.newest(changed, APP, [effect]) for effect in (TEXT, UPDATE)]
    assert callers(changed) == known.callers


def test_a_right_that_was_away_is_new_again() -> None:
    """A worker may have read the file in between."""
    known = Settling.from_start(callers(BOTH)).then(callers(OLD), at=7).then(callers(BOTH), at=9)
    assert 9 == known.newest(BOTH, APP, [UPDATE])
