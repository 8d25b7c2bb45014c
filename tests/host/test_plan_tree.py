"""What a box shows, worked out from facts alone."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import tree
from sandbox.linux.mounts import _mounted_below
from sandbox.tree import Bind, Tmpfs, TreeFacts, beyond, has_links, plan_tree, resolved

FACTS = TreeFacts(
    system={"bin": "usr/bin", "lib": "usr/lib", "lib64": "", "sbin": "usr/sbin"},
    etc=("/etc/ld.so.cache", "/etc/localtime"),
    processors=True,
    uid=1000,
    gid=100,
    hostname="box",
    out=7,
    home="/spool/x/home",
    handoff=8,
    tmp_size=4096,
    tmp_inodes=10,
)


def shown(**changes) -> dict[str, Bind]:
    return {bind.target: bind for bind in plan_tree(replace(FACTS, **changes)).binds}


def test_a_merged_host_gets_links_and_another_its_folders():
    tree = plan_tree(FACTS)

    assert tree.links["/bin"] == "usr/bin"
    assert "/lib64" not in tree.links
    assert shown()["/lib64"] == Bind(source="/lib64", target="/lib64")


def test_only_three_places_and_the_devices_are_writable():
    writable = {target for target, bind in shown(data=("/d",), readable=("/r",)).items() if bind.writable}

    assert {place for place in writable if not place.startswith("/dev/")} == {"/out", "/home/reduce", "/run/handoff"}
    assert {target for target, bind in shown().items() if bind.devices} == {
        "/dev/full",
        "/dev/null",
        "/dev/random",
        "/dev/urandom",
        "/dev/zero",
    }


def test_memory_is_bounded_by_bytes_and_inodes():
    assert plan_tree(FACTS).tmpfs == (
        Tmpfs(target="/tmp", size=4096, inodes=10),
        Tmpfs(target="/dev/shm", size=4096, inodes=10),
    )


def test_what_is_declared_is_shown_under_its_name_once():
    tree = plan_tree(replace(FACTS, data=("/archive/NDX λ/a b",), readable=("/archive/NDX λ/a b", "/usr", "/lib64")))

    targets = [bind.target for bind in tree.binds]
    assert targets.count("/archive/NDX λ/a b") == targets.count("/usr") == targets.count("/lib64") == 1


@pytest.mark.parametrize(
    "path", ["/usr/share/data", "/tmp/x/data", "/work/data", "/home/reduce/miniconda3", "/home/anna", "/o", "/outer"]
)
def test_folders_beside_ours_can_be_shown(path):
    assert shown(data=(path,))[path] == Bind(source=path, target=path)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "/dev"),
        ("//", "/dev"),
        ("/tmp", "/tmp"),
        ("/tmp/", "/tmp"),
        ("/home", "/home/reduce"),
        ("/run", "/run/handoff"),
        ("/run/handoff/x", "/run/handoff"),
        ("/out", "/out"),
        ("/out/sub", "/out"),
        ("/etc", "/etc"),
        ("/etc/ssl", "/etc"),
        ("//etc/./ssl", "/etc"),
        ("/proc/1", "/proc"),
        ("/dev/mapper", "/dev"),
        ("/sys/kernel", "/sys"),
        ("/work", "/work"),
        ("/run/script", "/run/script"),
    ],
)
def test_what_would_cover_or_share_a_place_of_ours_is_refused(path, place):
    with pytest.raises(ValueError, match=f"would hide or share {place}, "):
        plan_tree(replace(FACTS, data=(path,)))


@pytest.mark.parametrize("path", ["data", "", "/a/../etc", "/a\0b"])
def test_what_is_no_plain_absolute_path_is_refused(path):
    with pytest.raises(ValueError, match="give an absolute path"):
        plan_tree(replace(FACTS, readable=(path,)))


def test_the_boxes_own_files_know_one_user():
    files = plan_tree(FACTS).files

    assert files["/etc/passwd"].splitlines()[0] == "reduce:x:1000:100:reduce:/home/reduce:/bin/sh"
    assert files["/etc/group"].splitlines() == ["reduce:x:100:", "nogroup:x:65534:"]
    assert files["/etc/hosts"].splitlines()[0] == "127.0.0.1 localhost box"
    assert plan_tree(replace(FACTS, uid=65534, gid=65534)).files["/etc/passwd"].count("65534:65534") == 1


def test_links_of_the_tree_are_followed_by_text():
    links = {"/bin": "usr/bin", "/a/b": "../c", "/c": "/d/e", "/dev/fd": "/proc/self/fd"}

    assert resolved("/bin/sh", links) == "/usr/bin/sh"
    assert resolved("/a/b/x/../y", links) == "/d/e/y"
    assert resolved("/../x", links) == "/x"
    with pytest.raises(OSError, match="/p/x") as failed:
        resolved("/p/x", {"/p": "q", "/q": "p"})
    assert failed.value.errno == errno.ELOOP


@given(st.dictionaries(st.sampled_from(["/a", "/b", "/a/c"]), st.sampled_from(["b", "..", "/a", "/x/y", "c"])))
def test_whatever_the_links_a_place_lies_in_the_root(links):
    try:
        place = resolved("/a/c/d", links)
    except OSError:
        place = "/none"  # a circle
    assert place.startswith("/")
    assert ".." not in place.split("/")


def test_mounts_below_one_are_found_by_their_parents():
    mountinfo = b"""\
