"""Rights of callers over any course of files: what is let in, every worker has had the time to read of."""

from hypothesis import given
from hypothesis import strategies as st

from shared.core.callers import Caller, Callers
from shared.core.effects import Requestable, SendText, UpdateCard
from shared.core.ids import AppId
from shared.core.settling import LONG_KNOWN, Settling

APPS = [AppId("cli_a"), AppId("cli_b")]
EFFECTS: dict[str, Requestable] = {"SendText": SendText("x", "oc_1"), "UpdateCard": UpdateCard("{}")}
NAMES = ["billing", "cron"]
RIGHTS = st.tuples(st.frozensets(st.sampled_from(APPS)), st.frozensets(st.sampled_from(sorted(EFFECTS))))
FILES = st.dictionaries(st.sampled_from(NAMES), RIGHTS).map(
    lambda told: Callers(
        by_name={name: Caller(name=name, apps=apps, effects=effects) for name, (apps, effects) in told.items()}
    )
)


@given(
    files=st.lists(FILES, min_size=1, max_size=6),
    name=st.sampled_from(NAMES),
    app=st.sampled_from(APPS),
    wanted=st.lists(st.sampled_from(sorted(EFFECTS)), min_size=1, max_size=2),
)
def test_a_request_is_as_new_as_the_last_file_that_did_not_allow_it(
    files: list[Callers], name: str, app: AppId, wanted: list[str]
) -> None:
    """Known since the reading after the last file that refused it; since ever, if none did."""
    effects = [EFFECTS[effect] for effect in wanted]
    settling = Settling.from_start(files[0])
    for at, read in enumerate(files[1:], 1):
        settling = settling.then(read, at=at)
    allowed = [name in read.by_name and read.by_name[name].refusal(app, effects) is None for read in files]
    if not allowed[-1]:
        return
    last_refusal = max((at for at, may in enumerate(allowed) if not may), default=None)
    expected = LONG_KNOWN if last_refusal is None else last_refusal + 1
    assert expected == settling.newest(files[-1].by_name[name], app, effects)
