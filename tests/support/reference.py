"""
The pages that are generated from declarations: ``.env.example``, and the references of settings, metrics and retention.

``python -m tests.support.reference`` writes them; a test compares them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cardwire.cli.settings import RunSettings
from gateway.settings import GatewaySettings
from shared.observability.metrics import GATEWAY_METRICS, GROUP_METRICS, WORKER_METRICS, Metric, Together
from shared.settings import APPS, AppFields, Setting, declared, field_of
from simulator.settings import SimulatorSettings
from tests.support.retention import retention_page
from worker.settings import WorkerSettings

ROOT: Final = Path(__file__).parents[2]

PROCESSES: Final[Mapping[str, type[object]]] = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "run": RunSettings,
    "simulator": SimulatorSettings,
}

_TITLES: Final = {
    ("gateway", "worker"): "Gateway and worker",
    ("gateway", "worker", "simulator"): "All processes",
    ("gateway",): "Gateway",
    ("gateway", "simulator"): "Gateway and simulator",
    ("worker",): "Worker",
    ("worker", "simulator"): "Worker and simulator",
    ("run",): "`cardwire run`",
    ("simulator",): "Simulator",
}


def pages() -> dict[Path, str]:
    """Return every generated file and what it must hold."""
    return {
        ROOT / ".env.example": env_example(),
        ROOT / "docs" / "reference" / "settings.md": settings_page(),
        ROOT / "docs" / "reference" / "metrics.md": metrics_page(),
        ROOT / "docs" / "reference" / "retention.md": retention_page(),
    }


def env_example() -> str:
    """Return a commented example of every setting."""
    lines = [
        "# Every setting of Cardwire: copy this file to .env and remove the # in front of what you set.",
        "# docker compose reads .env by itself, a shell with: set -a; . ./.env; set +a",
        "# What is required must be set. docs/reference/settings.md says more.",
    ]
    for title, settings in _grouped():
        lines += ["", f"# ---- {title.replace('`', '')}"]
        for told in settings.values():
            lines += ["", f"# {_any(told).meaning}", f"# ({_facts(told)})", f"# {_any(told).name}={_any(told).example}"]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Return the reference of settings."""
    lines = [
        "# Settings",
        "",
        "Settings are environment variables; every command reads the same names. An empty one counts as absent.",
        "All problems are reported at once, a line each, with the name, what was expected and an example; values are",
        "never shown.",
        "",
        "A setting marked *file* may also be mounted: `NAME_FILE` names a file that holds it. Names beginning with",
        "`LARK_` may also be written `FEISHU_…`; other aliases are in the table. Where two names of one setting",
        "differ, the first in the table is used and a warning says so.",
        "",
        "This page is generated from the declarations: `python -m tests.support.reference`.",
    ]
    for title, settings in _grouped():
        lines += ["", f"## {title}", "", "| name | value | default | meaning | example |", "|---|---|---|---|---|"]
        lines += [_row(told) for told in settings.values()]
    lines += [*_APPS, "| field | value | default | meaning | example |", "|---|---|---|---|---|"]
    lines += [_field(told) for told in declared(AppFields)]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return the reference of metrics."""
    lines = [
        "# Metrics",
        "",
        "Each process shows its numbers at `/metrics` of its admin port (9101 gateway, 9102 worker), in Prometheus'",
        "text format. Labels come from closed lists. This page is generated from the declarations:",
        "`python -m tests.support.reference`.",
    ]
    for title, metrics in (("Gateway", GATEWAY_METRICS), ("Worker", WORKER_METRICS)):
        lines += ["", f"## {title}", "", "| name | kind | labels | meaning |", "|---|---|---|---|"]
        lines += [_metric(metric) for metric in metrics]
    lines += [
        "",
        "## A gateway with several processes",
        "",
        "With `--processes` (`CARDWIRE_PROCESSES`) the numbers of all are shown as one's. They are added up, but for",
        f"{_gauges('largest')}, of which the largest is shown, and {_gauges('smallest')}, of which the smallest is.",
        "What an ended process had counted stays in the sums. Besides there are:",
        "",
        "| name | kind | labels | meaning |",
        "|---|---|---|---|",
        *map(_metric, GROUP_METRICS),
        "",
        "## Causes of refusals",
        "",
        "A caller that is refused learns nothing but a status. The cause is the label of",
        "`cardwire_callback_refusals_total` and stands in the log line, with the setting that could be the matter.",
        "",
        "| cause | what it means | what to look at |",
        "|---|---|---|",
        *(f"| `{cause}` | {meaning} | {look} |" for cause, meaning, look in _CAUSES),
    ]
    return "\n".join(lines) + "\n"


_CAUSES: Final = (
    ("body_too_large", "more than 256 KiB (413)", "somebody else's traffic"),
    ("body_too_slow", "not received within 2 s (408)", "the network, or a proxy that buffers"),
    ("body_incomplete", "the caller went away while sending", "the network"),
    ("unreadable", "not JSON, or no shape of the platform's, and not signed", "somebody else's traffic"),
    ("signature_missing", "no signature, where one is needed", "`LARK_ENCRYPT_KEY`; a proxy that drops headers"),
    (
        "signature_mismatch",
        "signed with another key, or changed on the way",
        "`LARK_ENCRYPT_KEY`, `LARK_VERIFICATION_TOKEN`",
    ),
    ("timestamp_malformed", "the signed time is no time", "somebody else's traffic"),
    ("timestamp_out_of_window", "signed more than 10 minutes from now", "this machine's clock; a replayed request"),
    ("plaintext_downgrade", "not encrypted, although there is an Encrypt Key", "the console's Encrypt Key is empty"),
    ("encrypted_without_key", "encrypted, and we have no key", "set `LARK_ENCRYPT_KEY`"),
    ("token_mismatch", "another Verification Token", "`LARK_VERIFICATION_TOKEN`"),
    ("app_mismatch", "another app's callback", "`LARK_APP_ID`"),
    ("legacy_not_expected", "a legacy card callback, where only new ones are let in", "`LARK_CALLBACKS=both`"),
    ("new_not_expected", "a new card callback, where only legacy ones are let in", "`LARK_CALLBACKS=both`"),
)

_APPS: Final = (
    "",
    "## The file of several apps",
    "",
    f"`{APPS.name}` names a TOML file with a table for each app: `[apps.NAME]`. The name stands in the app's paths,",
    "`/webhook/NAME/card` and `/webhook/NAME/event`, and in every line about it. The fields of a table are the",
    "settings of one app, less `LARK_` and in lower case; all values are texts. A field marked *file* may also be",
    "mounted: `FIELD_file` names a file that holds it. Each process reads the fields that it needs, and no file of the",
    "others; an unknown field is a problem for all. [Several apps](../howto/several-apps.md) shows one.",
    "",
)


def _field(told: Setting) -> str:
    value = told.kind.name.replace("|", "\\|") + (", *file*" if told.kind.mountable else "")
    default, meaning = told.default or ("required" if told.is_required else "none"), told.meaning
    if told.name in _COMMON:
        default, meaning = f"`{told.name}`", _COMMON[told.name]
    return f'| `{field_of(told.name)}` | {value} | {default} | {meaning} | `"{told.example}"` |'


_COMMON: Final = {
    "CARDWIRE_APP": "Where this app's handlers are: module and name of its App, which may be in a module of its own. "
    "An app whose table has no such field has the handlers that `CARDWIRE_APP` names; where every table has one, "
    "`CARDWIRE_APP` is not needed.",
    "CARDWIRE_KEEP_FORM_VALUE": "The same of this app alone.",
    "CARDWIRE_KEEP_CALLBACK": "The same of this app alone.",
}
"""Settings that hold for every app that has no such field, and what the field means."""

Told = dict[str, Setting]
"""One setting, as each process that reads it declares it."""


def _grouped() -> Iterator[tuple[str, dict[str, Told]]]:
    """Return the settings by the processes that share them, in the order of their first declaration."""
    by_name: dict[str, Told] = {}
    for process, of in PROCESSES.items():
        for told in declared(of):
            by_name.setdefault(told.name, {})[process] = told
    groups: dict[tuple[str, ...], dict[str, Told]] = {}
    for name, read_by in by_name.items():
        groups.setdefault(tuple(read_by), {})[name] = read_by
    for processes, settings in groups.items():
        yield _TITLES[processes], settings


def _any(told: Told) -> Setting:
    return next(iter(told.values()))


def _default(told: Told) -> str:
    """Return the default, or each process's where they differ."""
    readers: dict[str, list[str]] = {}
    for process, one in told.items():
        readers.setdefault("required" if one.is_required else one.default or "none", []).append(process)
    if len(readers) == 1:
        return next(iter(readers))
    return "; ".join(f"{text} ({', '.join(processes)})" for text, processes in readers.items())


def _facts(told: Told) -> str:
    one = _any(told)
    unit = f", {one.unit}" if one.unit else ""
    default = _default(told)
    return f"{one.kind.name}{unit}; {default if default.startswith('required') else f'default: {default}'}"


def _row(told: Told) -> str:
    one = _any(told)
    aliases = "".join(f"<br>{alias}" for alias in one.aliases if not alias.startswith("FEISHU_"))
    value = one.kind.name.replace("|", "\\|") + (f", {one.unit}" if one.unit else "")
    value += ", *file*" if one.kind.mountable else ""
    return f"| `{one.name}`{aliases} | {value} | {_default(told)} | {one.meaning} | `{one.example}` |"


def _gauges(rule: Together) -> str:
    return " and ".join(f"`{metric.name}`" for metric in GATEWAY_METRICS if metric.together == rule)


def _metric(metric: Metric) -> str:
    suffix = "_total" if metric.kind == "counter" else ""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}{suffix}` | {metric.kind} | {labels} | {metric.meaning} |"


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
