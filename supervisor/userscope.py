"""A delegated control group for a command at a desk, from the service manager (DESIGN §6, "Levels").

An ordinary user may make control groups only where a manager has delegated some: `systemd-run --user --scope -p
Delegate=yes` (systemd-run(1), systemd.resource-control(5)). A login session has none, and its runs would be held by the
sampler alone. Root may make them anywhere, but with cgroup v2 not below a group that holds processes (cgroups(7), "no
internal processes"), as its own session does: root asks the manager of the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from sandbox.cgroups import Groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Set in the environment of a command that was started again, so that it is not started for ever.
MARK = "AUTOREDUCE_SCOPE"
#: Seconds for the manager to answer.
_PATIENCE = 10.0
_PROPERTIES = ("--scope", "--quiet", "-p", "Delegate=yes", "--")
#: Where the manager of the system listens.
_SYSTEM = "/run/systemd/private"


def wanted(environ: Mapping[str, str], *, has_groups: bool, exists: bool) -> bool:
    """Say whether a scope is to be asked for (pure).

    Args:
        environ: the environment of the command.
        has_groups: whether groups can be made as it is.
        exists: whether the manager and systemd-run are there.
    """
    return MARK not in environ and not has_groups and exists


def enter(words: Sequence[str]) -> None:
    """Start this very command again in a scope of its own, where that is wanted and the manager gives one.

    Returns only if not: the command goes on as it is. Does not return otherwise.

    Args:
        words: the arguments of the command, the verb first.
    """
    program = shutil.which("systemd-run")
    as_root = os.geteuid() == 0
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "systemd", "private")
    exists = program is not None and os.path.exists(_SYSTEM if as_root else own)
    if not exists or not wanted(os.environ, has_groups=_has_groups(), exists=exists):
        return
    assert program is not None
    begin = [program, *([] if as_root else ["--user"]), *_PROPERTIES]
    # Tried with nothing first: a manager that refuses would end the command instead of us.
    try:
        tried = subprocess.run(
            [*begin, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    if tried.returncode == 0:
        again = [*begin, sys.executable, "-P", "-m", "supervisor.cli", *words]
        os.execve(program, again, {**os.environ, MARK: "1"})  # noqa: S606 - no shell is wanted


def _has_groups() -> bool:
    try:
        return Groups.find().available
    except OSError:
        return False
