"""What cases 59 to 170 of the hostile corpus need outside of their boxes: brokers, sockets, other runs, other results.

`tests/host/corpus/README.md` says how a setup is written.
"""

from __future__ import annotations

import contextlib
import ctypes  # noqa: TID251 - SysV objects and message queues of the host are what a box must not see
import errno
import fcntl
import os
import shutil
import signal
import socket
import stat
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boxes
import psutil
from corpus import Stage, box_of, setup

from sandbox.box import start
from sandbox.linux import cgroupfs
from sandbox.verdict import KillReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.running import Running

#: What the supervisor knows and no script may find. Reversed in the script that looks for it.
PASSWORD = "correct-horse-battery-staple"

# output


@setup
def foreign_result(stage: Stage) -> Iterator[None]:
    """The result of another experiment, readable by the user that everything runs as."""
    folder = Path(stage.folder, "RB2000001")
    folder.mkdir()
    path = folder / "RB2000001.nxs"
    path.write_text("of another experiment")
    stage.vars["foreign"] = str(path)
    stage.copy = True
    yield
    if path.read_text() != "of another experiment":
        stage.problems.append("the result of another experiment was changed")
    if os.listdir(folder) != [path.name]:
        stage.problems.append(f"something was put beside the result of another experiment: {os.listdir(folder)}")


@setup
def copied(stage: Stage) -> Iterator[None]:
    """Results are copied, and are plain files with plain modes and nothing attached to them."""
    stage.copy = True
    yield
    found = 0
    for top, folders, files in os.walk(stage.results):
        for name in (*folders, *files):
            path = os.path.join(top, name)
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            wanted = (0o750,) if stat.S_ISDIR(status.st_mode) else (0o640, 0o750)
            if mode not in wanted:
                stage.problems.append(f"the copy of {name!r} has mode {mode:o}")
            if not (stat.S_ISREG(status.st_mode) and status.st_nlink == 1) and not stat.S_ISDIR(status.st_mode):
                stage.problems.append(f"the copy of {name!r} is no plain file")
            if attached := os.listxattr(path, follow_symlinks=False):
                stage.problems.append(f"the copy of {name!r} has {attached}")
            found += 1
    if not found:
        stage.problems.append("nothing was copied")


@setup
def copied_whole(stage: Stage) -> Iterator[None]:
    """Results are copied; of two files that were exchanged all the time each copy is one of them from end to end."""
    stage.copy = True
    yield
    contents = sorted(Path(stage.results, name).read_bytes() for name in os.listdir(stage.results))
    if contents != [b"a" * 100_000, b"b" * 200_000]:
        stage.problems.append(f"copies of {[len(content) for content in contents]} bytes are not what was written")


# handoff


@setup
def words_on_one_line(stage: Stage) -> Iterator[None]:
    """Whatever the script said of itself, our own words about it are one line of printable text."""
    yield
    assert stage.outcome is not None
    for name in ("sentence", "message"):
        text = getattr(stage.outcome, name)
        if strange := [letter for letter in text if not letter.isprintable()]:
            stage.problems.append(f"the {name} has {strange} in it")


@setup
def paths_that_nobody_touches(stage: Stage) -> Iterator[None]:
    """Not one of our own calls names a path that only the script has named."""
    stage.box["allowed_roots"] = (stage.results,)
    before = {name: getattr(os, name) for name in ("lstat", "stat", "readlink", "open", "scandir", "listdir")}
    touched = []

    def noting(name: str) -> Any:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            if str(path).startswith(("/net", "/claimed", "//claimed")):
                touched.append(f"{name} {path}")
            return before[name](path, *arguments, **named)

        return call

    for name in before:
        setattr(os, name, noting(name))
    try:
        yield
    finally:
        for name, call in before.items():
            setattr(os, name, call)
    if touched:
        stage.problems.append(f"touched: {', '.join(touched[:8])}")


# python


