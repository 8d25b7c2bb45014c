"""The files that a configuration names: whether this host has them, and the broker's password out of one of them.

Asked by `check-config` and when the service starts; the parser itself never looks at a file system.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from supervisor import tomltext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from supervisor.settings import Settings
    from supervisor.settings_messages import Broker

#: Where bare interpreter names are looked up: the PATH that boxes get, not that of whoever asks.
BOX_PATH = "/usr/local/bin:/usr/bin:/bin"
#: Longest password file; systemd takes credentials of up to 1 MiB, a password is a line.
_LONGEST = 4096


class PasswordError(Exception):
    """The broker's password cannot be had; the sentence says why and what mends it."""


def problems(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Returns one sentence for each file that the configuration names and this host does not offer.

    Args:
        settings: The configuration.
        environ: The environment of the service; systemd names the folder of credentials in it.
    """
    return [*_broker_problems(settings.broker, environ), *_interpreter_problems(settings)]


def password(broker: Broker, environ: Mapping[str, str]) -> str:
    """Returns the first line of the password file or credential; empty where the broker needs no password.

    Raises:
        PasswordError: The file cannot be read, is empty, or everybody can read it.
    """
    if broker.credential:
        folder = environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise PasswordError(
                "broker.credential: systemd passed no credentials; add to the unit "
                f"LoadCredential={broker.credential}:/path, or write password_file"
            )
        return _first_line("broker.credential", os.path.join(folder, broker.credential))
    return _first_line("broker.password_file", broker.password_file) if broker.password_file else ""


def _broker_problems(broker: Broker, environ: Mapping[str, str]) -> Iterator[str]:
    try:
        password(broker, environ)
    except PasswordError as error:
        yield str(error)
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(broker, key)
        if not path:
            continue
        try:
            with open(path, "rb") as file:
                begins = file.read(_LONGEST)
        except OSError as error:
            yield f"broker.{key}: cannot read {path}: {_reason(error)}"
            continue
        if b"-----BEGIN " not in begins:
            yield f"broker.{key}: {path} is not in PEM form (no -----BEGIN line)"


def _interpreter_problems(settings: Settings) -> Iterator[str]:
    chosen = {"interpreter.argv": settings.interpreter.argv}
    if settings.interpreter.conda_argv:
        chosen["interpreter.conda_argv"] = settings.interpreter.conda_argv
    for table in ("instrument", "software", "conda"):
        for name, own in getattr(settings.interpreter, table).items():
            if own.argv is not None:
                chosen[tomltext.path(("interpreter", table, name, "argv"))] = own.argv
    for key, argv in chosen.items():
        if shutil.which(argv[0], path=BOX_PATH) is None:
            where = "cannot be run" if "/" in argv[0] else f"is not found in {BOX_PATH}"
            yield f"{key}: {argv[0]} {where}; write the full path of a program that is installed on this host"


def _first_line(key: str, path: str) -> str:
    try:
        # Non-blocking: a FIFO put in its place would otherwise hold the service for ever.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            body = file.read(_LONGEST + 1) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise PasswordError(f"{key}: cannot read {path}: {_reason(error)}") from None
    if status.st_mode & stat.S_IRWXO:
        raise PasswordError(f"{key}: everybody on this host may read {path}; run chmod o= {path}")
    if len(body) > _LONGEST:
        raise PasswordError(f"{key}: {path} is longer than {_LONGEST} bytes; its first line should be the password")
    try:
        line = (body.decode().splitlines() or [""])[0]
    except UnicodeDecodeError:
        raise PasswordError(f"{key}: {path} is not UTF-8 text") from None
    if not line:
        raise PasswordError(f"{key}: {path} is empty; write the password on its first line")
    return line


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
