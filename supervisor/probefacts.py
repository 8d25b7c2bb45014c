"""Who meets: what each side says of itself at the beginning of a probe, and whether the two belong to one fleet."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from supervisor import durable, mountrules
from supervisor.checkup import Finding, Status, caution, failed
from supervisor.mountrules import LockTimes
from supervisor.probestage import AREA, SIDES, bad, good, odd, other
from supervisor.storeground import Ground

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from supervisor.layout import Layout
    from supervisor.probestage import Pair, Stage

_FOLDER: Final = "store folder"
_OWNER: Final = "files of the other host"
_SAME_USER: Final = (
    "give the service user the same uid and gid on both hosts; on NFSv4 see that idmapd has one domain, and that the "
    "export does not squash it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFacts:
    """One host of a probe."""

    host: str
    boot: str
    pid: int
    version: str
    #: uid and gid that it writes as.
    uid: int
    gid: int
    store: str
    #: Inode numbers of FORMAT and of the folder of probes: the server's, the same for every host of one folder.
    inodes: tuple[int, int]
    #: The version of the store as this host reads it.
    format: str
    ground: Ground
    times: LockTimes

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON."""
        return asdict(self) | {"inodes": list(self.inodes), "ground": self.ground.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> SideFacts:
        """Return the facts of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        first, second = record["inodes"]
        times = record["times"]
        return cls(
            host=str(record["host"]),
            boot=str(record["boot"]),
            pid=int(record["pid"]),
            version=str(record["version"]),
            uid=int(record["uid"]),
            gid=int(record["gid"]),
            store=str(record["store"]),
            inodes=(int(first), int(second)),
            format=str(record["format"]),
            ground=Ground.from_json(record["ground"]),
            times=LockTimes(**{name: float(times[name]) for name in ("beat", "self_kill_after", "takeover_after")}),
        )


def inodes(layout: Layout, place: str) -> tuple[int, int]:
    """Return the inode numbers by which two hosts see that they are in one folder.

    Raises:
        OSError: the store cannot be read.
    """
    return os.stat(layout.format).st_ino, os.stat(place).st_ino


def read_format(layout: Layout) -> str:
    """Return the text of FORMAT, by a fresh look."""
    return (durable.read(layout.format) or b"").decode("utf-8", "replace").strip()


def judge_sides(sides: Mapping[str, SideFacts], *, same_machine: bool) -> Iterator[Finding]:
    """Say whether two hosts may be probed at all, and what their mounts promise (pure).

    Args:
        sides: the hosts of sides a and b.
        same_machine: whether one machine was meant.
    """
    a, b = sides["a"], sides["b"]
    if a.inodes != b.inodes:
        yield bad(
            _FOLDER,
            f"{a.host} and {b.host} are not in the same folder: FORMAT and probes have inodes {list(a.inodes)} and "
            f"{list(b.inodes)}",
        )
    elif a.format != b.format:
        yield bad(_FOLDER, f"{a.host} reads another FORMAT than {b.host}: {a.format} and {b.format}")
    else:
        yield good(_FOLDER, f"the same on both hosts: {a.ground.source}, inodes {list(a.inodes)}")
    if a.boot == b.boot:
        yield (odd if same_machine else bad)(
            "machine",
            f"{a.host} and {b.host} are one machine: this shows that the command works, and proves nothing of others",
            "say it on two hosts",
        )
    elif a.host == b.host:
        yield bad("host id", f'two machines have the host id "{a.host}"', "write another host.id on one of them")
    elif a.ground.is_local or b.ground.is_local:
        host = a.host if a.ground.is_local else b.host
        yield bad(
            _FOLDER,
            f"{host} has the store on a file system of its own, where locks do not see those of NFS",
            "mount the store there as on the others, on the file server too",
        )
    if a.times != b.times:
        yield bad("lock times", f"{a.host} has {_times(a)}, {b.host} has {_times(b)}", "write one [lock] on all hosts")
    if a.version != b.version:
        yield odd("version", f"{a.host} has {a.version}, {b.host} has {b.version}")
    for side in SIDES:
        facts = sides[side]
        for finding in mountrules.findings(facts.ground, facts.times):
            make = failed if finding.status is Status.FAIL else caution
            yield make(AREA, f"mount of {facts.host}: {finding.name}", finding.text, finding.remedy)


def _times(facts: SideFacts) -> str:
    return ", ".join(f"lock.{name} {value:g} s" for name, value in asdict(facts.times).items())


def owners(stage: Stage) -> dict[str, Any]:
    """Make a file, look whose the other's is, and take it away."""
    meeting, tools = stage.meeting, stage.tools
    paths = {side: meeting.work(f"owner.{side}") for side in SIDES}
    tools.link(paths[stage.side], b"mine")
    meeting.together("owned", uid=os.geteuid(), gid=os.getegid())
    theirs = paths[other(stage.side)]
    seen: dict[str, Any] = {"me": os.geteuid(), "trouble": ""}
    try:
        seen |= tools.owner(theirs)
        tools.remove(theirs)
    except OSError as error:
        seen["trouble"] = (error.strerror or str(error)).lower()
    meeting.together("owned over")
    return seen | {"gone": not tools.exists(paths[stage.side])}


def judge_owners(pair: Pair) -> Iterator[Finding]:
    """Say whether each host may write and remove what the other makes."""
    for side in SIDES:
        seen, theirs = pair.of(side), pair.of(other(side))
        me, you = pair.hosts[side], pair.hosts[other(side)]
        name = f"{_OWNER}, {me}"
        if seen["trouble"]:
            yield bad(name, f"cannot write and remove a file of {you}: {seen['trouble']}", _SAME_USER)
        elif not theirs["gone"]:
            yield bad(name, f"removed a file of {you}, which is there for {you} still")
        elif seen["uid"] != seen["me"]:
            yield odd(name, f"a file of {you} belongs to uid {seen['uid']}, and this is {seen['me']}", _SAME_USER)
        else:
            yield good(name, f"are of uid {seen['uid']}, gid {seen['gid']}, can be written and removed")
