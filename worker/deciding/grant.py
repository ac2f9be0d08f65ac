"""
A request, decided: checked once more against what its caller may ask for, and planned (pure).

The gateway has checked it already. But the log lies between, and who may ask for what may have changed meanwhile; and
what decisions and the command line ask for came by no gateway.
"""

from collections.abc import Collection
from typing import Final

from shared.core.callers import Callers
from shared.core.effects import OnCard, Reply, SendCard
from shared.core.errors import HandlerError
from shared.core.events import COMMAND_LINE, OURSELVES, RequestReceived, sends_a_successor
from shared.core.ids import AppId, ChatId
from shared.core.json_text import JsonText
from shared.feishu.intended import intended
from worker.deciding.plan import plan
from worker.deciding.verdict import Verdict

UNKNOWN_APP: Final = "unknown_app"
"""Why an input of an app that this worker was not told of is not decided."""

NO_TENANT: Final = "a store app has many organisations, and the request names none (tenant_key)"
"""Why a request in the name of a store app is not done: nobody could say with whose access token."""

UNKNOWN_CALLER: Final = "unknown_caller"
"""Why a request of a caller that this worker was not told of is not decided."""


def grant(
    request: RequestReceived,
    apps: Collection[AppId],
    callers: Callers,
    *,
    offset: int,
    chat_id: ChatId | None,
    stores: Collection[AppId] = frozenset(),
    content: JsonText | None = None,
) -> Verdict:
    """
    Return what becomes of a request: all of its effects, or none.

    What this worker was not told of, an app or a caller, fails and is kept whole, so that it can be decided later; what
    the caller may not ask for is refused.

    Args:
        apps: Those that this worker knows.
        offset: The request's offset in its partition.
        chat_id: The chat of the request's card, where it is known.
        stores: Apps that have more organisations than one.
        content: What that card is intended to show so far, where it is known.
    """
    if request.app_id not in apps:
        return Verdict(result="failed", reason=UNKNOWN_APP)
    if request.app_id in stores and not request.tenant_key:
        return Verdict(result="refused", reason=NO_TENANT)
    match request.caller:
        case name if name == OURSELVES:
            ours = _is_successor(request) or all(isinstance(effect, OnCard) for effect in request.effects)
            refusal = (
                None if ours else "we ask for nothing but changes of other cards, and for expired cards' successors"
            )
        case name if name == COMMAND_LINE:
            refusal = None
        case name:
            caller = callers.by_name.get(name)
            if caller is None:
                return Verdict(result="failed", reason=UNKNOWN_CALLER)
            refusal = caller.refusal(request.app_id, request.effects)
    return Verdict(result="refused", reason=refusal) if refusal else _granted(request, offset, chat_id, content)


def _is_successor(request: RequestReceived) -> bool:
    sends = len(request.effects) == 1 and isinstance(request.effects[0], Reply | SendCard)
    return sends and sends_a_successor(request.event_id)


def is_against(callers: Callers, request: RequestReceived) -> bool:
    """Say whether it is by these lists that a request is not done."""
    if request.caller in {OURSELVES, COMMAND_LINE}:
        return False
    caller = callers.by_name.get(request.caller)
    return caller is None or caller.refusal(request.app_id, request.effects) is not None


def _granted(request: RequestReceived, offset: int, chat_id: ChatId | None, content: JsonText | None) -> Verdict:
    try:
        planned = tuple(
            plan(effect, request, index=index, offset=offset, chat_id=chat_id)
            for index, effect in enumerate(request.effects, 1)
        )
    except HandlerError as error:
        return Verdict(result="refused", reason=str(error))
    return Verdict(result="decided", effects=planned, content=intended(planned, content))
