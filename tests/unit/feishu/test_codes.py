import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from shared.core.events import TOO_OLD
from shared.feishu.codes import CODES, SECTIONS, Sense, Source, Verdict, sense, verdict
from shared.feishu.openapi import PlatformError

EXPECTED: dict[Verdict, set[int]] = {
    "retry": {1500, 2200, 4006, 5000, 10101, 10500, 18121, 200810, 230049, 300120, 300317},
    "refresh_token": {99991661, 99991663, 99991664, 99991665, 99991671},
    "rate_limit": {99991400, 11232, 11233, 11247, 230020, 232019},
    "configuration": {
        10005, 10012, 10013, 10014, 10015, 99991201, 99991401, 99991403, 99991543, 99991662, 99991672, 99991673,
        99991676, 99991679, 230006, 232004, 232025, 232034,
    },
    "target_final": {
        9499, 10002, 10003, 99991668, 99991677, 99992351, 99992352, 99992353, 99992354, 99992355, 99992356, 99992359,
        99992360, 99992361, 99992363, 99992364, 99992381, 99992402, 230001, 230002, 230011, 230013, 230015, 230017,
        230018, 230019, 230022, 230025, 230027, 230028, 230029, 230031, 230034, 230035, 230036, 230038, 230050, 230053,
        230054, 230055, 230075, 230099, 230110, 232001, 232002, 232006, 232008, 232009, 232010, 232011, 232016, 232023,
        232026, 232033,
        230071, 11311, 100000, 100030, 200000, 200310, 200320, 300020, 300030, 300040, 300090, 18051, 200220, 200510,
        200740, 200750, 200770, 200850, 200860, 300121, 300122, 300301, 300302, 300303, 300305, 300307, 300309, 300310,
        300311, 300312, 300313, 300314, 300315,
    },
}  # fmt: skip
SENSES: dict[Sense, set[int]] = {
    "too_old": {230031, 200750},
    "done_before": {18051, 200770},
    "busy": {200810},
    "sequence": {300317},
    "streaming_off": {200510, 200850, 300309},
    "whole_api": {99991400, 11232, 11247},
    "credentials": {10003, 10014, 10015, 99991543},
    "bad_ticket": {10012},
}
TABLE, OF_THE_FOLD = "shared/feishu/codes.py", "shared/core/events/outcomes.py"
ROOT = Path(__file__).parents[3]
ROWS = [(code, expected) for expected, codes in EXPECTED.items() for code in sorted(codes)]


@pytest.mark.parametrize(("code", "expected"), ROWS)
def test_a_documented_code_means_what_its_document_says(code: int, expected: Verdict) -> None:
    """The HTTP status beside it does not change it, except 429."""
    assert [expected] * 3 == [verdict(code, status) for status in (200, 400, 500)]


def test_every_row_of_the_table_is_expected_here() -> None:
    """No code slips in untested."""
    assert set(CODES) == {code for code, _ in ROWS}


def test_every_row_names_its_source() -> None:
    """A table without sources is a rumour."""
    assert set(SECTIONS) == set(get_args(Source)) == {row.source for row in CODES.values()}
    assert [] == [code for code, row in CODES.items() if not row.meaning]


@pytest.mark.parametrize("expected", get_args(Sense))
def test_what_some_codes_say_besides_is_said_by_them_alone(expected: Sense) -> None:
    """Whoever acts on it asks for that, and need not know a number."""
    assert SENSES[expected] == {code for code, row in CODES.items() if row.sense == expected}
    errors = [PlatformError(code=code, http_status=400, verdict="retry") for code in SENSES[expected]]
    assert {expected} == {error.sense for error in errors}


@pytest.mark.parametrize("code", [None, 0, 4242, 230002])
def test_other_codes_say_nothing_besides(code: int | None) -> None:
    """Known or not."""
    assert sense(code) is None


def codes_written_in(package: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a package that name a code of the table, with the code."""
    for file in sorted((ROOT / package).rglob("*.py")):
        with file.open("rb") as lines:
            numbers = {token.string for token in tokenize.tokenize(lines.readline) if token.type == tokenize.NUMBER}
        codes = {number for number in numbers if len(number) >= len("10002") and number.isdecimal()}
        yield from ((str(file.relative_to(ROOT)), code) for code in sorted(codes) if int(code) in CODES)


def test_no_other_module_knows_a_code() -> None:
    """But the fold, which reads the codes of stored outcomes: a new code is a row here and nothing else."""
    assert SENSES["too_old"] == TOO_OLD
    assert [(OF_THE_FOLD, str(code)) for code in sorted(TOO_OLD)] == [
        found for package in ("gateway", "worker", "shared") for found in codes_written_in(package) if found[0] != TABLE
    ]


@pytest.mark.parametrize("code", [None, 0, 230031, 4242])
def test_too_many_requests_is_a_rate_limit_whatever_the_code(code: int | None) -> None:
    """The status alone is documented to say so."""
    assert "rate_limit" == verdict(code, 429)


@pytest.mark.parametrize(
    ("status", "expected"), [(200, "target_final"), (400, "target_final"), (500, "retry"), (503, "retry")]
)
def test_an_unknown_code_is_final_unless_the_platform_is_in_trouble(status: int, expected: Verdict) -> None:
    """Nearly all undocumented codes blame a parameter, and repeating cannot mend it."""
    assert expected == verdict(4242, status)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "retry"), (204, "retry"), (302, "configuration"), (400, "retry"), (401, "refresh_token"),
        (403, "configuration"), (404, "configuration"), (408, "retry"), (413, "target_final"), (500, "retry"),
        (502, "retry"), (504, "retry"),
    ],
)  # fmt: skip
def test_without_a_code_the_status_decides(status: int, expected: Verdict) -> None:
    """A proxy's page, a redirect, a truncated reply: not the platform's own word."""
    assert expected == verdict(None, status)
