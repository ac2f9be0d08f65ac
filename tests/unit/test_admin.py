"""The admin port when it cannot be had: the setting that is the matter is named."""

import socket
from dataclasses import replace

import aiohttp
import pytest

from shared.admin import Probes, serve_admin
from shared.core.errors import ConfigError
from shared.lacks import Lack
from shared.observability.metrics import GATEWAY_METRICS, Metrics

PROBES = Probes(alive=lambda: True, lacks=list, metrics=Metrics(*GATEWAY_METRICS))


async def test_a_process_that_is_not_ready_says_what_it_lacks() -> None:
    """In one line for whoever asks, from a closed list."""
    lacks: list[Lack] = ["log_away", "spill_full"]
    probes = replace(PROBES, lacks=lambda: lacks)
    async with serve_admin("127.0.0.1", 0, probes) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/readyz") as answer:
            assert (503, {"lacks": ["log_away", "spill_full"]}) == (answer.status, await answer.json())
        lacks.clear()
        async with session.get(f"{url}/readyz") as answer:
            assert (200, "ok\n") == (answer.status, await answer.text())


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_another_machine_is_the_hosts_matter(host: str) -> None:
    """No other port would help."""
    with pytest.raises(ConfigError, match=rf"^CARDWIRE_ADMIN_HOST: cannot listen on {host}:0 \(.+\); expected an add"):
        async with serve_admin(host, 0, PROBES):
            pass


async def test_a_port_that_is_taken_is_the_ports_matter() -> None:
    """Another port would help."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^CARDWIRE_ADMIN_PORT: 127\.0\.0\.1:{port} is taken: expe"):
            async with serve_admin("127.0.0.1", port, PROBES):
                pass
