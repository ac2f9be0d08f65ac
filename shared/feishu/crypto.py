"""
Encrypted callback bodies. Source: docs/reference/platform.md, "Encryption".

AES-256-CBC; the key is SHA-256 of the Encrypt Key, the first block is the IV, padding is PKCS#7, the whole in
standard base64.
"""

import base64
import binascii
import hashlib
from typing import Final

from Crypto.Cipher import AES

BLOCK: Final = 16


class Undecryptable(ValueError):
    """Not a ciphertext of this key. Says why in general terms, never what was found inside."""


class Cipher:
    """
    Decrypts, and for the simulator encrypts, with one Encrypt Key.

    A decrypted body is not yet an authentic one: only the signature, checked before, makes it so.
    """

    def __init__(self, encrypt_key: str) -> None:
        self._key = hashlib.sha256(encrypt_key.encode()).digest()

    def decrypt(self, encrypted: str) -> bytes:
        """
        Return the plaintext of the ``encrypt`` member of a body.

        Raises:
            Undecryptable: Not base64, not whole blocks, or the padding is wrong in any byte.
        """
        try:
            data = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Undecryptable("not base64") from error
        # Before the cipher is touched: an IV and at least one block, because padding is never empty.
        if len(data) < 2 * BLOCK or len(data) % BLOCK:
            raise Undecryptable("not an IV and whole blocks")
        return _unpadded(AES.new(self._key, AES.MODE_CBC, iv=data[:BLOCK]).decrypt(data[BLOCK:]))

    def encrypt(self, plaintext: bytes, *, iv: bytes) -> str:
        """Return the ``encrypt`` member for ``plaintext``; ``iv`` is 16 bytes of chance."""
        pad = BLOCK - len(plaintext) % BLOCK
        padded = plaintext + bytes([pad]) * pad
        return base64.b64encode(iv + AES.new(self._key, AES.MODE_CBC, iv=iv).encrypt(padded)).decode()


def _unpadded(padded: bytes) -> bytes:
    pad = padded[-1]
    if not 1 <= pad <= BLOCK or padded[-pad:] != bytes([pad]) * pad:
        raise Undecryptable("wrong padding")
    return padded[:-pad]
