import base64
from contextlib import suppress

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


@given(text=st.text(max_size=100))
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
