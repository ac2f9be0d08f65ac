"""The whole page: groups, and what one person sees in one of them."""

from collections.abc import Iterator
from html import escape
from typing import Final
from urllib.parse import urlencode

from shared.core.ids import OpenId
from simulator.chats import Chat
from simulator.messages import Message
from simulator.page.drawing import ENTRIES, Press, draw
from simulator.platform import Platform
from simulator.previews import LinkShown
from simulator.wire_json import any_json

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_SHOWN: Final = 50
"""Messages of a group that are shown: the newest."""

_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:44rem;margin:2rem auto}article{border:1px solid #ccc;border-radius:6px;"
    "padding:.5rem 1rem;margin:.7rem 0}h3,p{margin:.2rem 0}form{display:inline}small,.said{color:#666}"
)


def page(platform: Platform, *, chat: Chat | None, person: OpenId, said: str) -> str:
    """
    Return the page.

    Args:
        chat: Which group; ``None``: there is none yet.
        person: Whose eyes one sees it with.
        said: What their client said last.
    """
    links = " · ".join(_link(each, person) for each in platform.chats.values() if each.mode == "group")
    name = escape((chat.name if chat is not None else None) or "no group yet")
    shown = "".join(_messages(platform, chat, person)) if chat is not None else ""
    # What somebody may be filling in must not be taken away.
    again = "" if any(entry in shown for entry in ENTRIES) else '<meta http-equiv="refresh" content="3">'
    return (
        f'<!doctype html><meta charset="utf-8">{again}'
        f"<title>{name}</title><style>{_STYLE}</style><nav>{links}</nav><h1>{name}</h1>"
        f'<p class="said">{escape(said)}</p>{_who(chat, person)}{shown}'
    )


def address(chat_id: str, person: str, said: str = "") -> str:
    """Return the page's own address, beside `/_sim/page`."""
    return f"page?{urlencode({'chat_id': chat_id, 'as': person, 'said': said})}"


def _link(chat: Chat, person: OpenId) -> str:
    return f'<a href="{escape(address(chat.chat_id, person))}">{escape(chat.name or chat.chat_id)}</a>'


def _who(chat: Chat | None, person: OpenId) -> str:
    chat_id = escape(chat.chat_id if chat is not None else "")
    return (
        f'<form method="get" action="page"><input type="hidden" name="chat_id" value="{chat_id}">'
        f'<label>as <input name="as" value="{escape(person)}" size="36"></label> <button>change</button></form>'
    )


def _messages(platform: Platform, chat: Chat, person: OpenId) -> Iterator[str]:
    now = platform.clock.now()
    for message_id in chat.message_ids[-_SHOWN:]:
        message = platform.messages[message_id]
        if message.only_for in {None, person}:
            is_streaming = message.entity is not None and message.entity.is_streaming(now)
            links = "".join(
                _preview(preview.url, preview.views[person])
                for preview in platform.previews.values()
                if preview.message_id == message_id and person in preview.views
            )
            yield f"<article>{_labels(message, is_streaming=is_streaming)}{_content(message, person)}{links}</article>"


def _labels(message: Message, *, is_streaming: bool) -> str:
    labels = [
        label
        for label, is_so in (
            ("仅对你可见", message.only_for is not None),
            ("reply", message.reply is not None),
            ("streaming…", is_streaming),
        )
        if is_so
    ]
    return f"<small>{' · '.join(labels)}</small>" if labels else ""


def _content(message: Message, person: OpenId) -> str:
    card = message.seen_by(person)
    if message.is_recalled:
        return "<p><small>recalled</small></p>"
    if card is not None:
        return draw(card.text, Press(message_id=message.message_id, person=person))
    return f"<p>{escape(str(any_json(message.content).get('text', '')))}</p>"


def _preview(url: str, shown: LinkShown) -> str:
    line = shown.line or {}
    title = (line.get("i18n_title") or {}).get("zh_cn") or line.get("title") or url
    card = draw(shown.card.text, None) if shown.card is not None else ""
    return f"<p>🔗 {escape(str(title))}</p>{card}"
