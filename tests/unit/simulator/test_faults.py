from collections import Counter

import pytest

from simulator.faults import HARMLESS, ON_CALLBACKS, FaultRule, Faults, Faulty

PATHS = [f"/open-apis/im/v1/messages/om_{n}" for n in range(200)]


def faults(*rules: FaultRule, seed: int = 7) -> Faults:
    """Return faults with these rules in force."""
    made = Faults()
    made.set(seed, rules)
    return made


def test_without_rules_nothing_happens() -> None:
    """No rules, no faults."""
    assert HARMLESS == Faults().meet("GET", "/x")


def test_what_happens_is_decided_by_the_seed_and_not_by_the_order_of_paths() -> None:
    """Two runs that meet the same paths in other orders have the same faults."""
    rules = (FaultRule(path="*", kind="500", p=0.3), FaultRule(path="*", kind="drop_after", p=0.3))
    one, other = faults(*rules), faults(*rules)
    there = {path: [one.meet("PATCH", path) for _ in range(3)] for path in PATHS}
    back: dict[str, list[Faulty]] = {path: [] for path in PATHS}
    for _ in range(3):
        for path in reversed(PATHS):
            back[path].append(other.meet("PATCH", path))
    assert there == back
    assert there != {path: [faults(*rules, seed=8).meet("PATCH", path)] * 3 for path in PATHS}


def test_a_rule_fires_as_often_as_it_says() -> None:
    """Of 2,000 calls about a quarter is hit."""
    made = faults(FaultRule(path="*", kind="429", p=0.25))
    hit = Counter(made.meet("PATCH", path).kind for path in PATHS for _ in range(10))
    assert 400 < hit["429"] < 600


def test_a_rule_concerns_its_paths_only() -> None:
    """A pattern tells which calls are meant."""
    made = faults(FaultRule(path="/open-apis/im/v1/chats/*", kind="500", p=1))
    assert ("500", None) == (
        made.meet("PUT", "/open-apis/im/v1/chats/oc_1").kind,
        made.meet("PATCH", "/open-apis/im/v1/messages/om_1").kind,
    )


def test_delays_add_up_and_the_first_other_fault_counts() -> None:
    """A call may be late and fail, but it fails in one way."""
    made = faults(
        FaultRule(path="*", kind="delay", p=1, ms=20),
        FaultRule(path="*", kind="500", p=1),
        FaultRule(path="*", kind="429", p=1),
        FaultRule(path="*", kind="delay", p=1, ms=30),
    )
    assert Faulty(delay_ms=50, kind="500") == made.meet("GET", "/x")


@pytest.mark.parametrize(("ms", "reset_s"), [(0, 1), (1_000, 1), (4_200, 5)])
def test_a_429_tells_how_long_to_wait(ms: int, reset_s: int) -> None:
    """In whole seconds, as the platform's header, and never less than one."""
    assert Faulty(kind="429", reset_s=reset_s) == faults(FaultRule(path="*", kind="429", p=1, ms=ms)).meet("GET", "/x")


def test_callbacks_meet_only_what_happens_on_the_way() -> None:
    """A rule for every path refuses no callback: refusing is the receiver's business."""
    made = faults(FaultRule(path="*", kind="500", p=1), FaultRule(path="*", kind="duplicate", p=1))
    assert "duplicate" == made.meet("POST", "/webhook/card", ON_CALLBACKS).kind


def test_setting_rules_begins_anew() -> None:
    """The same seed set again has the same faults from the start."""
    made = faults(FaultRule(path="*", kind="500", p=0.5))
    first = [made.meet("GET", "/x").kind for _ in range(20)]
    made.set(7, [FaultRule(path="*", kind="500", p=0.5)])
    assert first == [made.meet("GET", "/x").kind for _ in range(20)]
