"""
A card as plain HTML: its texts, and what one can press, choose and fill in.

It shows what a card says and does, not how the platform's client would lay it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from shared.core.json_text import JsonText, json_text
from simulator.cards import texts_of
from simulator.wire_json import any_json

PRESS: Final = "press"
"""Where a press is sent to, beside the page."""

FIELD: Final = "field."
"""What the names of a form's fields begin with, so that they cannot be mistaken for others."""

ENTRIES: Final = ('<input name="', '<select name="')
"""How what one fills in begins."""

_TEXTS: Final = frozenset({"markdown", "plain_text", "lark_md"})
_INNER: Final = ("text", "fields", "extra", "elements", "columns", "actions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """What a press says besides the component: on which message, and who presses."""

    message_id: str
    person: str


def draw(card: JsonText, press: Press | None) -> str:
    """Return a card as HTML; without ``press`` one that can only be looked at."""
    content = any_json(card)
    if content.get("type") == "template":
        return f"<p>template {escape(str(content['data'].get('template_id')))}</p>"
    title = next(texts_of(content.get("header", {})), "")
    body = content["body"] if isinstance(content.get("body"), dict) else content
    elements = body.get("elements") or _in_chinese(content.get("i18n_elements"))
    return f"<h3>{escape(title)}</h3>{_all(elements, press, is_in_form=False)}"


def _in_chinese(languages: object) -> object:
    if not isinstance(languages, dict) or not languages:
        return []
    return languages.get("zh_cn") or next(iter(languages.values()))


def _all(nodes: object, press: Press | None, *, is_in_form: bool) -> str:
    if isinstance(nodes, dict):
        return _one(nodes, press, is_in_form=is_in_form)
    if isinstance(nodes, list):
        return "".join(_all(node, press, is_in_form=is_in_form) for node in nodes)
    return ""


def _one(node: Mapping[str, Any], press: Press | None, *, is_in_form: bool) -> str:
    match node.get("tag"):
        case "button":
            return _button(node, press, is_in_form=is_in_form)
        case "input" | "select_static":
            return _entry(node, press, is_in_form=is_in_form)
        case "form":
            return _form(_all(node.get("elements"), press, is_in_form=True), press)
        case "hr":
            return "<hr>"
        case tag if tag in _TEXTS:
            return f"<p>{escape(str(node.get('content', '')))}</p>"
        case _:
            return "".join(_all(node.get(inner), press, is_in_form=is_in_form) for inner in _INNER)


def _button(node: Mapping[str, Any], press: Press | None, *, is_in_form: bool) -> str:
    text = next(texts_of(node), "…")
    url = _address(node)
    if url is not None:
        return f'<p><a href="{escape(url)}" rel="noreferrer">{escape(text)}</a></p>'
    button = f'<button name="action" value="{escape(json_text(_action(node)))}">{escape(text)}</button>'
    return button if is_in_form else _form(button, press)


def _entry(node: Mapping[str, Any], press: Press | None, *, is_in_form: bool) -> str:
    is_input = node.get("tag") == "input"
    name = f"{FIELD}{node.get('name', '')}" if is_in_form else "input_value" if is_input else "option"
    field = (
        f'<input name="{escape(name)}" value="{escape(str(node.get("default_value", "")))}">'
        if is_input
        else f'<select name="{escape(name)}">{_options(node.get("options"))}</select>'
    )
    if is_in_form:
        return field
    action = escape(json_text(_action(node)))
    return _form(f'{field}<button name="action" value="{action}">OK</button>', press)


def _form(content: str, press: Press | None) -> str:
    if press is None:
        return f"<fieldset disabled>{content}</fieldset>"
    return (
        f'<form method="post" action="{PRESS}">'
        f'<input type="hidden" name="message_id" value="{escape(press.message_id)}">'
        f'<input type="hidden" name="as" value="{escape(press.person)}">{content}</form>'
    )


def _options(options: object) -> str:
    found: Iterable[Any] = options if isinstance(options, list) else ()
    return "".join(
        f'<option value="{escape(str(each.get("value")))}">{escape(next(texts_of(each), ""))}</option>'
        for each in found
        if isinstance(each, dict)
    )


def _action(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the platform would report of a component, before anybody chose or filled in anything."""
    action: dict[str, Any] = {"tag": node.get("tag")}
    value = next((each.get("value") for each in _behaviors(node) if each.get("type") == "callback"), node.get("value"))
    if value is not None:
        action["value"] = value
    if node.get("name"):
        action["name"] = node["name"]
    return action


def _address(node: Mapping[str, Any]) -> str | None:
    """Return where a button leads, if it only opens an address; other schemes than those of the web lead nowhere."""
    behaviors = list(_behaviors(node))
    opened = [each.get("default_url") for each in behaviors if each.get("type") == "open_url"]
    url = opened[0] if opened else node.get("url")
    if any(each.get("type") == "callback" for each in behaviors) or not isinstance(url, str):
        return None
    return url if urlsplit(url).scheme in {"http", "https"} else None


def _behaviors(node: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    behaviors = node.get("behaviors")
    return [each for each in behaviors if isinstance(each, dict)] if isinstance(behaviors, list) else []
