"""
A certificate authority of a test's own, made with the openssl program.

Certificates are good for two days, keys are as small as is safe, and nothing outlives the folder.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import ServiceMissing

DAYS: Final = 2
ISSUE_S: Final = 30.0

_CONFIG: Final = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:{host}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """
    A server's certificate.

    Attributes:
        certificate: PEM file.
        key: PEM file of its unencrypted key (PKCS 8).
        both: PEM file with the key and the certificate, as Kafka wants them.
    """

    certificate: Path
    key: Path
    both: Path


class Authority:
    """
    Who signs.

    Attributes:
        certificate: PEM file of those who trust it.
    """

    def __init__(self, folder: Path, *, name: str = "ca") -> None:
        """
        Make an authority whose files lie in ``folder``.

        Raises:
            ServiceMissing: There is no openssl; says how to get it.
        """
        self._openssl = _openssl()
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        self._sign(f"/CN=Tests {name}", self._key, self.certificate, "authority", "none")

    def issue(self, host: str) -> Certificate:
        """Return a new certificate of a server that is reached by this name."""
        key, certificate = self._folder / f"{host}.key", self._folder / f"{host}.pem"
        by = ["-CA", str(self.certificate), "-CAkey", str(self._key)]
        self._sign(f"/CN={host}", key, certificate, "server", host, *by)
        both = self._folder / f"{host}.both.pem"
        both.write_text(key.read_text() + certificate.read_text())
        return Certificate(certificate=certificate, key=key, both=both)

    def _sign(self, subject: str, key: Path, certificate: Path, kind: str, host: str, *by: str) -> None:
        config = self._folder / "openssl.cnf"
        config.write_text(_CONFIG.format(host=host))
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", str(key)]
        form = ["-config", str(config), "-extensions", kind, "-subj", subject, "-days", str(DAYS)]
        command = [self._openssl, "req", "-x509", *new, *form, "-out", str(certificate), *by]
        made = subprocess.run(command, capture_output=True, text=True, timeout=ISSUE_S, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"openssl failed: {made.stderr.strip()}")


def _openssl() -> str:
    found = shutil.which("openssl")
    if found is None:
        raise ServiceMissing("Certificates for tests need OpenSSL 3 (Debian: apt install openssl)")
    return found
