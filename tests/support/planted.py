"""
Secrets that tests use, and how to find them in what programs say.

A secret of a test is one of `SECRETS`, has the form ``planted-…-1a2b``, or looks like a token of the platform; digests
that sign requests are planted by whoever makes them. No output of any test holds one: see `tests.support.leaks`.
"""

import re
from typing import Final

FORM: Final = re.compile(r"planted-(?:[a-z]+-)+[0-9a-f]{4}")
SECRETS: Final = (
    "secret-of-the-app",
    "key-of-the-app",
    "token-of-the-app",
    "chaos-secret",
    "chaos-key",
    "chaos-token",
    "kudjA9Q2lGrwEXyzTestEncryptKey01",
    "vtok0123456789",
    "s3cr3t-not-real",
    "AAECAwQFBgcICQoLDA0OD",  # how a body begins that tests encrypt: the IV is not left to chance
)
_TOKEN: Final = r"\b[actu]-[0-9A-Za-z_]{16,}"
_ANY: Final = re.compile("|".join([FORM.pattern, _TOKEN, *map(re.escape, SECRETS)]))
_DIGEST: Final = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b")
_signatures: set[str] = set()


def plant(signature: str) -> str:
    """Take a signature for a secret, and return it."""
    _signatures.add(signature)
    return signature


def found_in(text: str) -> re.Match[str] | None:
    """Return the first secret of a text."""
    if found := _ANY.search(text):
        return found
    return next((digest for digest in _DIGEST.finditer(text) if digest[0] in _signatures), None)
