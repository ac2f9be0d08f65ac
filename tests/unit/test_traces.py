"""Whoever wants spans told of, and has nothing installed for it, reads what to install."""

import sys

import pytest

from shared.core.errors import ConfigError
from shared.observability.traces import open_traces
from shared.settings import ObservabilitySettings, load
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


@pytest.mark.parametrize("address", ["collector:4318", "http://", "http://user:secret@collector", "http://c/?a=b"])
def test_a_collectors_address_is_one(address: str) -> None:
    """The line shows one, and never the one that was given: it may hold a password."""
    with pytest.raises(ConfigError) as refused:
        load(ObservabilitySettings, {"CARDWIRE_TRACES": address})
    expected = "an http(s) address without user, query and fragment, for example CARDWIRE_TRACES=http://collector:4318"
    assert f"CARDWIRE_TRACES is malformed: expected {expected}" == str(refused.value)
