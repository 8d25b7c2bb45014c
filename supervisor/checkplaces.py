"""What `doctor` asks of the folders that a configuration names: data, results, scratch, run directory.

Everything here may hang with its file system; it is meant to run in a process of its own (`supervisor.checkrun`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from supervisor import mounted
from supervisor.checkstore import room
from supervisor.checkup import Finding, Status, caution, failed, passed

if TYPE_CHECKING:
    from collections.abc import Sequence


def data_root(path: str) -> list[Finding]:
    """Look at one of `paths.data_roots`, as this host names it."""
    try:
        os.stat(path)
    except OSError as error:
        return [_absent("data", path, error)]
    if not os.access(path, os.R_OK | os.X_OK):
        text = f"uid {os.geteuid()} may not read it"
        return [failed("data", path, text, "let the service user read it, or remove it from paths.data_roots")]
    return [passed("data", path, _kind(path))]


def result_root(path: str) -> list[Finding]:
    """Look at one of `paths.result_roots`, as this host names it; results may lie far below what can be written."""
    try:
        os.stat(path)
    except OSError as error:
        return [_absent("result", path, error)]
    if not os.access(path, os.X_OK):
        text = f"uid {os.geteuid()} may not enter it"
        return [failed("result", path, text, "let the service user write its results there")]
    below = "" if os.access(path, os.W_OK) else "; results need folders below it that the service user may write"
    return [passed("result", path, f"{_kind(path)}{below}")]


def joined(found: Sequence[Finding], area: str) -> list[Finding]:
    """Return the findings of all roots of one kind (pure): those that are not here on one line.

    A host serves what it has; only one that has none of them can serve nothing.
    """
    here = [each for each in found if each.status is not Status.CAUTION]
    absent = [each for each in found if each.status is Status.CAUTION]
    if not absent:
        return here
    names = ", ".join(each.name for each in absent)
    remedy = f"mount what is to be served, or write paths.{area}_roots without it"
    if not here:
        return [failed(area, names, "none of them is on this host, which can serve no run", remedy)]
    return [*here, caution(area, names, "not on this host: runs that need it are left to hosts that have it", remedy)]


def _absent(area: str, path: str, error: OSError) -> Finding:
    return caution(area, path, (error.strerror or str(error)).lower())


def spool(path: str, slots: int, output: int | None) -> list[Finding]:
    """Look at the folder in which boxes have their scratch.

    Args:
        path: `spool.path`.
        slots: runs at one time.
        output: bytes that each may write, None for no limit.
    """
    if not os.path.isdir(path):
        if os.access(mounted.standing(path), os.W_OK | os.X_OK):
            return [caution("spool", path, "is not there yet; `serve` makes it when it starts")]
        return [failed("spool", path, "is not there", f"install -d -m 0700 -o '#{os.geteuid()}' {path}")]
    if not os.access(path, os.W_OK | os.X_OK):
        return [failed("spool", path, f"uid {os.geteuid()} may not write it", f"chown '#{os.geteuid()}' {path}")]
    found = [passed("spool", path, _kind(path))]
    mount = mounted.here(path)
    if mount is not None and mount.kind not in mounted.LOCAL:
        found = [caution("spool", path, f"lies on {mount.kind}; scratch should be local", "write another spool.path")]
    return [*found, *room("spool", path, slots * (output or 0))]


def run_dir(path: str) -> list[Finding]:
    """Look at the folder of sockets and pid files."""
    if not os.path.isdir(path):
        return [passed("run", path, "is not there yet; `serve` makes it when it starts")]
    if not os.access(path, os.W_OK | os.X_OK):
        return [failed("run", path, f"uid {os.geteuid()} may not write it", f"chown '#{os.geteuid()}' {path}")]
    if os.stat(path).st_mode & 0o007:
        return [failed("run", path, "everybody on this host may reach its sockets", f"chmod o= {path}")]
    return [passed("run", path, "is there, closed to others")]


def _kind(path: str) -> str:
    mount = mounted.here(path)
    return "is there" if mount is None else f"is there, {mount.kind} at {mount.point}"
