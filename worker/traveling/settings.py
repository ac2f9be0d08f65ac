"""What time travel must be told: where the log is, and whose handlers are to travel. No credentials, no database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.app.app import App
from shared.app.load import load_app, load_apps
from shared.core.ids import AppId
from shared.settings import APPS, LogSettings, app_id, handlers, load, one_of_each, section, several


@dataclass(frozen=True, slots=True, kw_only=True)
class _TravelingApp:
    """One of several apps, as far as it matters here."""

    name: str | None = None
    app_id: AppId = app_id()
    handlers: str = handlers()


@dataclass(frozen=True, slots=True, kw_only=True)
class _OneApp:
    log: LogSettings = section(LogSettings)
    handlers: str = handlers()


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeveralApps:
    log: LogSettings = section(LogSettings)
    apps: tuple[_TravelingApp, ...] = several(APPS, _TravelingApp, check=one_of_each)


@dataclass(frozen=True, slots=True, kw_only=True)
class TravelSettings:
    """
    Where the log is, and how the handlers are come by.

    Attributes:
        load_handlers: Imports them, and returns those of each app (``None``: of an app that is none of several).
            Raises `ConfigError` where that cannot be done.
    """

    log: LogSettings
    load_handlers: Callable[[], Callable[[AppId], App | None]]

    @classmethod
    def load(cls, env: Mapping[str, str]) -> "TravelSettings":
        """Return the settings that ``env`` describes; raises `ConfigError` with a line per problem."""
        if env.get(APPS.name, "").strip():
            several_apps = load(_SeveralApps, env)
            return cls(log=several_apps.log, load_handlers=lambda: load_apps(several_apps.apps).get)
        one = load(_OneApp, env)

        def of_all() -> Callable[[AppId], App | None]:
            app = load_app(one.handlers)
            return lambda _: app

        return cls(log=one.log, load_handlers=of_all)
