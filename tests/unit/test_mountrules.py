"""What mounts promise a store: every kind, option and setting that breaks locks is refused in words with a remedy."""

from __future__ import annotations

import pytest

from supervisor import mounted, mountrules, storeground
from supervisor.checkup import Status
from supervisor.mountrules import LockTimes

USUAL = "rw,relatime,vers=4.2,rsize=1048576,hard,proto=tcp,timeo=600,sec=sys,clientaddr=10.0.0.2,local_lock=none"
STATISTICS = """\
device /dev/vda mounted on / with fstype ext4
device server:/b mounted on /other with fstype nfs4 statvers=1.1
\tnfsv4:\tbm0=0x0,acl=0x3,sessions,pnfs=not configured,lease_time=30,lease_expired=0
device server:/a b mounted on /s\\040t with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.2
\tnfsv4:\tbm0=0xfdffbfff,bm1=0x40f9be3e,bm2=0x60803,acl=0x3,sessions,pnfs=not configured,lease_time=90,lease_expired=0
"""


def ground(kind, options=USUAL, *, recover="", statistics=""):
    mount = mounted.Mount(point="/s t", kind=kind, source="server:/a", options=frozenset(options.split(",")))
    return storeground.of(mount, recover=recover, statistics=statistics)


USUAL_TIMES = LockTimes()


def found(*args, times=USUAL_TIMES, **changes):
    return mountrules.findings(ground(*args, **changes), times)


CEPHS = LockTimes(takeover_after=330.0)


@pytest.mark.parametrize(
    ("kind", "options", "times"),
    [
        ("nfs4", USUAL, LockTimes()),
        ("nfs4", "rw,vers=4.1,hard,local_lock=none,acregmin=3,acregmax=3,acdirmin=3,acdirmax=3", LockTimes()),
        ("nfs4", "rw,hard", LockTimes()),
        ("nfs", "rw,vers=4.2,hard,local_lock=none", LockTimes()),
        ("ceph", "rw,name=me,acl", CEPHS),
        ("lustre", "rw,flock,lazystatfs", LockTimes()),
        ("gpfs", "rw", LockTimes()),
        ("gfs2", "rw,lockproto=lock_dlm", LockTimes()),
        ("ext4", "rw,relatime", LockTimes()),
        ("xfs", "rw", LockTimes()),
    ],
)
def test_of_a_good_mount_nothing_is_said(kind, options, times):
    assert found(kind, options, times=times) == []


@pytest.mark.parametrize(
    ("kind", "options", "recover", "words", "remedy"),
    [
        ("nfs", "rw,vers=3,hard,local_lock=none", "", "NFS version 3", "vers=4.2"),
        ("nfs", "rw,hard", "", "NFS version 3 or older", "vers=4.2"),
        ("nfs", "rw,vers=2,hard", "", "NFS version 2", "vers=4.2"),
        ("nfs", "rw,vers=4.2,hard,nolock,local_lock=none", "", "nolock", "without nolock"),
        ("nfs4", f"{USUAL[:-4]}flock", "", "local_lock=flock", "local_lock=none"),
        ("nfs4", f"{USUAL[:-4]}all", "", "local_lock=all", "local_lock=none"),
        ("nfs4", f"{USUAL[:-4]}posix", "", "local_lock=posix", "local_lock=none"),
        ("nfs4", USUAL.replace("hard", "soft"), "", "mounted soft: when the server is slow it gives writes up", "hard"),
        ("nfs4", USUAL.replace("hard", "softerr"), "", "mounted softerr", "hard"),
        ("nfs4", f"{USUAL},softreval", "", "from its cache", "softreval"),
        ("nfs4", f"{USUAL},nocto", "", "nocto", "mount it with cto"),
        ("nfs4", USUAL, "Y\n", "takes it again in silence", "recover_lost_locks=0"),
        ("nfs4", USUAL, "1", "takes it again in silence", "recover_lost_locks=0"),
        ("nfs4", f"ro,{USUAL}", "", "read-only", "remount,rw"),
        ("lustre", "rw", "", "without -o flock", "-o flock"),
        ("lustre", "rw,noflock", "", "without -o flock", "-o flock"),
        ("lustre", "rw,localflock", "", "without -o flock", "-o flock"),
        ("lustre", "rw,flock,localflock", "", "without -o flock", "-o flock"),
        ("gfs2", "rw,localflocks", "", "stay on this host", "without"),
        ("gfs2", "rw,lockproto=lock_nolock", "", "stay on this host", "without"),
        ("ocfs2", "rw,localflocks", "", "stay on this host", "without"),
        ("cifs", "rw,vers=3.1.1", "", "SMB has no hard links", "NFSv4"),
        ("smb3", "rw", "", "SMB has no hard links", "NFSv4"),
        ("fuse.sshfs", "rw", "", "user space", "NFSv4"),
        ("fuse.ceph-fuse", "rw", "", "user space", "NFSv4"),
        ("fuse.glusterfs", "rw", "", "user space", "NFSv4"),
        ("fuseblk", "rw", "", "user space", "NFSv4"),
        ("fuse", "rw", "", "user space", "NFSv4"),
        ("vfat", "rw", "", "FAT has no hard links", "NFSv4"),
        ("exfat", "rw", "", "exFAT has no hard links", "NFSv4"),
        ("9p", "rw", "", "inside this machine", "in the guest"),
        ("virtiofs", "rw", "", "inside this machine", "in the guest"),
    ],
)
def test_what_breaks_locks_is_refused_with_what_mends_it(kind, options, recover, words, remedy):
    (first, *_) = found(kind, options, recover=recover)
    assert (first.status, first.area, first.name) == (Status.FAIL, "mount", f"{kind} at /s t")
    assert words in first.text
    assert remedy in first.remedy


