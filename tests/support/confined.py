"""Children under the guards that a process puts on itself, as we are and, when we are root, as an ordinary user too."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from sandbox.linux import fork, keyring, landlock, libc, prctl, seccomp, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A user that owns nothing.
NOBODY = 65534
ORDINARY = "as an ordinary user"
IDENTITIES = ["as we are", ORDINARY] if os.geteuid() == 0 else ["as we are"]
#: What any program needs to read.
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc", "/proc", "/sys/devices/system/cpu", "/sys/devices/system/node")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/shm")


def become(identity: str) -> None:
    """Gives up root for good, if the identity says so."""
    if identity == ORDINARY:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        libc.prctl(4, 1)  # PR_SET_DUMPABLE: as a process that never was anybody else


def forgo_capabilities() -> None:
    """Empties the bounding set, so that the next program of root has no capability; for others it is without effect."""
    for number in range(64):
        try:
            libc.prctl(24, number)  # PR_CAPBSET_DROP
        except OSError:  # EPERM: there is none to lose; EINVAL: that was the last one
            return


def attempt(act: Callable[[], object], identity: str = "as we are") -> str:
    """Runs `act` in a forked child: the text of what it returns, or the name of its OSError."""

    def child() -> str:
        become(identity)
        try:
            return str(act())
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))

    return trial.run(child)


def under_filter(act: Callable[[], object], program: bytes | None = None) -> Callable[[], object]:
    """`act`, after the filter of system calls."""
    code = seccomp.assemble() if program is None else program

    def filtered() -> object:
        prctl.forgo_new_privileges()
        seccomp.install(code)
        return act()

    return filtered


def under_rules(act: Callable[[], object], **rules: object) -> Callable[[], object]:
    """`act`, after the rules of Landlock."""
    use = rules.pop("use", None)

    def ruled() -> object:
        prctl.forgo_new_privileges()
        landlock.Ruleset(**rules).restrict(use)
        return act()

    return ruled


def folder() -> Iterator[str]:
    """A folder in which anybody may work; the body of a fixture."""
    path = tempfile.mkdtemp(prefix="confined-")
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


def run_python(text: str, place: str, identity: str = "as we are", **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a script under keyring, Landlock and filter together, with `place` as its only folder to write in."""
    # Our own interpreter may lie where an ordinary user cannot go.
    python = sys.executable if identity != ORDINARY else "/usr/bin/python3"
    script, output = os.path.join(place, "script.py"), os.path.join(place, "output.txt")
    with open(script, "w", encoding="utf-8") as file:
        file.write(text)
    prefixes = () if identity == ORDINARY else (sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix))
    read = tuple(path for path in (*SYSTEM, *prefixes) if os.path.exists(path))
    write = (place, *DEVICES)
    code = seccomp.assemble()

    def child() -> int:
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        forgo_capabilities()
        become(identity)
        os.chdir(place)
        os.setsid()
        keyring.join_new_session()
        prctl.forgo_new_privileges()
        landlock.Ruleset(read=read, write=write, network=True).restrict()
        seccomp.install(code)
        fork.default_signals()
        fork.unblock_signals()
        os.execve(python, [python, script], {"HOME": place, "TMPDIR": place, "PATH": "/usr/bin:/bin", **env})
        return 127

    status = os.waitstatus_to_exitcode(os.waitpid(fork.fork_into(child), 0)[1])
    with open(output, encoding="utf-8", errors="replace") as file:
        return subprocess.CompletedProcess([python, script], status, stdout=file.read())
