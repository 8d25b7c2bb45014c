"""An NFS client's memory: a name that it has looked for in vain stays absent to it until its folder is opened anew."""

from __future__ import annotations

import builtins
import errno
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def remember_absent(patched: pytest.MonkeyPatch, path: str) -> None:
    """Have every look at `path`, or below it, by its name fail until its folder is opened as a folder."""
    folder = os.path.dirname(path)
    forgotten = False
    real = {name: getattr(os, name) for name in ("open", "stat", "lstat")}

    def refuse(name: Any, dir_fd: int | None) -> None:
        text = os.fspath(name) if not isinstance(name, int) else ""
        if not forgotten and dir_fd is None and (text == path or text.startswith(path + os.sep)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text)

    def open_(name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        nonlocal forgotten
        refuse(name, dir_fd)
        fd: int = real["open"](name, flags, mode, dir_fd=dir_fd)
        if dir_fd is None and os.fspath(name) == folder and flags & os.O_DIRECTORY:
            forgotten = True
        return fd

    def stat(name: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        refuse(name, dir_fd)
        found: os.stat_result = real["stat"](name, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return found

    def lstat(name: Any, *, dir_fd: int | None = None) -> os.stat_result:
        refuse(name, dir_fd)
        found: os.stat_result = real["lstat"](name, dir_fd=dir_fd)
        return found

    def open_file(name: Any, *arguments: Any, **named: Any) -> Any:
        refuse(name, None)
        return builtins_open(name, *arguments, **named)

    builtins_open = builtins.open
    patched.setattr(builtins, "open", open_file)
    patched.setattr(os, "open", open_)
    patched.setattr(os, "stat", stat)
    patched.setattr(os, "lstat", lstat)
