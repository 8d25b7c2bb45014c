"""Merging: results that share a folder with other runs go in file by file, each by one rename (DESIGN §5).

Used for the excitation layout, for returned folders that hold other things, and for the logs of runs that did not
complete. The staging folder is made ours by its name first; a promoter that is late finds no source for any file, since
every file is named by a path through that folder, never by a descriptor of it.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from supervisor import archive, names
from supervisor.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor.records import Target


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
    if _is_merged(target, n, rb):
        return Ending.DONE
    if ended():
        return Ending.LEFT
    if not fence():
        return Ending.DONE if _is_merged(target, n, rb) else Ending.UNSEEN
    if _is_merged(target, n, rb):
        return Ending.DONE
    beat()
    _refuse_link(target.path)
    archive.make_folder(target.path)
    before = _files_of_marker(target, rb)
    for relative in _files(own):
        if relative == archive.RUN_FILE:
            continue
        place = _place(target, relative, before)
        archive.make_folder(os.path.dirname(place))
        if not archive.rename(os.path.join(own, relative), place, "merge"):
            return merge(target, n=n, rb=rb, own=own, fence=fence, beat=beat, ended=ended)
        archive.sync(os.path.dirname(place))
    if target.mode == "merge":
        archive.rename(os.path.join(own, archive.RUN_FILE), marker(target), "marker")
        archive.sync(target.path)
    archive.remove_tree(own)
    return Ending.DONE


def _is_merged(target: Target, n: int, rb: str) -> bool:
    """Say whether this epoch is in place: by the marker, or, for logs, by their names, which carry the epoch."""
    if target.mode == "logs":
        return all(
            os.path.basename(f) in archive.listing(os.path.join(target.path, os.path.dirname(f))) for f in target.files
        )
    content = archive.look_at_marker(marker(target))
    return content is not None and content.rb == rb and content.epoch >= n


def _place(target: Target, relative: str, before: frozenset[str]) -> str:
    """Where a staged file goes: its own name, or one with run and version where a stranger's file stands."""
    place = os.path.join(target.path, relative)
    _refuse_link(os.path.dirname(place))
    if target.mode == "logs" or target.overwrite or relative in before or not os.path.lexists(place):
        return place
    stem, extension = os.path.splitext(place)
    return f"{stem}{target.suffix}{extension}"


def _files_of_marker(target: Target, rb: str) -> frozenset[str]:
    """The files an earlier epoch of the same run merged: they may be replaced."""
    content = archive.look_at_marker(marker(target))
    return content.files if content is not None and content.rb == rb else frozenset()


def _refuse_link(folder: str) -> None:
    """Refuse to write through a link that somebody put into a result folder."""
    try:
        if stat.S_ISLNK(os.lstat(folder).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a link stands where a folder of results belongs", folder)
    except FileNotFoundError:
        return


def _files(root: str) -> Iterator[str]:
    """Every file below `root`, as relative paths; the tree is ours, copied by us."""
    pending = [""]
    while pending:
        folder = pending.pop()
        for name in archive.listing(os.path.join(root, folder)):
            relative = os.path.join(folder, name)
            if stat.S_ISDIR(os.lstat(os.path.join(root, relative)).st_mode):
                pending.append(relative)
            else:
                yield relative
