import pytest

from shared.feishu.signature import is_signed, sign, sign_legacy, signed_at


def test_the_new_signature_covers_time_nonce_key_and_body() -> None:
    """Changing any of them changes the signature."""
    signature = sign(b"{}", timestamp="1749108924", nonce="1", encrypt_key="k")
    others = {
        sign(b"{ }", timestamp="1749108924", nonce="1", encrypt_key="k"),
        sign(b"{}", timestamp="1749108925", nonce="1", encrypt_key="k"),
        sign(b"{}", timestamp="1749108924", nonce="2", encrypt_key="k"),
        sign(b"{}", timestamp="1749108924", nonce="1", encrypt_key="l"),
        sign(b"{}", timestamp="1749108924", nonce="1", encrypt_key=""),
    }
    assert 5 == len(others - {signature})
    assert 64 == len(signature)


def test_the_legacy_signature_is_told_by_its_length() -> None:
    """SHA-1 has 40 digits."""
    assert 40 == len(sign_legacy(b"{}", timestamp="1", nonce="1", verification_token="v"))


@pytest.mark.parametrize("given", [None, "", "ABC", "abd", "abc ", "ab\udcff", "äbc"])
def test_anything_but_the_expected_signature_is_none(given: str | None) -> None:
    """A missing, different, upper-case or unprintable one is refused without an exception."""
    assert not is_signed(given, "abc")


def test_the_expected_signature_is_accepted() -> None:
    """Equal is equal."""
    assert is_signed("abc", "abc")


def test_nothing_is_never_a_signature() -> None:
    """Not even where nothing was expected."""
    assert not is_signed("", "")


def test_header_bytes_that_are_not_utf_8_are_signed_as_they_were_received() -> None:
    """Servers hand such bytes over as surrogates."""
    strange = b"\xff".decode("utf-8", "surrogateescape")
    assert sign(b"\xfe{}", timestamp="", nonce="", encrypt_key="") == sign(
        b"{}", timestamp=b"\xfe".decode("utf-8", "surrogateescape"), nonce="", encrypt_key=""
    )
    assert 40 == len(sign_legacy(b"", timestamp=strange, nonce="", verification_token=""))


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("1749108924", 1749108924000),
        ("0000000000", 0),
        ("Monday, 09-Nov-20 23:33:53 CST", 1604936033000),
        ("Monday, 09-Nov-20 15:33:53 GMT", 1604936033000),
        ("Monday, 09-Nov-20 15:33:53 UTC", 1604936033000),
        ("174910892", None),
        ("17491089245", None),
        ("1749108924.5", None),
        ("+749108924", None),
        ("١٧٤٩١٠٨٩٢٤", None),
        ("1749108924\n", None),
        ("", None),
        ("Monday, 31-Feb-20 23:33:53 CST", None),
        ("Monday, 09-Foo-20 23:33:53 CST", None),
        ("Monday, 09-Nov-20 25:33:53 CST", None),
        ("Monday, 09-Nov-20 23:33:53 PST", None),
        ("Mon, 09 Nov 2020 23:33:53 GMT", None),
    ],
)
def test_a_signed_time_has_one_of_two_forms(timestamp: str, expected: int | None) -> None:
    """Seconds, or an RFC 850 date in which CST is China's; anything else is no time."""
    assert expected == signed_at(timestamp)