def test_every_fault_of_a_mount_is_told_and_each_once():
    said = found("nfs", "rw,vers=3,nolock,soft,local_lock=all,nocto", recover="Y")
    assert [each.status for each in said] == [Status.FAIL] * 5
    assert len({each.text for each in said}) == 5


@pytest.mark.parametrize(
    ("kind", "options", "statistics", "times", "words"),
    [
        ("ceph", "rw", "", LockTimes(), 'takeover_after = "330 s"'),
        ("ceph", "rw,recover_session=clean", "", CEPHS, "recover_session=no"),
        ("nfs4", USUAL, STATISTICS, LockTimes(takeover_after=150.0), 'takeover_after = "180 s"'),
        ("nfs4", f"{USUAL},acregmin=600,acregmax=600,acdirmin=30,acdirmax=60", "", LockTimes(), "actimeo"),
        ("nfs4", f"{USUAL},acdirmax=61", "", LockTimes(), "actimeo"),
        ("nfs4", f"{USUAL},nosharecache", "", LockTimes(), "without nosharecache"),
        ("overlay", "rw,lowerdir=/l,upperdir=/u", "", LockTimes(), "volume of its own"),
        ("tmpfs", "rw", "", LockTimes(), "another store.path"),
        ("beegfs", "rw", "", LockTimes(), ""),
    ],
)
def test_what_somebody_should_know_is_a_caution(kind, options, statistics, times, words):
    (said,) = found(kind, options, statistics=statistics, times=times)
    assert said.status is Status.CAUTION
    assert words in said.remedy


def test_the_lease_is_that_of_the_mount_itself_and_the_default_times_suit_ninety_seconds():
    assert storeground.lease_in(STATISTICS, "/s t") == 90.0
    assert storeground.lease_in(STATISTICS, "/other") == 30.0
    assert storeground.lease_in(STATISTICS, "/") is None
    assert found("nfs4", statistics=STATISTICS) == []


def test_a_setting_of_the_nfs_client_says_nothing_of_other_kinds():
    assert not ground("ceph", "rw", recover="Y").recover_lost_locks
    assert ground("nfs4", recover="Y").recover_lost_locks
    assert not ground("nfs4", recover="N\n").recover_lost_locks


def test_only_what_locks_depend_on_is_a_change():
    before = ground("nfs4")
    assert storeground.changes(before, ground("nfs4", USUAL.replace("10.0.0.2", "10.0.0.3"))) == ""
    assert storeground.changes(before, ground("nfs4", USUAL.replace("1048576", "65536"))) == ""
    assert "local_lock=none and is local_lock=all" in storeground.changes(before, ground("nfs4", f"{USUAL[:-4]}all"))
    assert "hard and is soft" in storeground.changes(before, ground("nfs4", USUAL.replace("hard", "soft")))
    assert "recover_lost_locks was False and is True" in storeground.changes(before, ground("nfs4", recover="Y"))
    assert "vers=4.2 and is vers=4.1" in storeground.changes(before, ground("nfs4", USUAL.replace("4.2", "4.1")))
    other = mounted.Mount(point="/s t", kind="nfs4", source="filer2:/a", options=frozenset(USUAL.split(",")))
    assert "server:/a and is filer2:/a" in storeground.changes(before, storeground.of(other))


def test_a_ground_survives_its_record():
    one = ground("nfs4", recover="Y", statistics=STATISTICS)
    assert storeground.Ground.from_json(one.to_json()) == one


def test_what_this_host_lies_on_can_be_told(tmp_path):
    assert storeground.read(str(tmp_path)).kind == mounted.here(str(tmp_path)).kind
