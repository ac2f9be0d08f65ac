from collections.abc import AsyncIterator

import aiohttp
import pytest

from shared.clock import ManualClock
from shared.core.secret import Secret
from shared.settings import CallbackSettings
from simulator.app import RunningSimulator, run_simulator
from simulator.settings import SimulatorSettings
from tests.unit.simulator.asking import Asking
from tests.unit.simulator.receiver import Receiver, run_receiver
from tests.unit.simulator.world import START_MS


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that only the test moves."""
    return ManualClock(START_MS)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Run a receiver of callbacks."""
    async with run_receiver() as running:
        yield running


@pytest.fixture
async def sim(clock: ManualClock, receiver: Receiver) -> AsyncIterator[RunningSimulator]:
    """Run a simulator that sends its callbacks to the receiver."""
    settings = SimulatorSettings(
        port=0,
        seed=1,
        callback_urls=(receiver.url,),
        callbacks=CallbackSettings(encrypt_key=Secret("k"), verification_token=Secret("v")),
    )
    async with run_simulator(settings, clock=clock) as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client session."""
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def ask(session: aiohttp.ClientSession, sim: RunningSimulator) -> Asking:
    """Return a client of the running simulator."""
    return Asking(session, sim.control_url)
