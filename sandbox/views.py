"""What a box shows to its shepherd of things that only it has: descriptors, opened before a script exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The descriptors; the builder sends them, and they are the shepherd's then."""

    #: Roots of /tmp and /dev/shm; empty without a tree.
    volumes: tuple[int, ...] = ()
    #: Root of the sized scratch, its result folder and its handoff folder, if there is one.
    hard: tuple[int, ...] = ()
    #: Lists of its System V objects; empty where it has the host's.
    objects: tuple[int, ...] = ()

    def all(self) -> tuple[int, ...]:
        """Every descriptor, in the order of `kinds`."""
        return (*self.volumes, *self.hard, *self.objects)

    def kinds(self) -> bytes:
        """Names the kind of each, one letter a descriptor."""
        return b"v" * len(self.volumes) + b"h" * len(self.hard) + b"o" * len(self.objects)

    @classmethod
    def of(cls, kinds: bytes, fds: Sequence[int]) -> Self:
        """Sorts what `all` and `kinds` gave."""
        sorted_out = {kind: tuple(fd for each, fd in zip(kinds, fds, strict=True) if each == kind) for kind in b"vho"}
        volumes, hard, objects = sorted_out.values()
        return cls(volumes=volumes, hard=hard, objects=objects)
