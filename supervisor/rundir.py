"""The run directory, local to this host: who serves, what `status` shows, and where boxes have their control groups.

Stdlib only: the nursery imports this.
"""

from __future__ import annotations

import glob
import json
import os
import time

from sandbox.cgroups import Groups
from sandbox.linux import proctree

#: Who serves: pid, start time, boot id, version.
IDENTITY_FILE = "supervisor.json"
#: What `status` shows.
STATE_FILE = "state.json"
#: Where a nursery of this version has made control groups, newest first.
_PLACES_FILE = "groups-{}.json"
#: Places that are remembered of each version: one for each nursery that began elsewhere than the one before.
_PLACES = 16


def write_local(run_dir: str, name: str, record: dict[str, object]) -> None:
    """Replace a small record in the run directory."""
    path = os.path.join(run_dir, name)
    temporary = f"{path}.{os.getpid()}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640), "w") as file:
        json.dump({**record, "time": time.time()}, file)
    os.rename(temporary, path)


def read_local(run_dir: str, name: str) -> dict[str, object] | None:
    """Return a record of the run directory, or None where there is none or it is being replaced."""
    try:
        with open(os.path.join(run_dir, name), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def serving(run_dir: str) -> proctree.Identity | None:
    """Return the supervisor that serves with this run directory, or None: pid, start time and boot must agree."""
    record = read_local(run_dir, IDENTITY_FILE)
    if record is None or record.get("boot") != proctree.boot_id():
        return None
    pid, start = record.get("pid"), record.get("start")
    if not isinstance(pid, int) or not isinstance(start, int):
        return None
    who = proctree.Identity(pid, start)
    return who if proctree.alive(who) else None


def take_place(run_dir: str, version: str) -> None:
    """Take the subtree of control groups of this process, the nursery of a version, and record where it is.

    Before its first fork: on version 2 a group with controllers may hold no process itself (cgroups(7), "no internal
    processes"), so it is moved to a leaf of its own, and every shepherd begins there.

    Raises:
        OSError: the kernel refused a step, or the run directory cannot be written.
    """
    groups = Groups.find()
    if groups.available:
        note_place(run_dir, version, groups.folders())


def note_place(run_dir: str, version: str, folders: dict[str, str]) -> None:
    """Record where the nursery of a version makes the groups of boxes from now on; it is the only one that writes this.

    Args:
        run_dir: the run directory.
        version: of the nursery.
        folders: by controller; see `sandbox.cgroups.Groups.folders`.

    Raises:
        OSError: the run directory cannot be written.
    """
    name = _PLACES_FILE.format(version)
    before = [known for known in _places_in(read_local(run_dir, name)) if known != folders]
    write_local(run_dir, name, {"places": [folders, *before][:_PLACES]})


def places(run_dir: str) -> list[dict[str, str]]:
    """Return every place where nurseries of this run directory have made groups; what they left stands there."""
    pattern = os.path.join(glob.escape(run_dir), _PLACES_FILE.format("*"))
    found = [_places_in(read_local(run_dir, os.path.basename(path))) for path in sorted(glob.glob(pattern))]
    return [place for of_version in found for place in of_version]


def _places_in(record: dict[str, object] | None) -> list[dict[str, str]]:
    listed = record.get("places") if record is not None else None
    if not isinstance(listed, list):
        return []
    return [{str(name): str(path) for name, path in place.items()} for place in listed if isinstance(place, dict)]
