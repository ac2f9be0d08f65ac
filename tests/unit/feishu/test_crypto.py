import base64
import hashlib

import pytest
from Crypto.Cipher import AES

from shared.feishu.crypto import Cipher, Undecryptable

CIPHER = Cipher("test key")
IV = bytes(range(16))


@pytest.mark.parametrize("plaintext", [b"", b"x", b"x" * 15, b"x" * 16, b"x" * 17])
def test_what_was_encrypted_is_decrypted(plaintext: bytes) -> None:
    """Padding is added even to whole blocks, and taken off again."""
    assert plaintext == CIPHER.decrypt(CIPHER.encrypt(plaintext, iv=IV))


@pytest.mark.parametrize(
    "encrypted",
    [
        "",
        "not base64!",
        "ключ",
        "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk",
        "P37w-VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=",
        "P37w+VZImNgPEO1R\nBhJ6RtKl7n6zymIbEG1pReEzghk=",
        base64.b64encode(IV).decode(),
        base64.b64encode(bytes(40)).decode(),
    ],
)
def test_what_is_no_ciphertext_is_refused_before_the_cipher_sees_it(encrypted: str) -> None:
    """Only standard base64 of whole blocks with an IV comes through."""
    with pytest.raises(Undecryptable):
        CIPHER.decrypt(encrypted)


@pytest.mark.parametrize(
    "padded",
    [
        b"x" * 15 + b"\x00",
        b"x" * 15 + b"\x11",
        b"\x11" * 32,
        b"\x20" * 32,
        b"x" * 14 + b"\x01\x02",
        b"\x0f" + b"\x10" * 15,
        b"x" * 12 + b"\x04\x03\x04\x04",
    ],
)
def test_every_byte_of_the_padding_is_checked(padded: bytes) -> None:
    """Zero, too much, or one wrong byte among the padding: refused."""
    key = hashlib.sha256(b"test key").digest()
    encrypted = base64.b64encode(IV + AES.new(key, AES.MODE_CBC, iv=IV).encrypt(padded)).decode()
    with pytest.raises(Undecryptable, match="padding"):
        CIPHER.decrypt(encrypted)


def test_a_cipher_does_not_show_its_key() -> None:
    """A key in a traceback or a log line is a key lost."""
    assert "test key" not in repr(CIPHER)
