"""What changed between two readings of the same settings: names, never values."""

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any, assert_never

from shared.settings.apps import field_of
from shared.settings.declare import Read, Section, Setting, Several, members


def changed(known: object, found: object) -> Iterator[str]:
    """
    Return the settings whose values are not as before; nothing of what are no settings.

    An app of several is told of as ``alerts.encrypt_key``, one that came or went by the setting that names the file.
    """
    if not is_dataclass(known) or type(known) is not type(found):
        return
    for name, member in members(type(known)):
        before, after = getattr(known, name), getattr(found, name)
        if before == after:
            continue
        match member:
            case Setting():
                yield member.name
            case Section():
                yield from changed(before, after)
            case Read():
                yield member.file.name
            case Several():
                yield from _of_apps(member.file.name, before, after)
            case _ as unreachable:
                assert_never(unreachable)


def _of_apps(file: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[str]:
    was = {app.name: app for app in before}
    if was.keys() != {app.name for app in after}:
        yield file
    for app in after:
        for setting in changed(was.get(app.name), app):
            yield setting if app.name is None else f"{app.name}.{field_of(setting)}"
