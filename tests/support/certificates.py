"""A small certificate authority for tests, made with the openssl command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_authority(folder: Path, name: str) -> Path:
    """Make a CA and return its PEM certificate; the key lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / f"{name}.pem"
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(folder / f"{name}.key"), "-out", str(certificate)),
    )
    return certificate


def make_server_keystore(folder: Path, authority: Path, host: str = "localhost") -> Path:
    """Make a server certificate for a DNS name, signed by the authority, as a PKCS12 file (password "secret")."""
    key, request, certificate = (folder / f"server.{end}" for end in ("key", "csr", "pem"))
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", str(key), "-out", str(request))
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))),
        *("-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", str(certificate)),
    )
    keystore = folder / "server.p12"
    _openssl(
        *("pkcs12", "-export", "-in", str(certificate), "-inkey", str(key), "-name", "server"),
        *("-passout", "pass:secret", "-out", str(keystore)),
    )
    return keystore


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"openssl {arguments[0]} failed (is it there? apt-get install -y openssl): {done.stderr}"
    )
