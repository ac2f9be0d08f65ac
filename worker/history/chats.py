"""Which records are about a chat (pure): what came from it, and what Cardwire itself sends or does there."""

from shared.core.effects import RenameChat, Requestable, SendCard, SendEphemeral, SendText, UpdateChat
from shared.core.events import Asked, Decided, Output, RequestReceived
from shared.core.targets import chat_in


def comes_from(asked: Asked, chat_id: str) -> bool:
    """Say whether an input came from a chat, or is a request for something in it."""
    if isinstance(asked, RequestReceived):
        return any(_goes_to(effect, chat_id) for effect in asked.effects)
    return asked.chat_id == chat_id


def reaches(output: Output, chat_id: str) -> bool:
    """
    Say whether a decision, or an outcome, is about a chat.

    That is one with an effect on it, one that was decided of a card that lies there, or one that sent something there:
    of a message to a person, the platform says in which chat with them.
    """
    if isinstance(output, Decided):
        lies_there = output.seen is not None and output.seen.chat_id == chat_id
        return lies_there or any(chat_in(planned.target) == chat_id for planned in output.effects)
    return chat_id in {output.chat_id, chat_in(output.target)}


def _goes_to(effect: Requestable, chat_id: str) -> bool:
    match effect:
        case SendCard(to=to) | SendText(to=to):
            return to == chat_id
        case RenameChat(chat_id=given) | UpdateChat(chat_id=given) | SendEphemeral(chat_id=given):
            return given == chat_id
        case _:
            return False  # About a message: in which chat that lies, its decision tells.
