"""A configuration file replaced as a whole: the new text stands there or the old one, with mode and owner kept."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Changed(Exception):
    """Somebody else has written the file meanwhile."""


def replace(path: str, old: str, new: str) -> None:
    """Put `new` in the place of the file at `path`; a link is followed, the file that it names is replaced.

    Extended attributes go along where they can (a label of SELinux is one); hard links do not.

    Args:
        path: the file.
        old: its text when it was read; with another text in it by now it is left alone.
        new: its new text.

    Raises:
        Changed: it no longer holds `old`.
        OSError: it cannot be written, or its owner cannot be kept; the old file stands.
    """
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}")
    facts = os.stat(real)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(f'"{path}" is no regular file')
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            if (facts.st_uid, facts.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(fd, facts.st_uid, facts.st_gid)
            os.fchmod(fd, stat.S_IMODE(facts.st_mode))
            _copy_attributes(real, fd)
            file.write(new.encode())
            file.flush()
            os.fsync(fd)
        _check_unchanged(real, old)
        os.rename(temporary, real)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    dirfd = os.open(folder, _DIRECTORY)
    try:
        os.fsync(dirfd)
    finally:
        os.close(dirfd)


def _check_unchanged(path: str, old: str) -> None:
    with open(path, "rb") as file:
        if file.read() != old.encode():
            raise Changed(f'"{path}" was changed meanwhile; look at it and ask again')


def _copy_attributes(path: str, fd: int) -> None:
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(fd, name, os.getxattr(path, name))
