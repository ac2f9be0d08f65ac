"""
Answers: what the platform is told within its 3 seconds, as values.

What a handlers module declares (`answer=`) or what its answer functions return. The wire's shapes are made from these
by `shared.feishu.answer` alone, so a wrong shape, which the client would show as an error code, never leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from shared.core.cards import Language, Toast
from shared.core.effects import CardLike
from shared.core.json_text import JsonText, json_text


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """
    Replace the clicked card at once, as the answer itself.

    Attributes:
        card: The whole new card, as its JSON object or as text; a template's is made by `template`. A 1.0 card without
            ``config.update_multi`` is answered with ``true``, so that everybody sees it; an explicit ``false`` means
            that only who clicked does.
        toast: Shown besides.
    """

    card: CardLike
    toast: Toast | None = None


class CustomAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Answer with this status and this body, as they are.

    Nothing checks the body's members: with status 200 it must be of the shape that the platform expects, else the
    client shows 200672. Any other status is shown as 200671 (docs/reference/platform.md, "Client errors").

    Attributes:
        status: 200, or 400 to 599. The platform takes no redirections.
        body: The body's JSON object, or its text.
    """

    status: int
    body: JsonText

    if TYPE_CHECKING:

        def __init__(self, status: int, body: CardLike) -> None: ...

    def __post_init__(self) -> None:
        given: object = self.body
        if not isinstance(given, str):
            msgspec.structs.force_setattr(self, "body", json_text(given))


class PreviewUrls(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Where a previewed link leads.

    Attributes:
        copy_url: What is copied when somebody copies the link.
        ios: What opens on this kind of device; `android`, `pc` and `web` likewise.
    """

    copy_url: str | None = None
    ios: str | None = None
    android: str | None = None
    pc: str | None = None
    web: str | None = None


class Inline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What a link is shown as in its line.

    Attributes:
        title: Shown in place of the link where no translation fits.
        i18n_title: Translations by language; they win over `title`.
        image_key: The icon in front, as uploaded.
        url: Where the link leads.
    """

    title: str | None = None
    i18n_title: dict[Language, str] = {}
    image_key: str | None = None
    url: PreviewUrls | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """
    Show a link as this.

    Attributes:
        title: Shown in place of the link; `i18n` has translations by language, which win.
        image_key: The icon in front, as uploaded to the platform.
        url: Where the link leads instead.
        card: A card that unfolds below, as its JSON object or as text.
    """

    title: str | None = None
    i18n: Mapping[str, str] = field(default_factory=dict)
    image_key: str | None = None
    url: PreviewUrls | None = None
    card: CardLike | None = None


AnswerValue = Toast | CardAnswer | CustomAnswer | Preview


def template(
    template_id: str, *, version: str | None = None, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """
    Return a card that is made from a template of the platform's card builder, wherever a card is taken.

    Args:
        template_id: As the builder shows it (``AAq…``).
        version: A published version (``1.0.0``); without one, the newest.
        variables: The template's variables.
    """
    named = {"template_id": template_id, "template_version_name": version, "template_variable": variables}
    return {"type": "template", "data": {name: given for name, given in named.items() if given is not None}}
