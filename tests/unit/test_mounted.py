"""Reading the kernel's table of mounts: which mount a path lies on, whatever was mounted over what."""

from __future__ import annotations

import os

import pytest

from supervisor import mounted

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:40 / /mnt/a\040b rw,relatime - nfs4 server:/a rw,vers=4.2,local_lock=none
41 27 0:41 / /data rw - nfs server:/d rw,vers=3,nolock,local_lock=all
42 41 0:42 / /data/scratch rw - lustre m@tcp:/l rw,flock
43 42 0:43 / /data/scratch rw - tmpfs tmpfs rw
50 27 0:50 / /old/store rw - nfs4 server:/old rw,vers=4.2
51 27 254:1 / /old rw - xfs /dev/vdb rw
60 27 0:40 /sub/folder /bound ro,nosuid master:3 propagate_from:2 - nfs4 server:/a rw,vers=4.2,hard
61 27 0:61 / /tab\011here\134and\012there rw - ceph 10.0.0.1,10.0.0.2:/ rw,name=me
62 27 0:62 / /no-source rw - tmpfs  rw,size=4k
63 27 0:63 / /- rw - fuse.sshfs user@host:/a\040-\040b rw
64 27 0:64 / /form\040- rw - btrfs /dev/vdc rw
line that is none
x y 0:1 / /z rw - ext4 /dev/z rw
"""


def mounts(text=MOUNTS):
    return mounted.parse(text.strip("\n"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/x", "ext4"),
        ("/mnt/a b/store", "nfs4"),
        ("/mnt/a bc", "ext4"),
        ("/mnt/a", "ext4"),
        ("/data", "nfs"),
        ("/data/", "nfs"),
        ("/data/scratch/x", "tmpfs"),
        ("/data/scratchy", "nfs"),
        ("/bound/deeper/store", "nfs4"),
        ("/tab\there\\and\nthere/x", "ceph"),
        ("/no-source/x", "tmpfs"),
        ("/-/x", "fuse.sshfs"),
        ("/form -/x", "btrfs"),
    ],
)
def test_a_path_lies_on_the_last_of_the_nearest_mounts(path, kind):
    assert mounted.of(path, mounts()).kind == kind


def test_a_mount_that_another_was_mounted_over_is_not_what_a_path_lies_on():
    assert mounted.of("/old/store/x", mounts()).kind == "xfs"


def test_a_bind_mount_has_its_own_options_and_those_of_its_file_system():
    bound = mounted.of("/bound/store", mounts())
    assert (bound.point, bound.source) == ("/bound", "server:/a")
    assert {"ro", "nosuid", "hard", "vers=4.2"} <= bound.options


def test_names_are_read_as_they_were_written():
    found = {mount.point: mount for mount in mounts()}
    assert found["/-"].source == "user@host:/a - b"
    assert found["/no-source"].source == ""
    assert "/z" not in found


@pytest.mark.parametrize("letter", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_letters_that_python_takes_for_line_ends_are_part_of_a_name(letter):
    text = f"27 1 254:0 / / rw - ext4 /dev/vda rw\n40 27 0:40 / /s{letter}t rw - nfs4 server:/a rw\n"
    assert mounted.of(f"/s{letter}t/x", mounts(text)).kind == "nfs4"


def test_in_a_changed_root_the_mount_of_the_root_itself_may_not_be_shown():
    text = "50 40 0:50 / /a rw - ceph c:/ rw\n51 40 0:51 / /b rw - nfs4 s:/ rw\n52 51 0:52 / /b/c rw - xfs /dev/v rw\n"
    assert [getattr(mounted.of(path, mounts(text)), "kind", None) for path in ("/a/x", "/b/c/x", "/b", "/c")] == [
        "ceph", "xfs", "nfs4", None,
    ]  # fmt: skip


def test_a_root_that_is_its_own_parent_ends_the_walk():
    text = "1 1 0:2 / / rw - rootfs rootfs rw\n20 1 8:1 / / rw - ext4 /dev/sda rw\n"
    assert mounted.of("/x", mounts(text)).kind == "ext4"


def test_this_hosts_own_table_is_read_as_the_kernel_walks_it(tmp_path):
    """The number of the mount behind a descriptor, by the kernel (proc_pid_fdinfo(5)), is that of the one found."""
    for path in ("/", "/proc", "/dev", str(tmp_path), "/dev/shm"):
        fd = os.open(path, os.O_PATH)
        try:
            with open(f"/proc/self/fdinfo/{fd}") as file:
                number = next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))
        finally:
            os.close(fd)
        assert mounted.here(path).number == number, path


def test_what_is_not_there_yet_lies_where_it_would_be_made(tmp_path):
    assert mounted.here(str(tmp_path / "later/store")) == mounted.here(str(tmp_path))
