"""The ground of a store: what it lies on as far as locks between hosts depend on it, and what has changed since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.linux import procpath
from supervisor import mounted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.mounted import Mount

#: `Y`: the NFS client takes a lost lock again in silence, instead of EIO to its holder (kernel-parameters.txt).
_RECOVER: Final = "/sys/module/nfs/parameters/recover_lost_locks"
_STATISTICS: Final = "/proc/self/mountstats"
#: Options on which exclusion, durability or the sight of other hosts' work depends. Sizes, addresses and ports do not.
_BY_NAME: Final = frozenset(
    """
    ro hard soft softerr softreval nolock cto nocto sharecache nosharecache ac noac sync
    flock noflock localflock localflocks wsync nowsync fsc
    """.split()  # noqa: SIM905  # a list of words reads best as words
)
_WITH_VALUE: Final = frozenset(
    """
    vers local_lock lookupcache acregmin acregmax acdirmin acdirmax lockproto recover_session sec
    mds_namespace
    """.split()  # noqa: SIM905  # ditto
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a store lies on, as one host has it."""

    point: str
    kind: str
    source: str
    #: Those of `relevant` alone, sorted.
    options: tuple[str, ...]
    #: The module parameter of the NFS client; False where there is no such client.
    recover_lost_locks: bool = False
    #: Seconds after which an NFS server gives the locks of a silent host away; None where it is not told.
    lease: float | None = None

    @property
    def is_local(self) -> bool:
        """Whether no other host can see it."""
        return self.kind in mounted.LOCAL

    def has(self, *options: str) -> bool:
        """Say whether one of these options is set."""
        return any(option in self.options for option in options)

    def value(self, option: str) -> str:
        """Return what stands behind `option=`, "" where it does not."""
        return next((each.partition("=")[2] for each in self.options if each.startswith(f"{option}=")), "")

    def to_json(self) -> dict[str, Any]:
        """Return the ground as plain JSON."""
        return asdict(self) | {"options": list(self.options)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the ground of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        lease = record.get("lease")
        return cls(
            point=str(record["point"]),
            kind=str(record["kind"]),
            source=str(record["source"]),
            options=tuple(sorted(str(each) for each in record["options"])),
            recover_lost_locks=bool(record.get("recover_lost_locks", False)),
            lease=None if lease is None else float(lease),
        )


def relevant(options: frozenset[str]) -> tuple[str, ...]:
    """Return those options on which locks between hosts depend, sorted."""
    return tuple(
        sorted(each for each in options if each in _BY_NAME or ("=" in each and each.partition("=")[0] in _WITH_VALUE))
    )


def of(mount: Mount, *, recover: str = "", statistics: str = "") -> Ground:
    """Return the ground that a mount is.

    Args:
        mount: what the store lies on.
        recover: text of the module's parameter, "" where there is none.
        statistics: text of /proc/self/mountstats.
    """
    return Ground(
        point=mount.point,
        kind=mount.kind,
        source=mount.source,
        options=relevant(mount.options),
        recover_lost_locks=mount.kind in {"nfs", "nfs4"} and recover.strip().upper() in {"Y", "1"},
        lease=lease_in(statistics, mount.point),
    )


def lease_in(statistics: str, point: str) -> float | None:
    """Return the lease in seconds that the NFS server of a mount point has told, None where it has not."""
    found: float | None = None
    ours = False
    for text in statistics.split("\n"):
        if text.startswith("device "):
            place = text.partition(" mounted on ")[2].rpartition(" with fstype ")[0]
            ours = procpath.plain(place) == point
        elif ours and text.strip().startswith("nfsv4:"):
            told = [each.partition("=")[2] for each in text.split(",") if each.startswith("lease_time=")]
            found = float(told[0]) if told and told[0].isdecimal() else found
    return found


def read(path: str) -> Ground | None:
    """Return what a path of this host lies on, None where nobody can tell."""
    mount = mounted.here(path)
    return None if mount is None else of(mount, recover=_text(_RECOVER), statistics=_text(_STATISTICS))


def changes(then: Ground, now: Ground) -> str:
    """Say what of a ground has changed so that an earlier proof says nothing of it, "" for nothing."""
    said = [
        f"{name} was {before or 'none'} and is {after or 'none'}"
        for name, before, after in (
            ("the file system", then.kind, now.kind),
            ("its source", then.source, now.source),
            ("recover_lost_locks", str(then.recover_lost_locks), str(now.recover_lost_locks)),
            ("options", _only(then, now), _only(now, then)),
        )
        if before != after
    ]
    return ", ".join(said)


def _only(one: Ground, other: Ground) -> str:
    return ",".join(each for each in one.options if each not in other.options)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read()
    except OSError:
        return ""
