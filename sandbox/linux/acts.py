"""The forbidden acts, tried: a program that runs as the script of a box and says of each act whether it was stopped.

One file of the standard library for any Python from 3.8 on, handed to the box as its text: nothing of ours is
importable there. It is aimed at things of the host that `sandbox.bait` has laid out and names in its last argument.
Each act is harmless where it is let through: signal 0, a bind of nothing, a lookup, a byte that is read and not shown.

For each act it prints one line, as soon as it knows: the mark, then a JSON list of the act's name, whether it was
stopped, and how. A guard holds when all of its acts were stopped.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "autoreduce act "
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER = 0x10000000
_BIND = 4096
_SESSION_KEYRING = -3
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_MIB = 1 << 20
#: Forks of the act that forks, at most, whatever the limit.
_MOST_FORKS = 2000
#: Seconds that memory is held for whoever looks only now and then, and that a process stays behind.
_HELD, _STAYING = 5, 60
_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class LetThrough(Exception):
    """The act was done."""


def _c(name: str, *arguments: Any) -> int:
    """Calls the C library; -1 raises OSError."""
    result = getattr(_LIBC, name)(*[ctypes.c_long(each) if isinstance(each, int) else each for each in arguments])
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def _text(path: str, count: int = 1 << 16) -> str:
    with open(path, "rb") as file:
        return file.read(count).decode("utf-8", "replace")


def _status(key: str) -> str:
    lines = dict(line.split(":", 1) for line in _text("/proc/self/status").splitlines() if ":" in line)
    return lines[key].strip()


def _must_be(what: str, found: object, wanted: object) -> str:
    if found != wanted:
        raise LetThrough(f"{what} {found}")
    return f"{what} {found}"


def _must_have_none(what: str, found: list[str]) -> str:
    if found:
        raise LetThrough(f"{what} {', '.join(found[:5])}")
    return "none"


def _refused(act: Callable[..., object], *arguments: Any) -> str:
    """Does it; whatever error comes is the answer."""
    try:
        act(*arguments)
    except OSError as error:
        return _name(error)
    raise LetThrough("was let through")


def _denied(act: Callable[..., object], *arguments: Any) -> str:
    """Does it; only an error of permission is the answer, since any other comes from behind the door."""
    try:
        act(*arguments)
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EACCES, errno.ENOSYS}:
            return _name(error)
        raise LetThrough(f"was let through as far as {_name(error)}") from error
    raise LetThrough("was let through")


def _in_child(act: Callable[[], object]) -> None:
    """Does it in a child, so that this process stays as it is; raises the child's OSError."""
    pid = os.fork()
    if pid == 0:
        number = 255
        try:
            act()
            number = 0
        except OSError as error:
            number = min(error.errno or 255, 255)
        finally:
            os._exit(number)
    status = os.waitpid(pid, 0)[1]
    if status:
        raise OSError(os.WEXITSTATUS(status) if os.WIFEXITED(status) else errno.EPERM, "in a child")


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def _dial(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as dialled:
        dialled.settimeout(2)
        dialled.connect(address)


def _rob(pid: int) -> None:
    process = _c("syscall", _PIDFD_OPEN, pid, 0)
    try:
        os.close(_c("syscall", _PIDFD_GETFD, process, 0, 0))
    finally:
        os.close(process)


def _strangers() -> list[str]:
    """Lists the processes that are seen and are neither the init nor of this box."""
    mine = b"AUTOREDUCE_BOX=" + os.environ.get("AUTOREDUCE_BOX", "").encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in {1, os.getpid()}:
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mine in file.read():
                    continue
        except FileNotFoundError:
            continue
        except OSError:
            pass
        found.append(name)
    return found


class _Acts:
    """The acts, each with what it is aimed at; an answer is how it was stopped."""

    def __init__(self, aim: dict[str, Any], out: str) -> None:
        self.aim = aim
        self.out = out

    def namespace(self, name: str) -> str:
        here = os.readlink(f"/proc/self/ns/{name}")
        if here == self.aim["namespaces"][name]:
            raise LetThrough("is the host's")
        return "own"

    def ids(self) -> str:
        counts = [line.split()[2] for line in _text("/proc/self/uid_map").splitlines()]
        return _must_be("ids in the map:", " ".join(counts), "1")

    def bind(self) -> str:
        return _denied(_c, "mount", b"/nothing/of/this/name", b"/", None, _BIND, None)

    def read(self, path: str) -> str:
        return _refused(_text, path, 1)

    def marker(self) -> str:
        return _refused(_text, self.aim["marker"], 1)

    def create(self, folder: str) -> str:
        return _refused(_create, f"{folder}/autoreduce-act-{self.aim['mark']}")

    def see(self) -> str:
        return _must_have_none("sees", _strangers())

    def signal_prover(self) -> str:
        pid, start = self.aim["process"]
        try:
            os.kill(pid, 0)
            fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
        except OSError as error:
            return _name(error)
        if int(fields[19]) == start:
            raise LetThrough("may be signalled")
        return "another process has its number"

    def signal_all(self) -> str:
        try:
            os.kill(-1, 0)
        except OSError as error:
            return _name(error)
        return _must_have_none("may signal", _strangers())

    def init_descriptors(self) -> str:
        return _refused(os.readlink, "/proc/1/fd/0")

    def rob_init(self) -> str:
        return _refused(_rob, 1)

    def interfaces(self) -> str:
        names = [line.split(":")[0].strip() for line in _text("/proc/self/net/dev").splitlines()[2:]]
        return _must_have_none("sees", [name for name in names if name != "lo"])

    def port(self) -> str:
        return _refused(_dial, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", self.aim["port"]))

    def abstract(self) -> str:
        return _refused(_dial, socket.AF_UNIX, socket.SOCK_STREAM, bytes.fromhex(self.aim["abstract"]))

    def way_out(self) -> str:
        # An address for documents (RFC 5737); connecting a datagram socket looks up the route and sends nothing.
        return _refused(_dial, socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 9))

    def shared_memory(self) -> str:
        key = self.aim["shared_memory"]
        return _refused(_c, "shmget", key, 0, 0) if key else "the host has none"

    def rename_host(self) -> str:
        return _refused(socket.sethostname, socket.gethostname())

    def capabilities(self) -> str:
        return _must_have_none("holds", [name for name in _SETS if int(_status(name), 16)])

    def status(self, key: str, wanted: str) -> str:
        return _must_be(key, _status(key), wanted)

    def unshare(self) -> str:
        return _denied(_in_child, lambda: _c("unshare", _NEW_USER))

    def keyctl(self) -> str:
        return _denied(_c, "syscall", self.aim["calls"]["keyctl"], 0, _SESSION_KEYRING, 0)

    def ring(self) -> str:
        return _denied(_c, "syscall", self.aim["calls"]["io_uring_setup"], 0, 0)

    def lease(self) -> str:
        # A file of its own, to which nothing but the filter keeps it from having a lease.
        fd = os.open(os.path.join(self.out, "leased"), os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            return _denied(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        finally:
            os.close(fd)

    def keys(self) -> str:
        try:
            found = _c("syscall", self.aim["calls"]["keyctl"], 0, _SESSION_KEYRING, 0)
        except OSError as error:
            return _name(error)
        if found == self.aim["session"]:
            raise LetThrough("has the host's session keyring")
        return "a keyring of its own"

    def comm(self) -> str:
        # A file of every process's own, which nothing but Landlock keeps it from writing.
        return _denied(lambda: os.close(os.open("/proc/self/comm", os.O_WRONLY)))

    def core(self) -> str:
        # Ours is 1; where the service itself was started with 0, nobody may raise it.
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        return _must_be("core size", limit, min(limit, 1) if limit >= 0 else 1)

    def open_files(self) -> str:
        taken: list[int] = []
        try:
            while len(taken) <= self.aim["open_files"]:
                taken.append(os.dup(0))
        except OSError as error:
            return f"{_name(error)} after {len(taken)}"
        finally:
            for fd in taken:
                os.close(fd)
        raise LetThrough(f"opened {len(taken)} files")

    def raise_limit(self) -> str:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))
        except (OSError, ValueError):
            return "refused"
        raise LetThrough("was let through")

    def variables(self) -> str:
        return _must_have_none("sees", sorted(set(os.environ) & set(self.aim["variables"])))

    def descriptors(self) -> str:
        kept = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # that of the listing is gone
                leads = os.readlink(f"/proc/self/fd/{name}")
                if int(name) > 2 and leads != os.devnull:  # the harness keeps one such in reserve
                    kept.append(f"{name} {leads}")
        return _must_have_none("has", kept)

    def large_file(self) -> str:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        path = os.path.join(self.out, "large")
        with open(path, "wb") as file:
            try:
                return _refused(os.truncate, file.fileno(), self.aim["output"] + 1)
            finally:
                os.unlink(path)

    def fill(self, count: int, size: int) -> str:
        made: list[str] = []
        try:
            for number in range(count):
                made.append(os.path.join(self.out, f"part{number}"))
                with open(made[-1], "wb") as file:
                    file.write(b"\1" * size)
        except OSError as error:
            return f"{_name(error)} after {len(made) - 1} files"
        finally:
            for path in made:
                with contextlib.suppress(OSError):
                    os.unlink(path)
        raise LetThrough("was let through")

    def stay(self) -> str:
        """Leaves a process that is deaf to SIGTERM, in a session of its own; whoever runs the box looks what it met."""
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(_STAYING)
            os._exit(0)
        return "left a process behind"

    def fork_on(self) -> str:
        soft = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        most = min(_MOST_FORKS, max(self.aim["processes"], soft) + 16)
        children: list[int] = []
        wait, wake = os.pipe()
        try:
            while len(children) < most:
                pid = os.fork()
                if pid == 0:
                    os.close(wake)
                    os.read(wait, 1)
                    os._exit(0)
                children.append(pid)
        except OSError as error:
            return f"{_name(error)} after {len(children)}"
        finally:
            os.close(wake)
            for pid in children:
                os.waitpid(pid, 0)
            os.close(wait)
        raise LetThrough(f"started {len(children)} processes")

    def take_memory(self) -> str:
        """Takes more than the limit in a child and waits for whoever ends it: the kernel at once, a sampler soon."""
        wanted = self.aim["memory"] + 32 * _MIB
        pid = os.fork()
        if pid == 0:
            held = [b"\1" * (8 * _MIB) for _ in range(wanted // (8 * _MIB))]
            time.sleep(_HELD)
            os._exit(1 if held else 0)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return "killed"
        raise LetThrough(f"took {wanted // _MIB} MiB")


#: Act: the guard that has to stop it, and the act, in the order in which they are tried; the last one may end the run.
ACTS: dict[str, tuple[str, Callable[[_Acts], str]]] = {
    "own user namespace": ("user", lambda acts: acts.namespace("user")),
    "ids of others": ("user", _Acts.ids),
    "own mount namespace": ("mnt", lambda acts: acts.namespace("mnt")),
    "mount": ("mnt", _Acts.bind),
    "read /etc/shadow": ("tree", lambda acts: acts.read("/etc/shadow")),
    "read a file of the host": ("tree", _Acts.marker),
    "write /": ("tree", lambda acts: acts.create("")),
    "write /usr": ("tree", lambda acts: acts.create("/usr")),
    "own pid namespace": ("pid", lambda acts: acts.namespace("pid")),
    "see processes of the host": ("pid", _Acts.see),
    "signal a process of the host": ("pid", _Acts.signal_prover),
    "signal everyone": ("pid", _Acts.signal_all),
    "read the init's environment": ("hidden_init", lambda acts: acts.read("/proc/1/environ")),
    "follow the init's descriptors": ("hidden_init", _Acts.init_descriptors),
    "rob the init of a descriptor": ("hidden_init", _Acts.rob_init),
    "own network namespace": ("net", lambda acts: acts.namespace("net")),
    "see interfaces of the host": ("net", _Acts.interfaces),
    "connect to a port of the host": ("net", _Acts.port),
    "connect to a socket of the host": ("net", _Acts.abstract),
    "find a way out": ("net", _Acts.way_out),
    "own ipc namespace": ("ipc", lambda acts: acts.namespace("ipc")),
    "find shared memory of the host": ("ipc", _Acts.shared_memory),
    "own uts namespace": ("uts", lambda acts: acts.namespace("uts")),
    "rename the host": ("uts", _Acts.rename_host),
    "own cgroup namespace": ("cgroupns", lambda acts: acts.namespace("cgroup")),
    "hold capabilities": ("capabilities", _Acts.capabilities),
    "gain privileges": ("no_new_privs", lambda acts: acts.status("NoNewPrivs", "1")),
    "go unfiltered": ("seccomp", lambda acts: acts.status("Seccomp", "2")),
    "make a user namespace": ("seccomp", _Acts.unshare),
    "keyctl": ("seccomp", _Acts.keyctl),
    "io_uring": ("seccomp", _Acts.ring),
    "lease a file": ("seccomp", _Acts.lease),
    "use keys of the host": ("keyring", _Acts.keys),
    "write /proc/self/comm": ("landlock", _Acts.comm),
    "dump core": ("rlimits", _Acts.core),
    "open too many files": ("rlimits", _Acts.open_files),
    "raise a limit": ("rlimits", _Acts.raise_limit),
    "see variables of the host": ("env", _Acts.variables),
    "have descriptors": ("fds", _Acts.descriptors),
    "write too large a file": ("output", _Acts.large_file),
    "fill the scratch with bytes": ("scratch", lambda acts: acts.fill(4, acts.aim["output"] // 3)),
    "fill the scratch with files": ("scratch", lambda acts: acts.fill(acts.aim["files"] + 32, 0)),
    "stay behind": ("kill", _Acts.stay),
    "start too many processes": ("processes", _Acts.fork_on),
    "take too much memory": ("memory", _Acts.take_memory),
}


def main(arguments: list[str]) -> None:
    """Tries the acts that the last argument names, and prints their lines."""
    aim = json.loads(arguments[-1])
    acts = _Acts(aim, arguments[-2])
    for name in aim["acts"]:
        try:
            stopped, how = True, ACTS[name][1](acts)
        except LetThrough as through:
            stopped, how = False, str(through)
        except Exception as error:  # noqa: BLE001 - an act that could not be tried proves nothing
            stopped, how = False, f"could not be tried: {type(error).__name__} {error}"
        sys.stdout.write(f"{MARK}{json.dumps([name, stopped, how[:200]])}\n")
        sys.stdout.flush()
    sys.stdout.write("x" * aim["chatter"] + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv)
