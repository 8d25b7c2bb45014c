r"""Path rules of a site: the names that one file has here, in the archive and on Windows, and which roots hold it.

Pure text work; nothing here looks at a file system. Three names exist for one file (`reference/peers.md` §1.5):

* the *Windows* name in messages and replies, ``\\isis\inst$\NDXGEM\...``;
* the *archive* name every ISIS machine knows, ``/isis/NDXGEM/...``;
* the *local* name on this host, which differs from it only where `PathRules.root_map` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor.pathtext import BadPath, plain, refuse_odd_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

#: PATH_MAX of Linux, less its ending NUL (limits.h).
_PATH_BYTES = 4095
#: NAME_MAX of Linux file systems (limits.h).
_NAME_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsPrefix:
    """One share under its two names."""

    #: The share as Windows names it, for example ``\\isis\inst$\``.
    windows: str
    #: The same folder on Linux, for example ``/isis/``.
    linux: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RootMap:
    """An archive folder that this host has mounted elsewhere."""

    #: Archive name of the folder.
    source: str
    #: Where this host has it.
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """The site's path rules; `supervisor.settings.PathSettings.rules` makes them from the config."""

    windows_prefixes: tuple[WindowsPrefix, ...]
    archive_directory: str
    ceph_directory: str
    excitation_directory: str
    #: Instruments with the ceph layout, upper case.
    ceph_instruments: frozenset[str]
    #: Instruments with the excitation layout, upper case; this layout wins where both lists name an instrument.
    excitation_instruments: frozenset[str]
    #: Folders below which data files may lie.
    data_roots: tuple[str, ...]
    #: Folders below which results may be written.
    result_roots: tuple[str, ...]
    #: Longest source wins; no rule is applied twice.
    root_map: tuple[RootMap, ...] = ()
    #: Script and readable defaults of an instrument of ISIS.
    script: str = ""
    variables: str = ""
    #: Script of an instrument of SNS, and the folder that all runs of an experiment share.
    sns_script: str = ""
    sns_directory: str = ""
    #: Folder of a run's version below its result folder (ISIS 2018 to 2022); empty for none.
    version_directory: str = ""

    def local(self, path: str) -> str:
        """Returns the name that this host has for an archive path."""
        return _swap(path, [(rule.source, rule.to) for rule in self.root_map])

    def archive(self, path: str) -> str:
        """Returns the archive name of a path on this host: the opposite of `local`."""
        return _swap(path, [(rule.to, rule.source) for rule in self.root_map])

    def local_data_roots(self) -> tuple[str, ...]:
        """Returns the data roots as this host has them mounted."""
        return tuple(self.local(root) for root in self.data_roots)

    def local_result_roots(self) -> tuple[str, ...]:
        """Returns the result roots as this host has them mounted."""
        return tuple(self.local(root) for root in self.result_roots)


def to_linux(data: str, rules: PathRules, *, key: str = "data") -> str:
    r"""Returns the absolute name on this host of a path that a message gives.

    Accepted are a share by its Windows name in any letter case, the same with doubled or lost backslashes (JSON made
    by hand), an archive path with backslashes (``\isis\NDXGEM\...``), and a plain Linux path.

    Args:
        data: The path as the message gives it.
        rules: The site's rules.
        key: The message's key for it.

    Raises:
        BadPath: Empty, relative, with ``..``, with control characters, or longer than Linux allows.
    """
    refuse_odd_text(key, data)
    slashed = data.strip().replace("\\", "/")
    if not slashed.startswith("/"):
        remedy = r"write a share such as \\isis\inst$\... or a path such as /isis/..."
        raise BadPath(key, f"{shown(data)} is no absolute path; {remedy}")
    if ".." in slashed.split("/"):
        raise BadPath(key, f"{shown(data)} contains '..'; write the path without it")
    path = plain(slashed)
    prefixes = [(rule.windows.replace("\\", "/"), rule.linux) for rule in rules.windows_prefixes]
    if "\\" in data or slashed.startswith("//"):
        # A Windows name: letter case means nothing in it. The archive's own root is the last resort, so that the more
        # telling share names are tried first.
        prefixes += [(rule.linux, rule.linux) for rule in rules.windows_prefixes]
        path = _swap(path, prefixes, fold=True)
    local = rules.local(path)
    if len(local.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in local.split("/")):
        raise BadPath(key, f"{shown(data)} is longer than a path can be on Linux")
    return local


def to_windows(path: str, rules: PathRules) -> str:
    r"""Returns the name that a reply gives to a path on this host.

    Only the *start* of the path is translated (the 2016 worker replaced every ``\isis\`` in it). A folder of no share
    keeps its archive name with backslashes, as it always did. A trailing slash is kept: the web application glues a
    file pattern to the text and finds plots only where the location ends in a separator.
    """
    archive = rules.archive(path)
    for rule in sorted(rules.windows_prefixes, key=lambda rule: -len(rule.linux)):
        root = rule.linux.rstrip("/")
        if archive == root or archive.startswith(root + "/"):
            rest = archive[len(root) :].lstrip("/")
            share = rule.windows.replace("/", "\\").rstrip("\\")
            return share + ("\\" + rest.replace("/", "\\") if rest or archive.endswith("/") else "")
    return archive.replace("/", "\\")


def under(path: str, roots: Iterable[str]) -> bool:
    """Returns whether an absolute path lies below one of the roots, or is one: lexically, component by component.

    A path with ``..``, an empty path and a relative one lie below nothing. Links are the caller's business.
    """
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        return False
    clean = plain(path)
    return any(root.startswith("/") and _below(clean, plain(root)) for root in roots)


def _swap(path: str, pairs: list[tuple[str, str]], *, fold: bool = False) -> str:
    """Replaces the longest prefix of `pairs` that a path lies below, by whole components; a trailing slash survives."""
    for old, new in sorted(pairs, key=lambda pair: -len(plain(pair[0]))):
        root = plain(old)
        if _below(path.lower() if fold else path, root.lower() if fold else root):
            return plain(new).rstrip("/") + path[len(root.rstrip("/")) :] or "/"
    return path


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else root + "/")
