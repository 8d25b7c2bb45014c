"""The file tree of a box as data: what a script can see at all, and under which name (DESIGN §6, "The tree").

Everything is named by its path inside. The data file's folder keeps its own name, because scripts cut run numbers out
of file names and open the neighbours; our own places have fixed names that tell nothing of the host.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Our own places inside.
OUT: Final = "/out"
HOME: Final = "/home/reduce"
TMP: Final = "/tmp"  # noqa: S108 - inside the box, where it is private
HANDOFF: Final = "/run/handoff"
WORK: Final = "/work"
SCRIPT: Final = "/run/script"
HARNESS: Final = "/run/harness.py"
SHM: Final = "/dev/shm"  # noqa: S108 - ditto
USER: Final = "reduce"
#: Name of the host inside.
HOSTNAME: Final = "box"
_CPU: Final = "/sys/devices/system/cpu"
#: The user that files of unmapped owners seem to belong to (user_namespaces(7)).
_NOBODY: Final = 65534

#: Folders of the distribution that are bound, or, where the host merged them into /usr, linked.
SYSTEM: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
#: Files and folders of /etc that programs need and that hold no secret: loader, certificates, fonts, time.
ETC: Final = (
    "/etc/alternatives",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
)
#: What a program needs beyond that to find its way in the host's network.
ETC_NETWORK: Final = ("/etc/resolv.conf", "/etc/gai.conf", "/etc/protocols", "/etc/services")
#: Device files; no terminal among them.
DEVICES: Final = ("full", "null", "random", "urandom", "zero")
_PROCESS_LINKS: Final = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
#: Nothing of the host may be shown in these places nor over them: they are ours, or the kernel's.
_TAKEN: Final = ("/dev", "/etc", "/proc", "/sys", OUT, HANDOFF, SCRIPT, HARNESS)
#: Something of the host may be shown below these, but not in their place.
_SHARED: Final = (TMP, HOME, SHM, WORK)
#: Links that are followed on the way to one place, as many as the kernel follows (path_resolution(7)).
MOST_LINKS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or folder of the host, and where it is seen."""

    #: A path, or a descriptor that is checked against what is found at its path when the tree is built.
    source: str | int
    target: str
    writable: bool = False
    devices: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tmpfs:
    """A folder in memory with its limits: bytes and inodes."""

    target: str
    size: int
    inodes: int
    mode: int = 0o1777


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All that a box shows; whatever is not named does not exist inside."""

    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    #: Path of a link to its text.
    links: Mapping[str, str] = field(default_factory=dict)
    #: Path of a small file of our own to its text.
    files: Mapping[str, str] = field(default_factory=dict)
    #: Empty folders, mount points of what comes later among them.
    folders: tuple[str, ...] = ("/proc",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFacts:
    """What a tree is worked out from: the host, and what one box needs of it."""

    #: Names of `SYSTEM` that the host has in its root, to the text of the link, or "" for a folder.
    system: Mapping[str, str]
    #: Members of `ETC` that the host has.
    etc: tuple[str, ...]
    #: Whether the host shows its processors in /sys.
    processors: bool
    #: User and group as seen inside, and the host's name there.
    uid: int
    gid: int
    hostname: str
    #: Folders or files that the interpreter needs beyond the distribution's, and links that lead to it
    #: (`sandbox.closure`).
    interpreter: tuple[str, ...] = ()
    interpreter_links: Mapping[str, str] = field(default_factory=dict)
    #: Folders of the data files, and what else the instrument declared; all read-only, under their own names.
    data: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    #: Sources of our own places.
    out: str | int
    home: str | int
    handoff: str | int
    #: More of our own, such as the harness; placed by whoever knows it.
    more: tuple[Bind, ...] = ()
    #: Bytes and inodes of /tmp and of /dev/shm, each.
    tmp_size: int
    tmp_inodes: int
    #: Folders of the host that must not be seen even where they lie in something that is shown: other boxes, the store.
    hidden: tuple[str, ...] = ()
    #: Whether the script has the host's network, and so needs to know its names.
    network: bool = False
    #: Whether the init will mount a /proc of its own; else the host's is shown.
    fresh_proc: bool = True


def host_system(root: str = "/") -> dict[str, str]:
    """Reads which folders of `SYSTEM` the host has, and which of them are links."""
    found = {}
    for name in SYSTEM:
        path = os.path.join(root, name)
        if os.path.islink(path):
            found[name] = os.readlink(path)
        elif os.path.isdir(path):
            found[name] = ""
    return found


def host_etc(*, network: bool = False) -> tuple[str, ...]:
    """Reads which members of `ETC` the host has; a link that leads nowhere is none.

    Args:
        network: those of `ETC_NETWORK` as well.
    """
    return tuple(path for path in (*ETC, *(ETC_NETWORK if network else ())) if os.path.exists(path))


def host_processors() -> bool:
    """Reads whether the host shows its processors in /sys."""
    return os.path.isdir(_CPU)


def plan_tree(facts: TreeFacts) -> Tree:
    """Works out the tree of one box.

    Raises:
        ValueError: a folder that is to be shown is no absolute path, or would cover, or lie in, a place of our own.
    """
    shown = dict.fromkeys((*facts.interpreter, *facts.data, *facts.readable))
    folders = ["/usr", *(f"/{name}" for name, link in facts.system.items() if not link)]
    binds = [Bind(source=path, target=path) for path in (*folders, *facts.etc)]
    if facts.processors:
        binds.append(Bind(source=_CPU, target=_CPU))
    if not facts.fresh_proc:
        binds.append(Bind(source="/proc", target="/proc", writable=True))
    # A device is written through a read-only mount all the same, but its owner, mode and times are the host's.
    binds += [Bind(source=f"/dev/{name}", target=f"/dev/{name}", devices=True) for name in DEVICES]
    binds += [Bind(source=path, target=_showable(path)) for path in shown if path not in folders]
    binds += [
        Bind(source=facts.out, target=OUT, writable=True),
        Bind(source=facts.home, target=HOME, writable=True),
        Bind(source=facts.handoff, target=HANDOFF, writable=True),
        *facts.more,
    ]
    return Tree(
        binds=tuple(binds),
        tmpfs=(
            *(Tmpfs(target=path, size=facts.tmp_size, inodes=facts.tmp_inodes) for path in (TMP, SHM)),
            *_covers(facts.hidden, shown),
        ),
        links={
            **{f"/{name}": link for name, link in facts.system.items() if link},
            **facts.interpreter_links,
            **_PROCESS_LINKS,
        },
        files=own_files(facts.uid, facts.gid, facts.hostname, network=facts.network),
    )


def _covers(hidden: tuple[str, ...], shown: Iterable[str]) -> Iterator[Tmpfs]:
    """Yields an empty folder over each one that must not be seen; one in which something is shown cannot be covered."""
    for path in dict.fromkeys(hidden):
        seen = any(lies_below(path, top) and path != top for top in shown)
        if seen and not any(lies_below(top, path) for top in shown):
            yield Tmpfs(target=path, size=1, inodes=1, mode=0o555)


def beyond(whole: Tree, ground: Tree) -> Tree:
    """Returns what has to be added to a ground that stands, so that it becomes the whole.

    Raises:
        ValueError: that cannot be had by adding: a link or a folder belongs where the ground has something of its own.
    """
    own = [*_targets(ground.binds), *_targets(ground.tmpfs)]
    standing = [resolved(target, ground.links) for target in own]
    rest = Tree(
        binds=tuple(one for one in whole.binds if one not in ground.binds),
        tmpfs=tuple(one for one in whole.tmpfs if one not in ground.tmpfs),
        links={path: text for path, text in whole.links.items() if ground.links.get(path) != text},
        folders=(),
    )
    moved = [place for place in (resolved(target, whole.links) for target in own) if place not in standing]
    added = [resolved(target, whole.links) for target in (*_targets(rest.binds), *_targets(rest.tmpfs))]
    added += [place_of_link(path, whole.links) for path in rest.links]
    moved += [place for place in added if any(lies_below(one, place) for one in standing)]
    if moved:
        raise ValueError(
            f"{moved[0]!r} cannot be shown in a box that stands already: something of its own is there, or is to be "
            "reached by a link that this host had not when the box was made; run it again"
        )
    return rest


def _targets(mounts: Iterable[Bind | Tmpfs]) -> list[str]:
    return [one.target for one in mounts]


def has_links(paths: Iterable[str]) -> bool:
    """Whether this host has a link in one of these places, or on the way to one."""
    ways = {"/" + "/".join(parts(path)[::-1][:count]) for path in paths for count in range(1, path.count("/") + 1)}
    return any(map(os.path.islink, sorted(ways)))


def is_free(path: str) -> bool:
    """Whether a folder of the host can be shown under its own name."""
    try:
        _showable(path)
    except ValueError:
        return False
    return True


def _showable(path: str) -> str:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise ValueError(f"{path!r} cannot be shown in a box; give an absolute path without '..'")
    plain = os.path.normpath("/" + path.lstrip("/"))
    over = [place for place in (*_TAKEN, *_SHARED, "/usr") if lies_below(place, plain)]
    shared = any(lies_below(plain, place) for place in _SHARED)
    inside = [place for place in _TAKEN if lies_below(plain, place) and not shared]
    if over or inside:
        place = (over or inside)[0]
        raise ValueError(
            f"{path!r} cannot be shown in a box because it would hide or share {place}, which is the box's own; "
            f"put what is needed into a folder elsewhere"
        )
    return plain


def lies_below(path: str, top: str) -> bool:
    """Whether `path` is `top` or lies below it, by their texts."""
    return path == top or path.startswith(top.rstrip("/") + "/")


def own_files(uid: int, gid: int, hostname: str, *, network: bool = False) -> dict[str, str]:
    """Returns the files of /etc that are written for the box: the host's users, groups and names are not shown."""
    users = [f"{USER}:x:{uid}:{gid}:{USER}:{HOME}:/bin/sh"]
    groups = [f"{USER}:x:{gid}:"]
    if uid != _NOBODY:
        users.append(f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/:/usr/sbin/nologin")
    if gid != _NOBODY:
        groups.append(f"nogroup:x:{_NOBODY}:")
    return {
        "/etc/passwd": _lines(users),
        "/etc/group": _lines(groups),
        "/etc/hostname": _lines([hostname]),
        "/etc/hosts": _lines([f"127.0.0.1 localhost {hostname}", f"::1 localhost {hostname}"]),
        "/etc/nsswitch.conf": _lines(
            ["passwd: files", "group: files", f"hosts: files{' dns' if network else ''}", "services: files"]
        ),
    }


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def resolved(path: str, links: Mapping[str, str]) -> str:
    """Follows those links that the tree itself makes, by text alone.

    Raises:
        OSError: they lead round in a circle.
    """
    todo = parts(path)
    done: list[str] = []
    hops = 0
    while todo:
        name = todo.pop()
        if name == "..":
            done = done[:-1]
            continue
        done.append(name)
        text = links.get("/" + "/".join(done))
        if text is not None:
            hops += 1
            if hops > MOST_LINKS:
                raise OSError(errno.ELOOP, f"{path!r}: {os.strerror(errno.ELOOP)}")
            done = [] if text.startswith("/") else done[:-1]
            todo += parts(text)
    return "/" + "/".join(done)


def place_of_link(path: str, links: Mapping[str, str]) -> str:
    """Names where a link of the tree lies, itself not followed."""
    folder, name = os.path.split(path)
    return os.path.join(resolved(folder, links), name)


def parts(path: str) -> list[str]:
    """Returns the components of a path, the next one last."""
    return [part for part in path.split("/") if part not in {"", "."}][::-1]
