from typing import get_args

import pytest

from shared.feishu.codes import CODES, SECTIONS, Source, Verdict, verdict

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
