"""
Settings: declared once, read once.

A process has one frozen settings type. Each of its fields is declared with name, kind, default, unit, meaning and
example (`setting`, `required`, `optional`) or is a section that processes share (`section`). `load` builds it from
the environment, which nothing else reads, and reports every problem at once. ``.env.example`` and
docs/reference/settings.md are generated from the same declarations.
"""

from shared.core.secret import Secret
from shared.settings.apps import APPS, AppFields, field_of, one_of_each, respelled
from shared.settings.callers_file import CALLERS, callers
from shared.settings.declare import Setting, declared, optional, required, section, setting, several
from shared.settings.kinds import AppType, CallbackStyle
from shared.settings.load import ConfigWarning, load, rereader
from shared.settings.sections import (
    CallbackSettings,
    ConnectionSettings,
    KafkaSecurity,
    LogSettings,
    ObservabilitySettings,
    OutboundSettings,
    PlatformSettings,
    RecordingSettings,
    admin_host,
    admin_port,
    app_id,
    app_type,
    domain,
    handlers,
)

__all__ = [
    "APPS",
    "CALLERS",
    "AppFields",
    "AppType",
    "CallbackSettings",
    "CallbackStyle",
    "ConfigWarning",
    "ConnectionSettings",
    "KafkaSecurity",
    "LogSettings",
    "ObservabilitySettings",
    "OutboundSettings",
    "PlatformSettings",
    "RecordingSettings",
    "Secret",
    "Setting",
    "admin_host",
    "admin_port",
    "app_id",
    "app_type",
    "callers",
    "declared",
    "domain",
    "field_of",
    "handlers",
    "load",
    "one_of_each",
    "optional",
    "required",
    "rereader",
    "respelled",
    "section",
    "setting",
    "several",
]
