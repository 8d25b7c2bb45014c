"""What closes a box: the steps by which builder, init and script leave the host behind, each in its own process.

Theory of operation. Namespaces and the tree are made where nothing of the script exists yet; the init enters them and
gives up every capability; the script's process closes the last doors behind itself, in the order in which each still
allows the next: keys, new privileges, Landlock, system calls. A step that fails raises, and nothing runs (DESIGN §6,
"Order of building").

All of it but what the archive and the interpreter give is done before the box is let go, as soon as the ground of the
tree stands (`sandbox.drawing`). Where that cannot be (`stands_early`) the same steps come afterwards.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sandbox import drawing, rootfs, tree
from sandbox.linux import (
    capabilities,
    keyring,
    landlock,
    loopback,
    mounts,
    mounttable,
    namespaces,
    prctl,
    seccomp,
    sysvipc,
)
from sandbox.linux.mounttable import MountTable
from sandbox.places import RESULT, Places
from sandbox.tree import DEVICES, SHM
from sandbox.views import Views

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Namespaces in the order in which records name them.
NAMESPACES: Final = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroupns")
#: Those that must stand before the init is forked or the tree is made, or that the builder shows to the shepherd; the
#: init makes the others at the same time.
_OF_BUILDER: Final = ("user", "mnt", "pid", "ipc")
#: Landlock before ABI 2 (Linux 5.19) lets no file move between folders, which good scripts do (landlock(7), "refer").
OLDEST_LANDLOCK: Final = 2
#: Folders of the scratch that lie in the sized file system, and in a small one beside it, so that what is claimed of a
#: script that filled the first can still be written.
_HARD_FOLDERS: Final = ("out", "home", "work")
_PAPER_FOLDERS: Final = ("handoff", "script")
#: Bytes for the claim and whatever a script puts beside its own text, and files of both.
_PAPERS: Final = 4 << 20
_PAPER_FILES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A file system in memory."""

    #: Bytes and inodes that it can hold.
    size: int
    inodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """What closes one box; travels through the forks."""

    #: Names of `levels.GUARDS` to put in force.
    guards: frozenset[str]
    #: The box's folder on the host.
    scratch: str
    harness: str
    #: Data files; their folders are shown, read-only.
    data: tuple[str, ...] = ()
    #: Further paths to be shown, read-only.
    readable: tuple[str, ...] = ()
    #: Folders of the host that must not be seen even in what is shown.
    hidden: tuple[str, ...] = ()
    #: What the interpreter needs beyond the distribution (`sandbox.closure`).
    interpreter: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    tmp: Sized
    #: Size of results, home and working folder together; None leaves them on the host's disk.
    hard: Sized | None = None
    #: What of the tree is made before the box is let go; None has all of it made afterwards.
    ground: tree.Tree | None = None
    #: What is added to that, worked out beforehand.
    rest: drawing.Rest | None = None

    @property
    def places(self) -> Places:
        """Where things are for the script."""
        return Places.in_tree() if "tree" in self.guards else Places.on_host(self.scratch)

    @property
    def network(self) -> bool:
        """Whether the host's network is left to the script."""
        return "net" not in self.guards

    @property
    def stands_early(self) -> bool:
        """Whether the ground of the tree is made before the box is let go."""
        return self.ground is not None

    @property
    def root(self) -> str:
        """Where the tree is built."""
        return os.path.join(self.scratch, "root")

    def folder(self, name: str) -> str:
        """Names where a folder of the scratch lies: on the host's disk, or in a file system of the box's own."""
        if self.hard is None:
            return os.path.join(self.scratch, name)
        return os.path.join(self.scratch, "papers" if name in _PAPER_FOLDERS else "hard", name)

    def amended(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that `amendment` has told, for `dataclasses.replace`."""
        interpreter, links = tuple(told["interpreter"]), told["links"]
        same = interpreter == self.interpreter and links == self.links
        return {"interpreter": interpreter, "links": links, "rest": self.rest if same else None}


def amendment(interpreter: tuple[str, ...], links: Mapping[str, str]) -> dict[str, Any]:
    """Returns what another interpreter changes, as plain JSON; `Enclosure.amended` reads it."""
    return {"interpreter": interpreter, "links": dict(links)}


def leave_host(made: Enclosure) -> None:
    """Makes the namespaces that the tree needs around the calling builder, whose next child is the first of its pids.

    Raises:
        OSError: the kernel refused.
    """
    guards = made.guards
    uid, gid = os.geteuid(), os.getegid()
    namespaces.keep_dumpable()  # or the map files belong to root; nothing of the script exists yet
    namespaces.unshare(tuple(name for name in _OF_BUILDER if name in guards))
    if "user" in guards:
        namespaces.write_maps(uid, gid, uid, gid)
    prctl.hide()


class Stale(OSError):
    """What was made before the box was let go is no longer what the host has."""


def draw(made: Enclosure) -> Enclosure:
    """Works out what can be made of the tree before the box is let go, and, as far as texts tell, what comes then."""
    if "tree" not in made.guards or (ground := drawing.ground(made)) is None:
        return made
    return replace(made, ground=ground, rest=drawing.expected(made, ground))


def draw_whole(made: Enclosure) -> Enclosure:
    """Works out the whole tree, for a box that is let go already.

    Raises:
        ValueError: something cannot be shown where it is.
    """
    if "tree" not in made.guards:
        return made
    return replace(made, ground=drawing.whole(made, drawing.look(made.data)))


def lay(made: Enclosure) -> Views:
    """Makes the ground of the tree in the namespaces of the calling builder, whose init waits.

    Returns:
        What the shepherd is to see.

    Raises:
        OSError: the kernel refused; the text names it.
    """
    if "mnt" in made.guards:
        mounts.make_receiving("/")  # an archive that is mounted when it is looked at must be there when it is shown
    objects = sysvipc.IpcObjects.open().fds if "ipc" in made.guards else ()
    if made.ground is None:
        return Views(objects=objects)
    hard = _make_hard(made)
    rootfs.build(made.ground, made.root)
    return Views(volumes=tuple(_folder(made.root + name) for name in (tree.TMP, SHM)), hard=hard, objects=objects)


def furnish(made: Enclosure, host: MountTable) -> None:
    """Adds to the ground what the box was let go for: the interpreter, the data, and whatever else is to be shown.

    Args:
        made: the enclosure.
        host: the mounts of the host.

    Raises:
        Stale: what the host has mounted since cannot be seen from here.
        OSError: the kernel refused, or something that is to be shown is not there; the text names it.
        ValueError: something cannot be shown where it is.
    """
    if made.ground is not None:
        if made.hard:
            _bring_papers(made)
        rest = drawing.rest(made, made.ground, made.rest)
        if host.changed():
            _compare(made, host)
        rootfs.add(rest, made.root)
    if "mnt" in made.guards:
        mounts.make_private("/")


def _compare(made: Enclosure, host: MountTable) -> None:
    data = drawing.look(made.data)
    sources = [os.path.realpath(path) for path in (*made.interpreter, *data.folders, *data.files, *made.readable)]
    with MountTable() as own:
        path = mounttable.differs(host.read(), own.read(), sources, but=os.path.realpath(made.scratch))
    if path is not None:
        raise Stale(
            errno.ESTALE,
            f"{path!r} was mounted or unmounted on this host after the box was made, which cannot see that",
        )


def narrow(made: Enclosure) -> None:
    """Leaves what the tree does not need of the host, and locks the ways by which capabilities could come back.

    The caller is the init, which still needs some of them; the tree is made meanwhile.

    Raises:
        OSError: the kernel refused.
    """
    guards = made.guards
    names = tuple(name for name in NAMESPACES if name in guards and name not in _OF_BUILDER)
    namespaces.unshare(tuple("cgroup" if name == "cgroupns" else name for name in names))
    if "uts" in guards:
        namespaces.set_hostname(tree.HOSTNAME)
    if "capabilities" in guards:
        capabilities.bar()


def show_processes(made: Enclosure) -> None:
    """Mounts a fresh /proc in the tree that stands; the caller is the init.

    Raises:
        OSError: the kernel refused.
    """
    if {"tree", "pid"} <= made.guards:
        rootfs.mount_proc(made.root)


def enter(made: Enclosure) -> None:
    """Enters the tree, and gives up every capability; the caller is the init.

    Raises:
        OSError: the kernel refused.
    """
    if "tree" in made.guards:
        rootfs.enter(made.root)
    elif {"mnt", "pid"} <= made.guards:
        mounts.proc("/proc")
    if "capabilities" in made.guards:
        capabilities.drop()


def renounce(made: Enclosure) -> None:
    """Gives up what the calling process, which becomes the script, had of its init, once the loopback is up.

    Raises:
        OSError: the kernel refused.
    """
    guards = made.guards
    if "net" in guards:
        loopback.bring_up()
    if "keyring" in guards:
        keyring.join_new_session()
    if "no_new_privs" in guards:
        prctl.forgo_new_privileges()
    if "capabilities" in guards:
        capabilities.drop()


def seal(made: Enclosure) -> None:
    """Closes the last doors behind the calling process, which becomes the script.

    A tree that stands early has not been entered yet. Rules of Landlock hold what is found, not the way to it, and of
    our own places none is a link there.

    Raises:
        OSError: the kernel refused.
    """
    guards = made.guards
    if "landlock" in guards:
        _ruleset(made).restrict(_landlock())
    if "seccomp" in guards:
        seccomp.install(seccomp_program())


def in_force(made: Enclosure) -> dict[str, str]:
    """Returns how each guard is put in force, for the record; a build that cannot do it fails."""
    guards = made.guards
    told: dict[str, str] = {name: "on" for name in NAMESPACES if name in guards}
    how = {
        "tree": "curated",
        "capabilities": "none",
        "no_new_privs": "on",
        "keyring": "own",
        "hidden_init": "on",
        "seccomp": f"filter {seccomp.digest(seccomp_program())[:12]}",
        "landlock": f"abi {_landlock()}",
    }
    told |= {name: text for name, text in how.items() if name in guards}
    told["network"] = "host" if made.network else "off"
    told["scratch"] = "hard" if made.hard else "watched"
    return told


def warm() -> None:
    """Works out once what all boxes of this process and its forks need: the filter, and what Landlock there is."""
    seccomp_program()
    _landlock()


def has_landlock() -> bool:
    """Whether this kernel has a Landlock that good scripts can live under."""
    return _landlock() >= OLDEST_LANDLOCK


@cache
def _landlock() -> int:
    level = landlock.usable_abi()
    landlock.warm(level)
    return level


@cache
def seccomp_program() -> bytes:
    """Returns the filter of system calls; worked out once in a process and its forks."""
    return seccomp.assemble()


def _ruleset(made: Enclosure) -> landlock.Ruleset:
    root = made.root if made.stands_early else ""
    writable = (*made.places.writable(), SHM, *(f"/dev/{name}" for name in DEVICES))
    # With a network namespace of its own the loopback in it is the script's; ports of the host are out of reach.
    return landlock.Ruleset(read=(root or "/",), write=tuple(root + path for path in writable), network=True)


def _make_hard(made: Enclosure) -> tuple[int, ...]:
    """Mounts the sized scratch on a folder of the host that only this mount namespace sees.

    Returns:
        Descriptors of its root, its result folder and its handoff folder, opened before a script can change anything.
    """
    if made.hard is None:
        return ()
    ground, beside = os.path.join(made.scratch, "hard"), os.path.join(made.scratch, "papers")
    mounts.tmpfs(ground, size=made.hard.size, inodes=made.hard.inodes, mode=0o700)
    mounts.tmpfs(beside, size=_PAPERS, inodes=_PAPER_FILES, mode=0o700)
    for name in (*_HARD_FOLDERS, *_PAPER_FOLDERS):
        os.mkdir(made.folder(name), 0o700)
    os.mkdir(os.path.join(made.folder("out"), RESULT), 0o700)
    return (_folder(ground), _folder(os.path.join(made.folder("out"), RESULT)), _folder(made.folder("handoff")))


def _bring_papers(made: Enclosure) -> None:
    """Copies script and order into the sized file system beside, with as much room besides as it had before."""
    papers = [os.path.join(name, file) for name in _PAPER_FOLDERS for file in os.listdir(f"{made.scratch}/{name}")]
    room = sum(os.path.getsize(os.path.join(made.scratch, path)) for path in papers)
    beside = os.path.join(made.scratch, "papers")
    mounts.resize_tmpfs(beside, size=_PAPERS + room)
    for path in papers:
        shutil.copyfile(os.path.join(made.scratch, path), os.path.join(beside, path))


def _folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
