"""Find the user's `App` by its address, ``module:attribute``; of several apps, each one's."""

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from shared.app.app import App
from shared.core.errors import ConfigError
from shared.core.ids import AppId
from shared.settings import respelled

EXAMPLE = "CARDWIRE_APP=handlers:app"

_OURS: Final = f"{Path(__file__).parents[1]}{os.sep}"
"""Where what users call lies: what they did wrong is in their own file."""


Handlers = App | Mapping[AppId, App]
"""The handlers of all apps, or each app's own."""


class Handled(Protocol):
    """An app, and where its handlers are."""

    @property
    def name(self) -> str | None:
        """What it is called in the file of several; ``None``: it is the only one."""

    @property
    def app_id(self) -> AppId:
        """The platform's id of it."""

    @property
    def handlers(self) -> str:
        """The address of its `App`."""


def of_each(handlers: Handlers, apps: Sequence[Handled]) -> Mapping[AppId, App]:
    """Return the handlers of each of these apps, and of no other."""
    return {told.app_id: handlers if isinstance(handlers, App) else handlers[told.app_id] for told in apps}


def load_apps(apps: Sequence[Handled]) -> Mapping[AppId, App]:
    """
    Return the handlers of each app. Those of one address are one `App`.

    Raises:
        ConfigError: As `load_app`; a line for each problem of each address.
    """
    loaded: dict[str, App] = {}
    problems: dict[str, str] = {}
    for told in apps:
        if told.handlers not in loaded and told.handlers not in problems:
            try:
                loaded[told.handlers] = load_app(told.handlers)
            except ConfigError as error:
                lines = (respelled(line, told.name) for line in str(error).splitlines())
                problems[told.handlers] = "\n".join(lines)
    if problems:
        raise ConfigError("\n".join(problems.values()))
    return {told.app_id: loaded[told.handlers] for told in apps}


def load_app(address: str) -> App:
    """
    Import the handlers module and return its `App`, checked.

    The current folder is looked in last, so that a user's file never takes the place of a library.

    Raises:
        ConfigError: There is no such module or attribute, the module does not import, or its handlers contradict
            each other. The text names the setting, the place and an example.
    """
    module_name, colon, attribute = address.partition(":")
    parts = [attribute, *module_name.split(".")]
    if not (colon and all(part.isidentifier() for part in parts)) or parts[-1] == "py":
        raise ConfigError(f"CARDWIRE_APP is {address!r}: expected module:attribute, as in {EXAMPLE}")
    module = _imported(module_name)
    app = getattr(module, attribute, None)
    if not isinstance(app, App):
        raise ConfigError(f"CARDWIRE_APP is {address!r}: {_what_is_there(module, attribute, app)}")
    try:
        app.check()
    except ConfigError as error:
        raise ConfigError("\n".join(f"CARDWIRE_APP={address}: {line}" for line in str(error).splitlines())) from None
    return app


def _imported(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109 -- an entry of sys.path is a string
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"CARDWIRE_APP names the module {name!r}, which is neither installed nor in {here}: "
                f"expected module:attribute, as in {EXAMPLE}"
            ) from None
        raise ConfigError(_why(name, error)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Not only Exception: a module that calls exit() is as little a handlers module as one that raises.
        raise ConfigError(_why(name, error)) from error


def _why(name: str, error: BaseException) -> str:
    """Return one line: which module, where in it, what."""
    if isinstance(error, ConfigError):
        return f"CARDWIRE_APP: {error}"
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        frame = next((found for found in reversed(frames) if not found.filename.startswith(_OURS)), frames[-1])
        where = f"{frame.filename}:{frame.lineno}"
    return f"CARDWIRE_APP names the module {name!r}, which does not import: {where}: {what}"


def _what_is_there(module: ModuleType, attribute: str, found: object) -> str:
    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    there = f"{module.__name__}.{attribute} is of type {type(found).__name__}, not an App"
    if not hasattr(module, attribute):
        there = f"the module has no {attribute!r}"
    if apps:
        return f"{there}; expected CARDWIRE_APP={module.__name__}:{apps[0]}"
    return f"{there}, nor any App: expected app = App() in it, and {EXAMPLE}"
