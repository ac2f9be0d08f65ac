import base64
import binascii
import hashlib
from contextlib import suppress

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from shared.feishu.crypto import Cipher, Undecryptable
from shared.feishu.signature import is_signed, sign, sign_legacy, signed_at

IVS = st.binary(min_size=16, max_size=16)


@given(key=st.text(), plaintext=st.binary(max_size=200), iv=IVS)
def test_decrypting_undoes_encrypting(key: str, plaintext: bytes, iv: bytes) -> None:
    """For any key, any content and any IV."""
    assert plaintext == Cipher(key).decrypt(Cipher(key).encrypt(plaintext, iv=iv))


@given(plaintext=st.binary(max_size=100), iv=IVS, position=st.integers(min_value=0), flip=st.integers(1, 255))
def test_a_changed_byte_never_gives_the_same_plaintext(plaintext: bytes, iv: bytes, position: int, flip: int) -> None:
    """It is refused, or gives something else: only the signature can tell, which is why it is checked first."""
    data = bytearray(base64.b64decode(Cipher("k").encrypt(plaintext, iv=iv)))
    data[position % len(data)] ^= flip
    with suppress(Undecryptable):
        assert plaintext != Cipher("k").decrypt(base64.b64encode(data).decode())


@given(blocks=st.lists(st.tuples(IVS, st.binary(min_size=1, max_size=80)), max_size=5))
def test_decrypting_is_cbc_whatever_was_decrypted_before(blocks: list[tuple[bytes, bytes]]) -> None:
    """The cipher is kept for all callbacks, and the library's own CBC, made anew for each, is the judge."""
    cipher, key = Cipher("k"), hashlib.sha256(b"k").digest()
    for iv, plaintext in blocks:
        encrypted = cipher.encrypt(plaintext, iv=iv)
        padded = AES.new(key, AES.MODE_CBC, iv=iv).decrypt(base64.b64decode(encrypted)[16:])
        assert padded[: -padded[-1]] == cipher.decrypt(encrypted)


@given(text=st.text(alphabet="ABYZaz09+/=-_ \n", max_size=12))
def test_what_the_standard_library_takes_for_no_base64_is_refused(text: str) -> None:
    """Another decoder is faster; it must not be more forgiving."""
    with suppress(binascii.Error):
        base64.b64decode(text, validate=True)
        return
    with pytest.raises(Undecryptable, match="not base64"):
        Cipher("k").decrypt(text)


@given(text=st.text(max_size=100) | st.text(alphabet="A\ud800\udfff", max_size=9))
def test_any_text_is_decrypted_or_refused(text: str) -> None:
    """No input gives another exception."""
    with suppress(Undecryptable):
        Cipher("k").decrypt(text)


@given(
    body=st.binary(max_size=64), timestamp=st.text(), nonce=st.text(), key=st.text(), position=st.integers(min_value=0)
)
def test_a_changed_body_needs_another_signature(
    body: bytes, timestamp: str, nonce: str, key: str, position: int
) -> None:
    """Whatever byte of it was changed, in both styles."""
    changed = bytearray(body or b"x")
    changed[position % len(changed)] ^= 1
    other = bytes(changed)
    new = sign(body, timestamp=timestamp, nonce=nonce, encrypt_key=key)
    assert is_signed(new, new)
    assert not is_signed(new, sign(other, timestamp=timestamp, nonce=nonce, encrypt_key=key))
    old = sign_legacy(body, timestamp=timestamp, nonce=nonce, verification_token=key)
    assert not is_signed(old, sign_legacy(other, timestamp=timestamp, nonce=nonce, verification_token=key))


@given(given_=st.text(), timestamp=st.text())
def test_any_header_is_judged_without_an_exception(given_: str, timestamp: str) -> None:
    """Headers are written by anybody."""
    assert not is_signed(given_ + "x", "a" * 64)
    at = signed_at(timestamp)
    assert at is None or at >= 0
