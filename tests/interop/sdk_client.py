"""
The platform's official SDK as a client of the long connection, in a process of its own: it has no way to be stopped.

``python -m tests.interop.sdk_client DOMAIN APP_ID APP_SECRET`` writes a line of JSON for each callback that it handles.
"""

import json
import sys
from typing import Any

from tests.interop import sdk


def _tell(kind: str, event_id: str, **more: Any) -> None:
    print(json.dumps({"kind": kind, "event_id": event_id, **more}), flush=True)  # noqa: T201 -- read by the test


def _clicked(click: Any) -> None:
    _tell("card", click.header.event_id, value=click.event.action.value, message=click.event.context.open_message_id)


if __name__ == "__main__":
    sdk.stay_connected(
        *sys.argv[1:],
        on_card=_clicked,
        on_preview=lambda preview: _tell("preview", preview.header.event_id),
        on_approval=lambda event: _tell("event", event.uuid),
    )
