from collections import Counter

import pytest

from tests.chaos.faults import Kill, Misfortune, Restart, draw

MISFORTUNE = Misfortune(kills=8, least=3, processes={"gateway": 2, "worker": 2}, broker_restarts=1)
SEEDS = range(50)


def test_the_same_seed_repeats_the_same_faults() -> None:
    """A run of bad luck can be repeated by its seed, and another seed is another run."""
    assert draw(7, MISFORTUNE, during_s=36) == draw(7, MISFORTUNE, during_s=36)
    assert draw(7, MISFORTUNE, during_s=36) != draw(8, MISFORTUNE, during_s=36)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_falls_inside_the_sending_phase(seed: int) -> None:
    """All faults come in order while clicks are sent: the wanted number, and enough of each process."""
    faults = draw(seed, MISFORTUNE, during_s=36)
    kills = Counter(fault.role for fault in faults if isinstance(fault, Kill))
    assert sorted(fault.at_s for fault in faults) == [fault.at_s for fault in faults]
    assert all(0 < fault.at_s < 36 for fault in faults)
    assert kills.total() == 8
    assert min(kills["gateway"], kills["worker"]) >= 3
    assert sum(isinstance(fault, Restart) for fault in faults) == 1


def test_only_processes_that_exist_are_killed() -> None:
    """A kill names one of the processes of its role."""
    alone = Misfortune(kills=20, least=3, processes={"gateway": 2, "worker": 1}, broker_restarts=0)
    faults = [fault for seed in SEEDS for fault in draw(seed, alone, during_s=100)]
    assert {("gateway", 0), ("gateway", 1), ("worker", 0)} == {
        (fault.role, fault.nth) for fault in faults if isinstance(fault, Kill)
    }