@setup
def broker_password(stage: Stage) -> Iterator[None]:
    """The shepherd's own environment and memory hold what no script may know."""
    names = ("BROKER_PASSWORD", "AUTOREDUCE_BROKER_PASSWORD", "DATABASE_URL")
    for name in names:
        os.environ[name] = PASSWORD
    kept = {"BROKER_PASSWORD": PASSWORD}
    try:
        yield
    finally:
        kept.clear()
        for name in names:
            del os.environ[name]


@setup
def no_core(stage: Stage) -> Iterator[None]:
    """No core was dumped, whatever the host's core_pattern says."""
    yield
    assert stage.outcome is not None
    status = stage.outcome.exit["status"]
    if status is None or os.WCOREDUMP(status):
        stage.problems.append(f"raw status {status}: a core was dumped")


@setup
def hdf5_input(stage: Stage) -> Iterator[None]:
    """A folder with a file of the instrument in HDF5, declared as readable."""
    import h5py

    folder = os.path.join(stage.folder, "calibration")
    os.mkdir(folder)
    path = os.path.join(folder, "vanadium.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/counts", data=[1, 2, 3])
    before = Path(path).read_bytes()
    stage.box["readable"] = (folder,)
    stage.vars["hdf5"] = path
    yield
    if Path(path).read_bytes() != before:
        stage.problems.append("the file that was only to be read was changed")


# kernel


@setup
def key_in_the_session(stage: Stage) -> Iterator[None]:
    """The shepherd's session keyring, which its children would inherit, holds a key."""
    add_key, keyctl = (248, 250) if _X86 else (217, 219)
    session, set_permissions, unlink = -3, 5, 9
    stage.vars["key"] = name = f"corpus-{os.getpid()}"
    key = _call(add_key, b"user", name.encode(), PASSWORD.encode(), ctypes.c_size_t(len(PASSWORD)), session)
    _call(keyctl, set_permissions, key, ctypes.c_uint(0x3F000000))  # for whoever possesses it, nobody else even sees it
    try:
        if name not in Path("/proc/keys").read_text("utf-8", "replace"):
            stage.problems.append("the key is not even seen outside of the box")
        yield
    finally:
        _call(keyctl, unlink, key, session)


# network


@setup
def listening_broker(stage: Stage) -> Iterator[None]:
    """A broker that listens on the host's loopback, for both versions of IP where there are two."""
    with contextlib.ExitStack() as opened:
        broker = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        stage.vars["port"] = port = broker.getsockname()[1]
        listeners = [broker]
        with contextlib.suppress(OSError):
            listeners.append(opened.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6)))
        yield
        _nobody_came(stage, "the broker", *listeners)


