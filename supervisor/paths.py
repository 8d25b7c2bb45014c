r"""Path rules: where a message's data file lies on this host, where its results go, and what the reply calls them.

Pure text work; nothing here looks at a file system. Three names exist for one file (`reference/peers.md` §1.5):

* the *Windows* name in messages and replies, ``\\isis\inst$\NDXGEM\...``;
* the *archive* name every ISIS machine knows, ``/isis/NDXGEM/...``;
* the *local* name on this host, which differs from it only where `PathRules.root_map` says so.

A finished path must lie below a declared root. That check is lexical; whoever opens the path resolves links himself.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from supervisor.pathtext import BadPath, component, cycle_of, expand, plain, refuse_odd_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LOG_FOLDER",
    "BadPath",
    "Layout",
    "LogNames",
    "PathRules",
    "Placement",
    "RootMap",
    "WindowsPrefix",
    "place",
    "to_linux",
    "to_windows",
    "under",
]

#: Folder below a result that holds the logs, as the 2016 worker named it.
LOG_FOLDER = "reduction_log"
#: PATH_MAX of Linux, less its ending NUL (limits.h).
_PATH_BYTES = 4095
#: NAME_MAX of Linux file systems (limits.h).
_NAME_BYTES = 255


class Layout(StrEnum):
    """The three ways in which an instrument's results are filed."""

    ARCHIVE = "archive"
    CEPH = "ceph"
    EXCITATION = "excitation"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNames:
    """File names of the two logs below `LOG_FOLDER`."""

    #: What the script wrote to stdout.
    script: str
    #: What it wrote to stderr, where the Mantid framework logs.
    mantid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one run reads and where it publishes; all paths are absolute names on this host."""

    #: The data file.
    data: str
    #: The result folder.
    target: str
    #: ``replace``: the run owns the folder. ``merge``: all runs of the RB share it, file by file.
    layout: Literal["replace", "merge"]
    kind: Layout
    #: Cycle such as ``15_1``; None when the data path names none and the layout needs none.
    cycle: str | None
    #: What the reply calls the target: a Windows path, with the trailing separator that the template has.
    reported: str
    #: Folder of the logs.
    log_folder: str
    rb: str
    run: str
    version: int

    @property
    def log_names(self) -> LogNames:
        """The log names of a completed run."""
        return _log_names(f"RB{self.rb}Run{self.run}")

    def attempt_log_names(self, epoch: int) -> LogNames:
        """Returns the log names of an attempt without a result; they never replace those of a good run."""
        return _log_names(f"RB{self.rb}Run{self.run}v{self.version}e{epoch}")


def to_linux(data: str, rules: PathRules) -> str:
    r"""Returns the absolute name on this host of a path that a message gives.

    Accepted are a share by its Windows name in any letter case, the same with doubled or lost backslashes (JSON made
    by hand), an archive path with backslashes (``\isis\NDXGEM\...``), and a plain Linux path.

    Raises:
        BadPath: Empty, relative, with ``..``, with control characters, or longer than Linux allows.
    """
    refuse_odd_text("data", data)
    slashed = data.strip().replace("\\", "/")
    if not slashed.startswith("/"):
        remedy = r"write a share such as \\isis\inst$\... or a path such as /isis/..."
        raise BadPath("data", f"{shown(data)} is no absolute path; {remedy}")
    if ".." in slashed.split("/"):
        raise BadPath("data", f"{shown(data)} contains '..'; write the path without it")
    path = plain(slashed)
    prefixes = [(rule.windows.replace("\\", "/"), rule.linux) for rule in rules.windows_prefixes]
    if "\\" in data or slashed.startswith("//"):
        # A Windows name: letter case means nothing in it. The archive's own root is the last resort, so that the more
        # telling share names are tried first.
        prefixes += [(rule.linux, rule.linux) for rule in rules.windows_prefixes]
        path = _swap(path, prefixes, fold=True)
    local = rules.local(path)
    if len(local.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in local.split("/")):
        raise BadPath("data", f"{shown(data)} is longer than a path can be on Linux")
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


def place(*, data: str, instrument: str, rb: str, run: str, version: int, rules: PathRules) -> Placement:
    """Decides where a run reads and publishes.

    Args:
        data: The path as the message gives it.
        instrument: Name of the instrument.
        rb: The RB number.
        run: The run as `supervisor.runkey.run_value` gives it.
        version: Version of the run; part of the names of logs that are not a result's.
        rules: The site's rules.

    Raises:
        BadPath: A part is unfit to be one path component, the data lies below no data root, the cycle is missing where
            the layout needs it, or the result would lie below no result root.
    """
    instrument = component("instrument", instrument).upper()
    rb = component("rb_number", rb)
    run = component("run_number", run)
    source = to_linux(data, rules)
    if not under(source, rules.local_data_roots()):
        roots = ", ".join(rules.data_roots)
        raise BadPath("data", f"{source} lies below none of the data roots ({roots}); see paths.data_roots")
    kind, template = _layout(instrument, rules)
    cycle = cycle_of(data)
    if cycle is None and "{cycle}" in template:
        raise BadPath(
            "data", f"{shown(data)} names no cycle such as cycle_15_1, and results of {instrument} are filed by cycle"
        )
    named = expand(template, {"instrument": instrument, "cycle": cycle or "", "rb": rb, "run": run})
    target = rules.local(plain(named))
    if not under(target, rules.local_result_roots()) or target in map(plain, rules.local_result_roots()):
        roots = ", ".join(rules.result_roots)
        raise BadPath(
            "rb_number",
            f"the result folder {target} lies below none of the result roots ({roots}); see paths.result_roots",
        )
    return Placement(
        data=source,
        target=target,
        layout="merge" if kind is Layout.EXCITATION else "replace",
        kind=kind,
        cycle=cycle,
        reported=to_windows(target + ("/" if named.endswith("/") else ""), rules),
        log_folder=posixpath.join(target, LOG_FOLDER),
        rb=rb,
        run=run,
        version=version,
    )


def _layout(instrument: str, rules: PathRules) -> tuple[Layout, str]:
    if instrument in rules.excitation_instruments:
        return Layout.EXCITATION, rules.excitation_directory
    if instrument in rules.ceph_instruments:
        return Layout.CEPH, rules.ceph_directory
    return Layout.ARCHIVE, rules.archive_directory


def _log_names(stem: str) -> LogNames:
    return LogNames(script=f"{stem}Script.out", mantid=f"{stem}Mantid.log")


def _swap(path: str, pairs: list[tuple[str, str]], *, fold: bool = False) -> str:
    """Replaces the longest prefix of `pairs` that a path lies below, by whole components; a trailing slash survives."""
    for old, new in sorted(pairs, key=lambda pair: -len(plain(pair[0]))):
        root = plain(old)
        if _below(path.lower() if fold else path, root.lower() if fold else root):
            return plain(new).rstrip("/") + path[len(root.rstrip("/")) :] or "/"
    return path


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else root + "/")
