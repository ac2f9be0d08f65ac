import msgspec
import pytest

from shared.feishu.members import boolean, exact, joined, members, repaired, string, strings, utf8

LONE = rb'"\ud800"'


def _raw(text: bytes) -> msgspec.Raw:
    return msgspec.Raw(text)


@pytest.mark.parametrize("odd", [b"1", LONE], ids=["fast parser", "scanner"])
@pytest.mark.parametrize(
    "text",
    [
        b"1e400",
        b"1" * 30,
        b"1" * 5000,
        b'"\\u0000"',
        b"[ 1 , 2 ]",
        b'{"b": {"a":[]}, "b":2}',
        b"null",
        b"-0.0",
        b'"\xe5\xa5\xbd"',
    ],
)
def test_a_member_is_cut_out_exactly_as_it_was_written(text: bytes, odd: bytes) -> None:
    """Neither parser rounds, reorders or respaces what it does not have to understand."""
    found = members(b' {"odd" : ' + odd + b' ,"it":\t' + text + b'\n, "end":1 } ')
    assert found is not None
    assert [text.decode(), "1"] == [exact(found["it"]), exact(found["end"])]


def test_an_empty_object_has_no_members() -> None:
    """Nothing is not an error, with or without space."""
    assert [{}, {}] == [members(b"{}"), members(b" { } ")]


def test_a_name_may_be_written_with_escapes() -> None:
    """A token does not hide behind another spelling of its name."""
    assert ["token"] == list(members(rb'{"tok\u0065n":1}') or {})
    assert ["token", "odd"] == list(members(rb'{"tok\u0065n":1,"odd":"\ud800"}') or {})


@pytest.mark.parametrize("odd", [b"1", LONE], ids=["fast parser", "scanner"])
def test_of_members_with_the_same_name_the_last_counts(odd: bytes) -> None:
    """Both parsers agree, so nobody can say one thing to one and another to the other."""
    found = members(b'{"a":1,"a":2,"odd":' + odd + b"}")
    assert found is not None
    assert "2" == exact(found["a"])


@pytest.mark.parametrize("text", [b"[]", b'"a"', b"1", b"null", b"true", b"1e400", rb'["\ud800"]', LONE])
def test_what_is_no_object_has_none(text: bytes) -> None:
    """Other JSON is told from an object, not refused as broken."""
    assert members(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"{}x", b'{"a":1,}', b'{"a" 1}', b"{a:1}", b'{"a":}', b'{"a":NaN}', b'{"a":-Infinity}',
        b'{"a":"\n"}', b'{"a":"\x00"}', b'{"a":01}', b'{"a":"\\x"}', b"\xef\xbb\xbf{}",
        rb'{"a":"\ud800"', rb'{"a":"\ud800"} x',
        rb'{"a":"\ud800","b":NaN}', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """Broken, too deep, or JavaScript rather than JSON."""
    with pytest.raises(ValueError, match=r"."):
        members(text)


def test_members_are_put_together_as_they_were() -> None:
    """Values stay byte for byte; names that UTF-8 cannot carry become escapes."""
    assert '{"a":[ 1 ],"好":2}' == joined({"a": _raw(b"[ 1 ]"), "好": _raw(b"2")})
    assert '{"\\ud800":"\\udc00"}' == joined({"\ud800": _raw(rb'"\udc00"')})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"\xe5\xa5\xbd"', "好"),
        (b'""', ""),
        (rb'"a\ud800\u0000"', "a\ufffd\x00"),
        (rb'"\ud83d\ude00"', "😀"),
        (b"1", None),
        (b"null", None),
        (b"{}", None),
        (None, None),
    ],
)
def test_a_string_comes_out_fit_for_utf_8(text: bytes | None, expected: str | None) -> None:
    """Lone surrogates are replaced, other types are no string."""
    assert expected == string(None if text is None else _raw(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'["a","b"]', ("a", "b")),
        (b"[]", ()),
        (rb'["a","\ud800"]', ("a", "\ufffd")),
        (rb'["a",null,"\ud800"]', None),
        (rb'["a",{},"\ud800"]', None),
        (rb'["a",1,"\ud800"]', None),
        (rb'["a",1e400,"\ud800"]', None),
        (b'["a",1]', None),
        (b'"a"', None),
        (LONE, None),
        (b"null", None),
        (None, None),
    ],
)
def test_a_list_of_strings_is_that_or_nothing(text: bytes | None, expected: tuple[str, ...] | None) -> None:
    """Half a choice would be another choice."""
    assert expected == strings(None if text is None else _raw(text))


@pytest.mark.parametrize(
    ("text", "expected"), [(b"true", True), (b"false", False), (b"1", None), (b'"true"', None), (None, None)]
)
def test_only_true_and_false_are_truth_values(text: bytes | None, expected: object) -> None:
    """A one or a word is something else."""
    assert expected is boolean(None if text is None else _raw(text))


def test_surrogates_encoded_one_by_one_become_escapes() -> None:
    """Some encoders write them as bytes that are not UTF-8; they mean the same as the escape."""
    assert rb'{"a":"\ud800"}' == utf8(b'{"a":"\xed\xa0\x80"}')


def test_other_bytes_that_are_not_utf_8_are_refused() -> None:
    """There is no telling what they mean."""
    with pytest.raises(ValueError, match="decode"):
        utf8(b'{"a":"\xff"}')


def test_repairing_leaves_whole_characters_alone() -> None:
    """Only lone surrogates are replaced."""
    assert "好😀" == repaired("好😀")
    assert "a\ufffd" == repaired("a\udfff")
