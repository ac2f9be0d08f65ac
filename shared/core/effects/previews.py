"""Effects on links that are shown with a preview."""

from typing import Final

import msgspec

from shared.core.ids import OpenId

PREVIEW_PEOPLE: Final = 100
"""For how many people one refresh may be: docs/reference/platform.md, "Refreshing link previews"."""


class RefreshPreview(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="RefreshPreview"):
    """
    Have the previewed link asked for again, by the right that its callback gave.

    Each preview is refreshed once in 5 seconds; of several that wait, the newest is made.

    Attributes:
        open_ids: For whom (``ou_…``), at most 100; nobody given: for everybody who sees it.
    """

    open_ids: tuple[OpenId, ...] = ()
