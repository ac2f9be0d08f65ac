"""An input decided again: who is left alone because it hung (worker/traveling/again.py)."""

from collections.abc import Callable
from typing import Any, TypeVar

from shared.app.app import App
from shared.core.errors import HandlerError
from shared.core.ids import AppId
from tests.support.facts import APP, click, record
from tests.unit.worker.traveling.facts import decided
from worker.deciding.judge import MissedDeadline
from worker.deciding.suspension import MISSES
from worker.traveling.again import Again
from worker.traveling.card import UNTOUCHED

OTHER = AppId("cli_other")

_T = TypeVar("_T")


class _Hang(Exception):
    """Stands for a handler that does not come back."""


class _Watched:
    """Calls handlers at once, and says of those that hang that they do."""

    spent = False

    def __call__(self, step: Callable[[], _T], /) -> _T:
        try:
            return step()
        except HandlerError as error:
            if isinstance(error.__cause__, _Hang):
                raise MissedDeadline("follow_up") from error
            raise


def _app(*, hangs: bool) -> App:
    app = App()

    @app.on_action("follow_up", handler_name="alerts/follow_up")
    def follow_up(*_given: Any) -> list[Any]:
        if hangs:
            raise _Hang
        return []

    return app


def _became(again: Again, app_id: AppId, n: int) -> tuple[str, str | None]:
    clicked = click(f"e{n}", app_id=app_id)
    ours = again(record(clicked, offset=n), clicked, decided(clicked.event_id, app_id=app_id, offset=n), UNTOUCHED)
    assert ours is not None
    return ours.decided.result, ours.decided.reason


def test_a_handler_that_hangs_is_left_alone_and_another_apps_of_that_name_is_not() -> None:
    """Each app has its own here."""
    apps = {APP: _app(hangs=True), OTHER: _app(hangs=False)}
    again = Again(app_of=apps.get, call=_Watched())
    became = [_became(again, APP, n) for n in range(MISSES + 1)]
    assert [("failed", "deadline")] * MISSES + [("failed", "suspended")] == became
    assert ("decided", None) == _became(again, OTHER, MISSES + 1)


def test_a_handler_that_apps_share_is_left_alone_for_all_of_them() -> None:
    """It is one handler, and would cost as much time again."""
    shared = _app(hangs=True)
    again = Again(app_of=lambda _: shared, call=_Watched())
    assert [("failed", "deadline")] * MISSES == [_became(again, APP, n) for n in range(MISSES)]
    assert ("failed", "suspended") == _became(again, OTHER, MISSES)
