"""What /proc says of control groups, as hosts and containers of all kinds say it; pure."""

from __future__ import annotations

import pytest

from sandbox.linux.cgroupfs import UNIFIED, Hierarchy, kind, own_folders, parse_mounts, parse_positions

V1 = """\
23 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
31 23 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/systemd rw,nosuid shared:9 - cgroup cgroup rw,xattr,name=systemd
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:11 master:2 - cgroup cgroup rw,memory
35 31 0:32 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid - cgroup cgroup rw,net_cls,net_prio
36 31 0:33 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
"""
V1_POSITIONS = """\
12:memory:/system.slice/reduce.service
11:cpu,cpuacct:/system.slice/reduce.service
9:net_cls,net_prio:/
3:pids:/
1:name=systemd:/system.slice/reduce.service
0::/system.slice/reduce.service
"""
V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
HYBRID = V1 + "40 31 0:40 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def folders(mounts, positions):
    return own_folders(parse_mounts(mounts), parse_positions(positions))


@pytest.mark.parametrize(("text", "what"), [("", "none"), (V1, "v1"), (V2, "v2"), (HYBRID, "hybrid")])
def test_the_kind_of_a_host_is_what_is_mounted(text, what):
    assert kind(parse_mounts(text)) == what


def test_version_1_has_a_folder_for_each_controller_and_one_for_those_mounted_together():
    assert folders(V1, V1_POSITIONS) == {
        "memory": "/sys/fs/cgroup/memory/system.slice/reduce.service",
        "cpu": "/sys/fs/cgroup/cpu,cpuacct/system.slice/reduce.service",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/system.slice/reduce.service",
        "pids": "/sys/fs/cgroup/pids",
    }


def test_version_2_has_one_folder():
    assert folders(V2, "0::/system.slice/reduce.service\n") == {UNIFIED: "/sys/fs/cgroup/system.slice/reduce.service"}


def test_a_hybrid_host_has_both():
    found = folders(HYBRID, V1_POSITIONS)

    assert found[UNIFIED] == "/sys/fs/cgroup/unified/system.slice/reduce.service"
    assert found["memory"] == "/sys/fs/cgroup/memory/system.slice/reduce.service"


def test_a_container_without_a_cgroup_namespace_finds_its_place_below_the_bound_group():
    mounts = "34 31 0:31 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

    assert folders(mounts, "4:memory:/docker/abc\n") == {"memory": "/sys/fs/cgroup/memory"}
    assert folders(mounts, "4:memory:/docker/abc/inner\n") == {"memory": "/sys/fs/cgroup/memory/inner"}


def test_a_group_that_is_not_below_the_mount_has_no_folder():
    mounts = "34 31 0:31 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

    assert folders(mounts, "4:memory:/docker/abcdef\n") == {}
    assert folders(mounts, "4:memory:/\n") == {}


def test_a_group_outside_the_cgroup_namespace_has_no_folder():
    assert folders(V2, "0::/../../other.service\n") == {}
    assert folders("29 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n") == {}


def test_a_container_with_a_cgroup_namespace_stands_at_the_root_it_sees():
    assert folders(V2, "0::/\n") == {UNIFIED: "/sys/fs/cgroup"}


def test_of_two_mounts_of_one_hierarchy_the_one_that_shows_more_is_taken():
    bound = "50 23 0:31 /system.slice/box /run/box/memory rw - cgroup cgroup rw,memory\n"
    whole = "34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

    for text in (bound + whole, whole + bound):
        assert folders(text, "4:memory:/system.slice/box\n") == {"memory": "/sys/fs/cgroup/memory/system.slice/box"}


@pytest.mark.parametrize(
    "line",
    [
        "29 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw\n",
        "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 ro\n",
    ],
)
def test_a_read_only_mount_is_told_and_gives_no_folder(line):
    assert [mount.writable for mount in parse_mounts(line)] == [False]
    assert folders(line, "0::/\n") == {}


def test_a_mount_point_with_blanks_is_read_as_it_is():
    line = r"29 23 0:26 /a\040b /mnt/c\134d\040e rw - cgroup2 none rw" + "\n"

    assert parse_mounts(line) == (Hierarchy(controllers=frozenset({UNIFIED}), root="/a b", point="/mnt/c\\d e"),)


def test_a_group_name_with_colons_and_a_removed_group_are_read():
    found = parse_positions("4:memory:/a:b/c\n0::/gone (deleted)\n5:pids:/x\n")

    assert found == {"memory": "/a:b/c", UNIFIED: "/gone", "pids": "/x"}


@pytest.mark.parametrize(
    "text", ["", "\n\n", "4\n", "4:memory\n", "abc def - \n", "1 2 3 - cgroup\n", " - cgroup c rw,memory\n"]
)
def test_lines_that_are_none_are_left_out(text):
    assert parse_positions(text) == {}
    assert parse_mounts(text) == ()
