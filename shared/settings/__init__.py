"""
Settings: declared once, read once.

A process has one frozen settings type. Each of its fields is declared with name, kind, default, unit, meaning and
example (`setting`, `required`, `optional`) or is a section that processes share (`section`). `load` builds it from
the environment, which nothing else reads, and reports every problem at once. ``.env.example`` and
docs/reference/settings.md are generated from the same declarations.
"""

from shared.core.secret import Secret
from shared.settings.declare import Setting, declared, optional, required, section, setting
from shared.settings.kinds import CallbackStyle
from shared.settings.load import ConfigWarning, load
from shared.settings.sections import (
    CallbackSettings,
    ConnectionSettings,
    KafkaSecurity,
    LogSettings,
    ObservabilitySettings,
    OutboundSettings,
    PlatformSettings,
    admin_host,
    admin_port,
    app_id,
    domain,
    handlers,
)

__all__ = [
    "CallbackSettings",
    "CallbackStyle",
    "ConfigWarning",
    "ConnectionSettings",
    "KafkaSecurity",
    "LogSettings",
    "ObservabilitySettings",
    "OutboundSettings",
    "PlatformSettings",
    "Secret",
    "Setting",
    "admin_host",
    "admin_port",
    "app_id",
    "declared",
    "domain",
    "handlers",
    "load",
    "optional",
    "required",
    "section",
    "setting",
]
