"""
Encrypted callback bodies. Source: docs/reference/platform.md, "Encryption".

AES-256-CBC; the key is SHA-256 of the Encrypt Key, the first block is the IV, padding is PKCS#7, the whole in
standard base64.
"""

import base64
import hashlib
from typing import Final

import msgspec
from Crypto.Cipher import AES

BLOCK: Final = 16


class Undecryptable(ValueError):
    """Not a ciphertext of this key. Says why in general terms, never what was found inside."""


class Cipher:
    """
    Decrypts, and for the simulator encrypts, with one Encrypt Key.

    A decrypted body is not yet an authentic one: only the signature, checked before, makes it so. To be used by one
    thread.
    """

    def __init__(self, encrypt_key: str) -> None:
        self._key = hashlib.sha256(encrypt_key.encode()).digest()
        # Expanding a key costs more than decrypting a callback with it, so that is done once. In CBC a block takes
        # nothing but the ciphertext's block before it: of what was decrypted earlier only the first block is wrong,
        # and that is where the IV stands.
        self._blocks = AES.new(self._key, AES.MODE_CBC, iv=bytes(BLOCK))

    def decrypt(self, encrypted: str) -> bytes:
        """
        Return the plaintext of the ``encrypt`` member of a body.

        Raises:
            Undecryptable: Not base64, not whole blocks, or the padding is wrong in any byte.
        """
        try:
            # Like the standard library's, and as strict, at a third of the time.
            data = msgspec.convert(encrypted, bytes)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise Undecryptable("not base64") from error
        # Before the cipher is touched: an IV and at least one block, because padding is never empty.
        if len(data) < 2 * BLOCK or len(data) % BLOCK:
            raise Undecryptable("not an IV and whole blocks")
        return _unpadded(self._blocks.decrypt(data))

    def encrypt(self, plaintext: bytes, *, iv: bytes) -> str:
        """Return the ``encrypt`` member for ``plaintext``; ``iv`` is 16 bytes of chance."""
        pad = BLOCK - len(plaintext) % BLOCK
        padded = plaintext + bytes([pad]) * pad
        return base64.b64encode(iv + AES.new(self._key, AES.MODE_CBC, iv=iv).encrypt(padded)).decode()


def _unpadded(padded: bytes) -> bytes:
    """Return what stands between the IV's block and the padding."""
    pad = padded[-1]
    if not 1 <= pad <= BLOCK or padded[-pad:] != bytes([pad]) * pad:
        raise Undecryptable("wrong padding")
    return padded[BLOCK:-pad]
