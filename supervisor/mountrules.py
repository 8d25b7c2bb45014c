"""What a mount promises a store, by its kind, its options and the settings of its module (pure).

FAIL: locks, write-once records or writes do not hold between hosts, whatever a probe would see. CAUTION: they may, and
somebody should know. Where locks hold is measured for NFSv4.2 (two machines, kernel 6.1); of the others stands here
what their own documentation says: nfs(5), mount.lustre(8), mount.ceph(8), mount.cifs(8), mount.ocfs2(8), gfs2(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.limits import format_duration
from supervisor import mounted
from supervisor.checkup import Finding, caution, failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.storeground import Ground

_AREA: Final = "mount"
_ANOTHER: Final = "put store.path on NFSv4, CephFS or Lustre (docs/how-to/shared-store.md)"
#: CephFS takes a silent client's locks away after `session_autoclose`, 300 s (Ceph: MDS config reference).
_CEPH_SILENCE: Final = 300.0
#: Seconds between the end of a lease and the takeover: for looks that are late.
_MARGIN: Final = 30.0
#: Longest time of attribute caches in seconds by default (nfs(5): acregmax, acdirmax).
_CACHED: Final = 60
#: No hard links, or such as only the server's own file system may have; records that are written once are hard links.
_LINKLESS: Final = {
    "cifs": "SMB",
    "smb3": "SMB",
    "smbfs": "SMB",
    "vfat": "FAT",
    "msdos": "FAT",
    "exfat": "exFAT",
    "hfs": "HFS",
}
#: Their locks are granted by this machine alone: qemu's 9p server grants every lock, virtiofsd asks no other host.
_OF_A_GUEST: Final = frozenset({"9p", "virtiofs"})
_NFS: Final = frozenset({"nfs", "nfs4"})
#: Of clusters, with flock(2) across hosts unless `localflocks` or `lock_nolock` says otherwise.
_OF_A_CLUSTER: Final = frozenset({"gfs2", "ocfs2", "gpfs"})
_KNOWN: Final = mounted.LOCAL | _NFS | _OF_A_GUEST | _OF_A_CLUSTER | _LINKLESS.keys() | {"ceph", "lustre"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTimes:
    """`lock.*` of the configuration, seconds."""

    beat: float = 10.0
    self_kill_after: float = 60.0
    takeover_after: float = 180.0


def findings(ground: Ground, times: LockTimes) -> list[Finding]:
    """Return what is to be said of the mount of a store, worst first; empty where all is well.

    Args:
        ground: what the store lies on.
        times: when a run ends itself, and when another host takes it over.
    """
    name = f"{ground.kind} at {ground.point}"
    said = [
        *(failed(_AREA, name, text, remedy) for text, remedy in _refusals(ground)),
        *(caution(_AREA, name, text, remedy) for text, remedy in _cautions(ground, times)),
    ]
    return list(dict.fromkeys(said))


def _refusals(ground: Ground) -> Iterator[tuple[str, str]]:
    kind = ground.kind
    if ground.has("ro"):
        yield "is mounted read-only, and a store is written", f"mount -o remount,rw {ground.point}"
    if kind in _LINKLESS:
        yield (
            f"{_LINKLESS[kind]} has no hard links that exclude, and write-once records of the store are such",
            _ANOTHER,
        )
    elif kind == "fuse" or kind.startswith(("fuse.", "fuseblk")):
        yield "a file system in user space may grant a lock without asking the server, and does not say so", _ANOTHER
    elif kind in _OF_A_GUEST:
        yield f"locks on {kind} are granted inside this machine alone", "mount the server's NFS in the guest itself"
    elif kind in _NFS:
        yield from _nfs_refusals(ground)
    elif kind == "lustre" and (not ground.has("flock") or ground.has("localflock")):
        yield "is mounted without -o flock, so that locks are refused or stay on this host", "mount it with -o flock"
    elif kind in _OF_A_CLUSTER and (ground.has("localflocks") or ground.value("lockproto") == "lock_nolock"):
        yield "is mounted with localflocks or lock_nolock, so that locks stay on this host", "mount it without"


def _nfs_refusals(ground: Ground) -> Iterator[tuple[str, str]]:
    version = ground.value("vers")
    if not version.startswith("4") and not (ground.kind == "nfs4" and not version):
        yield (
            (
                f"is NFS version {version or '3 or older'}, which keeps the locks of a host that died for ever and "
                "tells nobody that a lock was lost"
            ),
            "mount it with vers=4.2",
        )
    local = ground.value("local_lock")
    if ground.has("nolock") or local not in {"", "none"}:
        option = "nolock" if ground.has("nolock") else f"local_lock={local}"
        yield (
            f"is mounted with {option}, so that locks stay on this host and exclude no other",
            "mount it without nolock and with local_lock=none",
        )
    for option in ("soft", "softerr", "softreval"):
        if ground.has(option):
            what = "answers looks from its cache" if option == "softreval" else "gives writes up and loses them"
            yield f"is mounted {option}: when the server is slow it {what}", "mount it with hard and without softreval"
    if ground.has("nocto"):
        yield "is mounted nocto: what another host made stays unseen when a folder is opened anew", "mount it with cto"
    if ground.recover_lost_locks:
        yield (
            (
                "recover_lost_locks is on: a host that lost its lock takes it again in silence, and never learns that "
                "another had it"
            ),
            (
                "echo N > /sys/module/nfs/parameters/recover_lost_locks, and `options nfs recover_lost_locks=0` in "
                "/etc/modprobe.d/"
            ),
        )


def _cautions(ground: Ground, times: LockTimes) -> Iterator[tuple[str, str]]:
    kind = ground.kind
    if kind in {"tmpfs", "ramfs"}:
        yield "lies in memory: every accepted message is lost when the host stops", "write another store.path"
    elif kind == "overlay":
        yield (
            (
                "a file of a lower layer becomes another file when it is first written, and a lock on the old one "
                "excludes nobody"
            ),
            "put the store on a volume of its own",
        )
    elif kind in _NFS:
        yield from _nfs_cautions(ground, times)
    elif kind == "ceph":
        needed = _CEPH_SILENCE + _MARGIN
        if times.takeover_after < needed:
            yield (
                (
                    f"CephFS keeps the locks of a silent host for {format_duration(_CEPH_SILENCE)}, and "
                    f"lock.takeover_after is {format_duration(times.takeover_after)}: takeovers find the lock "
                    "held until then"
                ),
                f'write lock.takeover_after = "{needed:.0f} s" or more, on every host',
            )
        if ground.value("recover_session") == "clean":
            yield (
                "is mounted with recover_session=clean: a host that was shut out comes back by itself",
                "mount it with recover_session=no",
            )
    elif kind not in _KNOWN and not kind.startswith("fuse"):
        yield f"nobody has measured whether locks on {kind} keep other hosts out; doctor --peer tries it", ""


def _nfs_cautions(ground: Ground, times: LockTimes) -> Iterator[tuple[str, str]]:
    if ground.lease is not None:
        needed = times.self_kill_after + ground.lease + _MARGIN
        if times.takeover_after < needed:
            yield (
                (
                    f"the server keeps the locks of a silent host for {format_duration(ground.lease)}, and "
                    f"lock.takeover_after is {format_duration(times.takeover_after)}: takeovers find the lock held "
                    "until then"
                ),
                f'write lock.takeover_after = "{needed:.0f} s" or more, on every host',
            )
    for option in ("acregmax", "acdirmax"):
        told = ground.value(option)
        if told.isdecimal() and int(told) > _CACHED:
            yield (
                (
                    f"is mounted with {option}={told}: programs that do not open folders anew see other hosts' results "
                    "only so many seconds later"
                ),
                f"mount it with actimeo of {_CACHED} or less",
            )
    if ground.has("nosharecache"):
        yield (
            "is mounted nosharecache: a second mount of it on this host may be granted a lock that is held",
            "mount it without nosharecache, and once",
        )
