"""A small certificate authority for tests, made with the openssl command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from javabroker import STORE_PASSWORD

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


def make_server_keystore(folder: Path, authority: Path, host: str = "localhost", *, days: int = 2) -> Path:
    """Make a server certificate for a DNS name, signed by the authority, as a PKCS12 file; one of -1 days is expired."""
    certificate, key = make_pair(folder, authority, host, days=days)
    keystore = certificate.with_suffix(".p12")
    _openssl(
        *("pkcs12", "-export", "-in", str(certificate), "-inkey", str(key), "-name", "server"),
        *("-passout", f"pass:{STORE_PASSWORD}", "-out", str(keystore)),
    )
    return keystore


def make_pair(folder: Path, authority: Path, name: str, *, days: int = 2) -> tuple[Path, Path]:
    """Make a certificate for a DNS name, signed by the authority, and return it and its key, both PEM."""
    folder.mkdir(parents=True, exist_ok=True)
    key, request, certificate = (folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))),
        *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(certificate)),
    )
    return certificate, key


def make_truststore(authority: Path) -> Path:
    """Make a PKCS12 file with the authority alone, for a broker that asks its clients for certificates."""
    store = authority.with_suffix(".trust.p12")
    _run(
        *("keytool", "-importcert", "-noprompt", "-alias", "authority", "-file", str(authority)),
        *("-keystore", str(store), "-storetype", "PKCS12", "-storepass", STORE_PASSWORD),
        install="default-jre-headless",
    )
    return store


def _openssl(*arguments: str) -> None:
    _run("openssl", *arguments, install="openssl")


def _run(*command: str, install: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise AssertionError(f"{command[0]} is missing; run: apt-get install -y {install}") from None
    assert done.returncode == 0, f"{command[0]} {command[1]} failed: {done.stderr}{done.stdout}"
