"""What a person sees: toasts and cards."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec

from shared.core.json_text import JsonText, json_value

Language = Literal[
    "zh_cn", "en_us", "zh_hk", "zh_tw", "ja_jp", "id_id", "vi_vn", "th_th",
    "pt_br", "es_es", "ko_kr", "de_de", "fr_fr", "it_it", "ru_ru", "ms_my",
]  # fmt: skip
"""Languages a toast can be given in (docs/reference/platform.md, "Toasts")."""

ToastType = Literal["info", "success", "error", "warning"]

_AS_IN: Final = 'as in Toast.info("好", en_us="ok")'

CardFormat = Literal["1.0", "2.0"]
"""The card's own JSON version; ``schema: "2.0"`` marks the newer one."""


class Toast(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A short notice that the person who clicked sees for a few seconds.

    Attributes:
        type: Colour and icon.
        content: The text shown when no translation fits.
        i18n: Translations by language.
    """

    type: ToastType = "info"
    content: str
    i18n: dict[Language, str] = {}

    @classmethod
    def info(cls, content: str, **i18n: str) -> "Toast":
        """Return a neutral toast; translations as ``en_us="…"``."""
        return cls._of("info", content, i18n)

    @classmethod
    def success(cls, content: str, **i18n: str) -> "Toast":
        """Return a green toast."""
        return cls._of("success", content, i18n)

    @classmethod
    def warning(cls, content: str, **i18n: str) -> "Toast":
        """Return an orange toast."""
        return cls._of("warning", content, i18n)

    @classmethod
    def error(cls, content: str, **i18n: str) -> "Toast":
        """Return a red toast."""
        return cls._of("error", content, i18n)

    @classmethod
    def _of(cls, kind: ToastType, content: str, i18n: dict[str, str]) -> "Toast":
        # Checked here, so that an unknown language fails where the toast is written.
        for language in i18n.keys() - set(get_args(Language)):
            known = ", ".join(get_args(Language))
            raise TypeError(f"Toast has no language {language!r}: expected some of {known}, {_AS_IN}")
        for text in (content, *i18n.values()):
            if not isinstance(text, str):
                raise TypeError(f"a text of a Toast is {type(text).__name__} {text!r:.80}: expected a text, {_AS_IN}")
        return msgspec.convert({"type": kind, "content": content, "i18n": i18n}, cls)


def card_format(card: JsonText | None) -> CardFormat:
    """Return the JSON version of a card; one of unknown version (a template, ``None``, no JSON) counts as 1.0."""
    try:
        content = json_value(card) if card else None
    except (ValueError, RecursionError):
        content = None
    return "2.0" if isinstance(content, Mapping) and content.get("schema") == "2.0" else "1.0"
