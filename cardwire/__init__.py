"""
Durable, event-sourced card interactions for Feishu and Lark.

What a handlers module imports. These names come from `shared` alone, so that loading handlers starts no process.
"""

from shared.app.app import App
from shared.app.interaction import Interaction
from shared.core.cards import Toast
from shared.core.decision import Card, Decision
from shared.core.effects import RenameChat, SendCard, SendText, UpdateCard

__all__ = ["App", "Card", "Decision", "Interaction", "RenameChat", "SendCard", "SendText", "Toast", "UpdateCard"]
