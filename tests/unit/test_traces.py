"""Whoever wants spans told of, and has nothing installed for it, reads what to install."""

import sys

import pytest

from shared.core.errors import ConfigError
from shared.observability.traces import open_traces
from tests.support.documents import is_documented

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def test_without_a_collector_nothing_is_loaded() -> None:
    """Neither at import nor at start."""
    assert open_traces(None, "cardwire-gateway") is None


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, which stands in the documents."""
    monkeypatch.setitem(sys.modules, EXPORTER, None)  # as if it were not there
    with pytest.raises(ConfigError) as refused:
        open_traces("http://collector:4318", "cardwire-gateway")
    assert is_documented(str(refused.value))
