"""What an interpreter needs beyond the distribution's folders, so that it starts behind a box's tree.

An environment is seldom one folder: a link of a user leads to a wrapper, that to an environment, whose `pyvenv.cfg`
names the installation below it (PEP 405), which loads libraries from a third place. Folders are bound; links that lie
outside of them are made again, so that nothing but the link itself is shown of the folder it lies in.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sandbox.linux import procpath
from sandbox.tree import MOST_LINKS, SYSTEM, lies_below, parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COVERED: Final = ("/usr", *(f"/{name}" for name in SYSTEM))
#: Of these the interpreter has nothing: kernel's, devices, and what a box has of its own.
_NEVER: Final = ("/proc", "/sys", "/dev", "/etc")
#: Wrappers that call each other, at most.
_MOST_WRAPPERS: Final = 5
#: The kernel reads no more of a first line (execve(2), Linux 5.1).
_FIRST_LINE: Final = 256
_MAP_LINE: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ +(/.*)")


class Files(Protocol):
    """The few questions that are asked of a file system."""

    def link(self, path: str) -> str | None:
        """Returns the text of a link; None for anything else."""

    def head(self, path: str, count: int) -> bytes:
        """Returns the first bytes of a file; none if it cannot be read."""


class HostFiles:
    """The files of this host."""

    def link(self, path: str) -> str | None:
        """Returns the text of a link; None for anything else."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def head(self, path: str, count: int) -> bytes:
        """Returns the first bytes of a file; none if it cannot be read."""
        try:
            with open(path, "rb") as file:
                return file.read(count)
        except OSError:
            return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What is added to a tree: none lies below another, none in the distribution's folders."""

    #: Folders, and single files whose folder would show too much.
    folders: tuple[str, ...]
    #: Links to be made again: path to text.
    links: Mapping[str, str]


def closure(
    program: str,
    *,
    executable: str,
    prefix: str,
    base_prefix: str,
    mapped: Iterable[str] = (),
    also: Iterable[str] = (),
    files: Files | None = None,
) -> Closure:
    """Works out what must be seen so that `program` starts.

    Args:
        program: path of what is started: an interpreter, a link or a wrapper.
        executable: what the interpreter says it is (`sandbox.interpreter.probe`).
        prefix: ditto, its environment.
        base_prefix: ditto, the installation below it.
        mapped: files that it has mapped when it runs (`mapped_files`).
        also: what its profile declares beyond that.
        files: the file system.

    Raises:
        OSError: links lead round in a circle.
        ValueError: a path is not absolute, or the whole root would be shown.
    """
    search = _Search(files or HostFiles())
    search.program(program)
    search.program(executable)
    for folder in (prefix, base_prefix, *also):
        search.folder(folder)
    for config in (os.path.join(prefix, "pyvenv.cfg"), os.path.join(os.path.dirname(executable), "pyvenv.cfg")):
        search.environment(config)
    for path in mapped:
        if not any(lies_below(path, top) for top in _NEVER):
            search.beside(path)
    return search.result()


def by_path(program: str, *, also: Iterable[str] = (), files: Files | None = None) -> Closure:
    """Works out what can be told from the path of a program alone: the installation whose `bin` it lies in.

    Args:
        program: path of an interpreter, a link or a wrapper.
        also: what its profile declares beyond that.
        files: the file system.

    Raises:
        OSError, ValueError: see `closure`.
    """
    real = os.path.realpath(program)
    folders = [os.path.dirname(os.path.dirname(path)) for path in (program, real) if "/bin/" in path]
    shown = [path for path in folders if path != "/"] or [os.path.dirname(real)]
    return closure(program, executable=real, prefix=shown[0], base_prefix=shown[-1], also=also, files=files)


def mapped_files(maps: str) -> tuple[str, ...]:
    """Reads from the text of /proc/<pid>/maps (proc_pid_maps(5)) which files are mapped, each once."""
    found: dict[str, None] = {}
    for line in maps.splitlines():
        match = _MAP_LINE.fullmatch(line)
        if match and not match[1].endswith(" (deleted)"):
            found[procpath.plain(match[1])] = None
    return tuple(found)


class _Search:
    def __init__(self, files: Files) -> None:
        self._files = files
        self._folders: set[str] = set()
        self._links: dict[str, str] = {}

    def program(self, path: str, depth: int = 0) -> None:
        """Takes in a program with all links to it; a wrapper with the folder it lies in and its own interpreter."""
        real = self._follow(path)
        head = self._files.head(real, _FIRST_LINE)
        if not head.startswith(b"#!"):
            self._folders.add(real)  # its prefix, which comes as well, holds it as a rule
            return
        self._folders.add(_folder_of(real))
        words = os.fsdecode(head[2:].split(b"\n", 1)[0]).split()
        if words and words[0].startswith("/") and depth < _MOST_WRAPPERS:
            self.program(words[0], depth + 1)

    def folder(self, path: str) -> None:
        """Takes in a folder with all links on the way to it."""
        real = self._follow(path)
        if real == "/":
            raise ValueError(f"the interpreter's folder {path!r} is the whole root; install it in a folder of its own")
        self._folders.add(real)

    def beside(self, path: str) -> None:
        """Takes in a library with its folder: others of the same package lie there."""
        self._folders.add(_folder_of(self._follow(path)))

    def environment(self, config: str) -> None:
        """Takes in the installation that a pyvenv.cfg names as its home: the folder of a program."""
        for line in self._files.head(config, 1 << 16).decode("utf-8", "replace").splitlines():
            key, _, value = line.partition("=")
            home = value.strip()
            if key.strip().lower() == "home" and home.startswith("/"):
                self.folder(os.path.dirname(home.rstrip("/")) if os.path.basename(home) == "bin" else home)

    def result(self) -> Closure:
        """Returns what was found, without what lies below something else."""
        tops = [*_COVERED]
        for folder in sorted(self._folders):
            if not any(lies_below(folder, top) for top in tops):
                tops.append(folder)
        links = {path: text for path, text in self._links.items() if not any(lies_below(path, top) for top in tops)}
        return Closure(folders=tuple(tops[len(_COVERED) :]), links=dict(sorted(links.items())))

    def _follow(self, path: str) -> str:
        """Returns where a path leads, and remembers every link on the way, in the middle of it too."""
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no absolute path; name the program by one")
        todo, done, hops = parts(path), "", 0
        while todo:
            name = todo.pop()
            if name == "..":
                done = os.path.dirname(done) if done.count("/") > 1 else ""
                continue
            step = f"{done}/{name}"
            text = self._files.link(step)
            if text is None:
                done = step
                continue
            hops += 1
            if hops > MOST_LINKS:
                raise OSError(errno.ELOOP, f"links lead round in a circle from {path!r}; mend them")
            self._links[step] = text
            done = "" if text.startswith("/") else done
            todo += parts(text)
        return done or "/"


def _folder_of(path: str) -> str:
    """Returns the folder of a file, or the file itself where the folder holds whatever there is: /opt, a home, /tmp."""
    folder = os.path.dirname(path)
    return path if folder == "/" or os.path.dirname(folder) in {"/", "/home"} else folder