20 1 254:0 / / rw,relatime - ext4 /dev/vda rw
21 20 0:21 / /a\\040b rw,nosuid,noexec shared:1 - tmpfs tmpfs rw
22 21 0:22 / /a\\040b/c ro,nodev,noatime master:1 - tmpfs tmpfs rw
23 20 0:23 / /a\\040b/hidden rw - tmpfs tmpfs rw
"""

    assert list(_mounted_below(mountinfo, 21)) == [(21, "/a b", 0x2 | 0x8), (22, "/a b/c", 0x1 | 0x4 | 0x400)]
    with pytest.raises(OSError, match="mount 99 was bound"):
        list(_mounted_below(mountinfo, 99))


def test_data_may_lie_below_a_folder_that_is_private_inside():
    for path in ("/tmp/x", "/home/reduce/x", "/dev/shm/x"):
        assert tree.is_free(path)
        assert not tree.is_free(os.path.dirname(path))


# --- the ground, and what lies beyond it ------------------------------------------------------------------------------

OWN = replace(FACTS, more=(Bind(source="/spool/x/work", target="/work", writable=True),))
GROUND = plan_tree(OWN)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data": ("/archive/a",), "readable": ("/archive", "/work/x", "/tmp/calibration")},
        {
            "interpreter": ("/opt/python", "/usr/local/lib/x", "/home/anna/env"),
            "interpreter_links": {"/opt/p": "python"},
        },
        {"interpreter_links": {"/archive": "/mnt/archive", "/bin/python": "python3"}, "data": ("/archive/a",)},
        {"hidden": ("/archive/boxes",), "readable": ("/archive",)},
    ],
)
def test_the_ground_and_what_lies_beyond_it_are_the_whole(changes):
    whole = plan_tree(replace(OWN, **changes))

    rest = beyond(whole, GROUND)

    assert sorted(map(repr, (*GROUND.binds, *rest.binds))) == sorted(map(repr, whole.binds))
    assert sorted(map(repr, (*GROUND.tmpfs, *rest.tmpfs))) == sorted(map(repr, whole.tmpfs))
    assert {**GROUND.links, **rest.links} == whole.links
    assert not set(GROUND.links) & set(rest.links)
    assert rest.files == {}
    assert rest.folders == ()


@pytest.mark.parametrize(
    ("links", "moved"),
    [
        ({"/home": "/export/home"}, "/export/home/reduce"),
        ({"/run": "var/run"}, "/var/run/handoff"),
        ({"/work": "/data/work"}, "/data/work"),
        ({"/usr": "/system"}, "/system"),
        ({"/a": "/home", "/home": "/b"}, "/b/reduce"),
    ],
)
def test_a_link_that_belongs_over_a_place_that_stands_is_refused(links, moved):
    with pytest.raises(ValueError, match="in a box that stands already") as refused:
        beyond(plan_tree(replace(OWN, interpreter_links=links)), GROUND)
    assert repr(moved) in str(refused.value)


def test_links_on_the_way_to_a_place_are_found(tmp_path):
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")

    assert has_links([f"{tmp_path}/real/below", f"{tmp_path}/link/below"])
    assert has_links([f"{tmp_path}/link"])
    assert not has_links([f"{tmp_path}/real/below", f"{tmp_path}/none/at/all"])
