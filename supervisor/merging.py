"""Merging: results that share a folder with other runs go in file by file, each by one rename (DESIGN §5).

Used for the excitation layout, for returned folders that hold other things, and for the logs of runs that did not
complete. The staging folder is made ours by its name first; a promoter that is late finds no source for any file, since
every file is named by a path through that folder, never by a descriptor of it. Where names of others must be spared,
the name of each file is decided once and kept in the staging folder before the first file moves: a second promoter goes
on with the same names, and the marker tells the next epoch which files are this run's own.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from supervisor import archive, durable, names, records
from supervisor.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisor.records import Target

#: Suffix of the file beside a staging folder in which the decided names are written.
PLACES = ".places"


def marker(target: Target) -> str:
    """The file in a merged folder that says which epoch of this run was merged last; its name carries the run."""
    return os.path.join(target.path, f"{archive.RUN_FILE}-{names.encode(target.run)}")


def merge(
    target: Target,
    *,
    n: int,
    rb: str,
    own: str,
    fence: Callable[[], bool],
    beat: Callable[[], None],
    ended: Callable[[], bool],
) -> Ending:
    """Move every file of the staging folder `own` into the target folder; the marker goes last.

    Args:
        target: where to; `suffix` is put into names that a stranger's file bears already (mode `merge`).
        n: the epoch.
        rb: its RB.
        own: the staging folder under the name of this promoter.
        fence: makes `own` ours; False when no staging of this epoch is seen.
        beat: one beat of the lock.
        ended: whether `promoted` exists.

    Raises:
        OSError: the target cannot be used now.
    """
    while True:
        if _is_merged(target, n, rb):
            return Ending.DONE
        if ended():
            return Ending.LEFT
        if not fence():
            return Ending.DONE if _is_merged(target, n, rb) else Ending.UNSEEN
        if _is_merged(target, n, rb):  # again: an earlier promoter may have been faster than our fence
            return Ending.DONE
        beat()
        if _move_all(target, own, rb):
            return Ending.DONE


def _move_all(target: Target, own: str, rb: str) -> bool:
    """Move every staged file, the marker last; False when a later promoter has taken the staging meanwhile."""
    _refuse_links(target.path, "")
    archive.make_folder(target.path)
    files = [relative for relative in _files(own) if relative != archive.RUN_FILE]
    places = _places(target, own, files, rb)
    if places is None:
        return False
    for relative in files:
        place = os.path.join(target.path, places.get(relative, relative))
        _refuse_links(target.path, os.path.dirname(relative))
        archive.make_folder(os.path.dirname(place))
        if not archive.rename(os.path.join(own, relative), place, "merge"):
            return False
        archive.sync(os.path.dirname(place))
    if target.mode == "merge":
        if not archive.rename(os.path.join(own, archive.RUN_FILE), marker(target), "marker"):
            return False
        archive.sync(target.path)
    # A listing of a staging that was taken from us is empty: only one that is still ours is proof that all was moved.
    return os.path.basename(own) in archive.listing(os.path.dirname(own))


def _is_merged(target: Target, n: int, rb: str) -> bool:
    """Say whether this epoch is in place: by the marker, or, for logs, by their names, which carry the epoch."""
    if target.mode == "logs":
        return all(
            os.path.basename(f) in archive.listing(os.path.join(target.path, os.path.dirname(f))) for f in target.files
        )
    content = archive.look_at_marker(marker(target))
    return content is not None and content.rb == rb and content.epoch >= n


def _places(target: Target, own: str, files: list[str], rb: str) -> Mapping[str, str] | None:
    """The names under which staged files go in, where they differ from their own; None when the staging is gone.

    A file goes under its own name, or under one with run and version where a stranger's file stands. That is decided
    once: after a crash some of the files stand there already, and are not strangers.
    """
    if target.mode == "logs" or target.overwrite:
        return {}
    record = archive.read_record(own)
    if record is None:
        return None
    places = record.get("places")
    if isinstance(places, dict):
        return {str(key): str(value) for key, value in places.items()}
    before = _files_of_marker(target, rb)
    places = {relative: _place(target, relative, before) for relative in files}
    decided = {**record, "places": places, "files": sorted(places.values())}
    archive.remove_tree(own + PLACES)
    archive.write_file(own + PLACES, records.pack(decided))
    if not archive.rename(own + PLACES, os.path.join(own, archive.RUN_FILE), "places"):
        return None
    archive.sync(own)
    return places


def _place(target: Target, relative: str, before: frozenset[str]) -> str:
    if relative in before or not durable.exists(os.path.join(target.path, relative)):
        return relative
    stem, extension = os.path.splitext(relative)
    return f"{stem}{target.suffix}{extension}"


def _files_of_marker(target: Target, rb: str) -> frozenset[str]:
    """The files, as they are named there, that an earlier epoch of the same run merged: they may be replaced."""
    content = archive.look_at_marker(marker(target))
    return content.files if content is not None and content.rb == rb else frozenset()


def _refuse_links(root: str, relative: str) -> None:
    """Refuse to write through a link that somebody put where `root`, or a folder of `relative` below it, belongs."""
    path = root
    for name in ["", *relative.split(os.sep)]:
        path = os.path.join(path, name) if name else path
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "a link stands where a folder of results belongs", path)
        except FileNotFoundError:
            return


def _files(root: str) -> list[str]:
    """Every file below `root`, as relative paths; the tree was copied by us. What is gone meanwhile is left out."""
    found = []
    pending = [""]
    while pending:
        folder = pending.pop()
        for name in archive.listing(os.path.join(root, folder)):
            relative = os.path.join(folder, name)
            try:
                is_folder = stat.S_ISDIR(os.lstat(os.path.join(root, relative)).st_mode)
            except FileNotFoundError:
                continue  # a later promoter has taken the staging: the next rename tells
            if is_folder:
                pending.append(relative)
            else:
                found.append(relative)
    return found