@setup
def host_on_the_lan(stage: Stage) -> Iterator[None]:
    """A server on an address of the host that others could reach."""
    found = [
        address.address
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    # A host without a network has only its loopback, and the box must not reach that either.
    host = found[0] if found else "127.0.0.2"
    with socket.create_server((host, 0)) as server:
        stage.vars["host"], stage.vars["port"] = server.getsockname()
        yield
        _nobody_came(stage, "a server of the host", server)


@setup
def abstract_sockets(stage: Stage) -> Iterator[None]:
    """Sockets of the host that have no file: whoever shares its network namespace can connect."""
    with contextlib.ExitStack() as opened:
        listeners, names = [], {}
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = opened.enter_context(socket.socket(socket.AF_UNIX, kind))
            names[str(int(kind))] = name = f"corpus-{os.getpid()}-{int(kind)}"
            listener.bind("\0" + name)
            if kind == socket.SOCK_STREAM:
                listener.listen()
                listeners.append(listener)
        stage.vars["abstract"] = names
        yield
        _nobody_came(stage, "an abstract socket", *listeners)


@setup
def service_socket(stage: Stage) -> Iterator[None]:
    """A socket of a service of the host, with a path that everybody may connect to."""
    path = os.path.join(stage.folder, "service")
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        os.chmod(path, 0o777)
        service.listen()
        stage.vars["pathname"] = path
        yield
        _nobody_came(stage, "the service", service)


def _nobody_came(stage: Stage, what: str, *listeners: socket.socket) -> None:
    for listener in listeners:
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            listener.accept()[0].close()
            stage.problems.append(f"somebody has connected to {what}")


_X86 = os.uname().machine == "x86_64"
#: shmget, shmctl, semget, semctl, msgget, msgctl, mq_open, mq_unlink.
_NUMBERS = (29, 31, 64, 66, 68, 71, 240, 241) if _X86 else (194, 195, 190, 191, 186, 187, 180, 181)


def _call(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    answer: int = libc.syscall(ctypes.c_long(number), *arguments)
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return answer


def _removed(control: int, number: int, *arguments: Any) -> None:
    with contextlib.suppress(FileNotFoundError):
        identity = _call(number, *arguments)
        # IPC_RMID is 0; a semaphore's number goes before it.
        _call(control, identity, 0, 0, None) if control == _NUMBERS[3] else _call(control, identity, 0, None)


@setup
def objects_of_the_host(stage: Stage) -> Iterator[None]:
    """Shared memory, a semaphore, a message queue of each kind, all of the host and open to everybody."""
    shmget, shmctl, semget, semctl, msgget, msgctl, mq_open, mq_unlink = _NUMBERS
    key = 0x41520000 | os.getpid() & 0xFFFF
    queue = f"corpus-{os.getpid()}"
    make = 0o1000 | 0o666
    with contextlib.ExitStack() as made:
        shm = _call(shmget, key, ctypes.c_size_t(4096), make)
        _call(semget, key, 1, make)
        _call(msgget, key, make)
        # By the key: a box that was not held may have put objects of its own in their place.
        made.callback(_removed, shmctl, shmget, key, ctypes.c_size_t(0), 0)
        made.callback(_removed, semctl, semget, key, 0, 0)
        made.callback(_removed, msgctl, msgget, key, 0)
        attributes = struct.pack("=8q", 0, 1, 16, 0, 0, 0, 0, 0)
        os.close(_call(mq_open, queue.encode(), os.O_RDWR | os.O_CREAT, 0o666, attributes))
        made.callback(_call, mq_unlink, queue.encode())
        shared = f"/dev/shm/corpus-{os.getpid()}"
        Path(shared).write_text("of the host")
        made.callback(os.unlink, shared)
        stage.vars.update(key=key, shmid=shm, queue=queue)
        yield
        for name, number, *arguments in (
            ("shared memory", shmget, key, ctypes.c_size_t(0), 0),
            ("semaphore", semget, key, 0, 0),
            ("message queue", msgget, key, 0),
        ):
            try:
                _call(number, *arguments)
            except OSError as error:
                stage.problems.append(f"the host's {name} is gone: {errno.errorcode[error.errno or 0]}")


# leftovers


@setup
def inheritable_descriptors(stage: Stage) -> Iterator[None]:
    """The shepherd has open, and would pass on, a secret, the root folder, a listening socket and a lock."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        sources = [
            os.open(stage.secret, os.O_RDONLY),
            os.open("/", os.O_RDONLY),
            os.open(stage.locks["free"], os.O_RDWR),
        ]
        for fd in sources:
            opened.callback(os.close, fd)
        for number, source in zip((40, 41, 97, 255), (*sources, server.fileno()), strict=True):
            # The first free one from there on, which a program that is started would get (F_DUPFD of fcntl(2)).
            opened.callback(os.close, fcntl.fcntl(source, fcntl.F_DUPFD, number))
        yield


@setup
def group_of_the_shepherd(stage: Stage) -> Iterator[None]:
    """The shepherd stands in a control group with a name, where this process may move itself into one (version 1)."""
    folder = cgroupfs.own_folders(cgroupfs.hierarchies(), cgroupfs.positions()).get("pids", "")
    if not os.access(folder, os.W_OK):
        yield
        return
    ours = os.path.join(folder, f"corpus-shepherd-{os.getpid()}")
    os.mkdir(ours)
    try:
        Path(ours, "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        Path(folder, "cgroup.procs").write_text(str(os.getpid()))
        os.rmdir(ours)


@setup
def victim_of_a_log(stage: Stage) -> Iterator[None]:
    """A file that a script names in its log, as if somebody should open it; nobody does."""
    path = Path(stage.folder, "victim")
    path.write_text("kept")
    # Any reading shows: a time of access before that of the last change is brought up to date (mount(8), relatime).
    os.utime(path, (1, path.stat().st_mtime))
    before = path.stat()
    stage.vars["victim"] = str(path)
    yield
    after = path.stat() if path.exists() else None
    if after is None or (after.st_ino, after.st_size, after.st_mtime_ns) != (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    ):
        stage.problems.append("the file that the log named was changed")
    elif after.st_atime_ns != before.st_atime_ns:
        stage.problems.append("the file that the log named was opened and read")


_FIRST = """
import ctypes, os, socket, time
for folder in ("/tmp", "/dev/shm", os.path.expanduser("~"), ".", "..", os.environ["AUTOREDUCE_HANDOFF"]):
    try:
        open(os.path.join(folder, "of_the_first"), "w").write("x")
    except OSError:
        continue
listener = socket.socket(socket.AF_UNIX)
listener.bind(chr(0) + "of_the_first")
listener.listen()
libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
for number, arguments in ((29 if x86 else 194, (77, ctypes.c_size_t(4096))), (64 if x86 else 190, (77, 1)), (68 if x86 else 186, (77,))):
    libc.syscall(ctypes.c_long(number), *arguments, 0o1666)
import fcntl
fcntl.flock(os.open("of_the_first", os.O_RDWR), fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(600)
"""


@setup
def first_run(stage: Stage) -> Iterator[None]:
    """Another run of the same experiment, in a box of its own of the same kind, which has left its mark everywhere."""
    folder = os.path.join(stage.folder, "first")
    os.mkdir(folder)
    other = Stage(stage.case, stage.place, folder)
    made = box_of(stage.case, other)
    made = replace(made, script=_FIRST.encode(), limits=replace(made.limits, wall=60.0))
    with start(made) as first:
        boxes.drive(first, boxes.says("ready", known=True))
        facts = first.facts()
        stage.vars["beside"] = {
            "scratch": first.scratch,
            "init": facts["init"].pid,  # type: ignore[attr-defined]
            "script": facts["script"].pid,  # type: ignore[attr-defined]
        }
        yield
        if not boxes.says("ready")(first) or first.ended:
            stage.problems.append("the first run is gone")
        first.pump(time.monotonic())
        first.stop(KillReason.cancelled)
        first.hurry()
        boxes.drive(first)
        if first.outcome().exit["signal"] not in {signal.SIGTERM, signal.SIGKILL}:
            stage.problems.append(f"the first run ended by itself: {first.outcome().sentence}")


@setup
def as_many_descriptors_as_the_script(stage: Stage) -> Iterator[None]:
    """This process has the soft limit that units and shells have; while the script runs it passes on a descriptor."""
    me = psutil.Process()
    before = me.rlimit(psutil.RLIMIT_NOFILE)
    tried: list[str] = []

    def pass_one_on(running: Running) -> None:
        if not tried and boxes.says("ready")(running):
            here, there = socket.socketpair()
            with here, there:
                try:
                    socket.send_fds(here, [b"x"], [0])
                    tried.append("")
                except OSError as error:
                    tried.append(errno.errorcode[error.errno or 0])

    stage.on_tick = pass_one_on
    me.rlimit(psutil.RLIMIT_NOFILE, (1024, before[1]))
    try:
        yield
    finally:
        me.rlimit(psutil.RLIMIT_NOFILE, before)
    if tried != [""]:
        stage.problems.append(f"no other box could be built meanwhile: send_fds failed with {tried}")


@setup
def true_as_interpreter(stage: Stage) -> Iterator[None]:
    """A program that ends before anybody could have moved it anywhere."""
    stage.box["interpreter"] = (shutil.which("true", path="/usr/bin:/bin") or "/bin/true",)
    stage.box["script"] = b"pass\n"
    yield
