"""What this host has for boxes: memory and processors, within the control groups in which we stand ourselves.

The limit of a group above us holds for all that we start, so the least of them and of the machine's memory counts
(cgroups(7); memory.max on version 2, memory.limit_in_bytes on version 1).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from sandbox.linux import cgroupfs

#: Version 1 writes "no limit" as a number close to 2^63, rounded to pages.
_UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a host has; 0 where it is not known."""

    #: Bytes.
    memory: int = 0
    #: Processors that we may run on.
    cpus: int = 0


def capacity() -> Capacity:
    """Ask this host."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Capacity(memory=min([total, *_limits()]), cpus=len(os.sched_getaffinity(0)))


def _limits() -> list[int]:
    """Return every limit of memory that holds for us; none where control groups cannot be seen."""
    try:
        found, positions = cgroupfs.hierarchies(), cgroupfs.positions()
    except OSError:
        return []
    limits: list[int] = []
    for hierarchy in found:
        for controller, name in (("memory", "memory.limit_in_bytes"), (cgroupfs.UNIFIED, "memory.max")):
            if controller in hierarchy.controllers and controller in positions:
                folder = hierarchy.folder(positions[controller])
                limits += [] if folder is None else upwards(folder, hierarchy.point, name)
    return limits


def upwards(folder: str, top: str, name: str) -> list[int]:
    """Return the limits that stand in the files `name` from a group up to the top of its tree, bytes."""
    limits = []
    while True:
        limit = parse_limit(_text(os.path.join(folder, name)))
        limits += [] if limit is None else [limit]
        if folder == top or not folder.startswith(top):
            return limits
        folder = os.path.dirname(folder)


def parse_limit(text: str) -> int | None:
    """Read a limit as the kernel writes it; None for no limit, and for what is none (pure)."""
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() and 0 < int(word) < _UNLIMITED else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(64)
    except OSError:
        return ""  # the top of a tree has no such file, and a group may go
