"""
Durable, event-sourced card interactions for Feishu and Lark.

What a handlers module imports. These names come from `shared` alone, so that loading handlers starts no process; they
are looked up when they are asked for, so that the command line can first see whether `shared` is ours.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.app.app import App
    from shared.app.interaction import Interaction
    from shared.app.subject import CallResult, Reminder
    from shared.core.answers import CardAnswer, CustomAnswer, Preview, PreviewUrls, template
    from shared.core.cards import Toast
    from shared.core.decision import Card, Decision
    from shared.core.effects import (
        Call,
        CallApi,
        CancelReminder,
        DeleteEphemeral,
        FetchChat,
        FetchMessage,
        RefreshPreview,
        Remind,
        RenameChat,
        Reply,
        SendCard,
        SendEphemeral,
        SendText,
        SetStreaming,
        StreamText,
        UpdateCard,
        UpdateChat,
        UpdateElement,
    )
    from shared.core.errors import CallFailed

__all__ = [
    "App",
    "Call",
    "CallApi",
    "CallFailed",
    "CallResult",
    "CancelReminder",
    "Card",
    "CardAnswer",
    "CustomAnswer",
    "Decision",
    "DeleteEphemeral",
    "FetchChat",
    "FetchMessage",
    "Interaction",
    "Preview",
    "PreviewUrls",
    "RefreshPreview",
    "Remind",
    "Reminder",
    "RenameChat",
    "Reply",
    "SendCard",
    "SendEphemeral",
    "SendText",
    "SetStreaming",
    "StreamText",
    "Toast",
    "UpdateCard",
    "UpdateChat",
    "UpdateElement",
    "template",
]

_HOMES = {
    "App": "shared.app.app",
    "Call": "shared.core.effects",
    "CallApi": "shared.core.effects",
    "CallFailed": "shared.core.errors",
    "CallResult": "shared.app.subject",
    "CancelReminder": "shared.core.effects",
    "FetchChat": "shared.core.effects",
    "FetchMessage": "shared.core.effects",
    "Remind": "shared.core.effects",
    "Reminder": "shared.app.subject",
    "Card": "shared.core.decision",
    "CardAnswer": "shared.core.answers",
    "CustomAnswer": "shared.core.answers",
    "Decision": "shared.core.decision",
    "DeleteEphemeral": "shared.core.effects",
    "Interaction": "shared.app.interaction",
    "Preview": "shared.core.answers",
    "PreviewUrls": "shared.core.answers",
    "RefreshPreview": "shared.core.effects",
    "RenameChat": "shared.core.effects",
    "Reply": "shared.core.effects",
    "SendCard": "shared.core.effects",
    "SendEphemeral": "shared.core.effects",
    "SendText": "shared.core.effects",
    "SetStreaming": "shared.core.effects",
    "StreamText": "shared.core.effects",
    "Toast": "shared.core.cards",
    "UpdateCard": "shared.core.effects",
    "UpdateChat": "shared.core.effects",
    "UpdateElement": "shared.core.effects",
    "template": "shared.core.answers",
}

if not TYPE_CHECKING:  # a type checker shall find a misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        from cardwire.ours import shadowed

        if problems := shadowed(("shared",)):
            raise ImportError(problems[0])
        found = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = found
        return found
