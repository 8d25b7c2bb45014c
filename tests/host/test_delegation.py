"""A subtree of control groups handed over by root, and what its new owner can do in it; real groups of this host."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import textwrap

import pytest

from sandbox import delegation
from sandbox.cgroups import Groups
from sandbox.linux import cgroupfs, trial

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: A user of every host that no other test is.
OWNER = pwd.getpwnam("daemon")
STRANGER = pwd.getpwnam("nobody")
#: Makes a group with limits in the folders given, puts a process of its own in, and takes both away again.
USE = textwrap.dedent("""
    import json, os, sys
    from sandbox.cgroups import Groups
    from sandbox.limits import Limits
    groups = Groups.at(json.loads(sys.argv[1]))
    try:
        group = groups.make("0123456789abcdef", Limits(memory=64 << 20, processes=10))
    except OSError as error:
        print(json.dumps([error.errno]))
        sys.exit()
    doors = group.doorways("script")
    pid = os.fork()
    if pid == 0:
        from sandbox.linux import cgroupfiles
        cgroupfiles.enter(doors)
        import signal
        signal.pause()
    group.close_doorways()
    while group.is_empty():
        pass
    limits = group.guards()
    killed = group.kill()
    os.waitpid(pid, 0)
    group.end()
    print(json.dumps([limits, killed, sorted(groups.sweep(lambda name: False))]))
""")


@pytest.fixture
def name():
    """What this test calls its folders; they are removed."""
    name = f"autoreduce-test-{os.getpid()}"
    yield name
    for folder in set(delegation.fixed_folders(cgroupfs.hierarchies(), name).values()):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)


def handed(name):
    """Hands over in a child, which may be moved, and returns the folders and the reason."""

    def hand_over():
        try:
            return json.dumps(delegation.hand_over(OWNER.pw_uid, OWNER.pw_gid, name))
        except OSError as error:
            return json.dumps([{}, str(error)])

    folders, reason = json.loads(trial.run(hand_over))
    return folders, reason


def used(folders, account):
    who = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    program = [*who, "/usr/bin/python3", "-c", USE, json.dumps(folders)]
    done = subprocess.run(program, env={"PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_root_hands_over_serves_its_new_owner_and_nobody_else(name):
    folders, reason = handed(name)
    if not folders:  # an ordinary user, or a host that gives root nothing to hand over
        assert reason
        assert os.geteuid() != 0 or not Groups.find().available, reason
        return

    limits, killed, left = used(folders, OWNER)

    assert limits.keys() >= {"memory", "processes"} & Groups.at(folders).guards().keys()
    assert (killed, left) == (1, [])
    assert used(folders, STRANGER) == [13]  # EACCES


def test_the_owner_finds_what_was_handed_over_and_others_do_not(name):
    folders, _ = handed(name)
    mounted = cgroupfs.hierarchies()
    single = {} if cgroupfs.UNIFIED in folders else folders

    assert delegation.handed_over(mounted, OWNER.pw_uid, name) == single
    assert delegation.handed_over(mounted, STRANGER.pw_uid, name) == {}


def test_each_user_has_folders_of_his_own_so_that_two_services_of_a_host_leave_each_other_theirs(name):
    folders, reason = handed(name)
    if not folders or cgroupfs.UNIFIED in folders:
        pytest.skip(f"nothing is handed over here by a folder with a fixed name: {reason}")
    mounted, accounts = cgroupfs.hierarchies(), [pwd.getpwnam("bin"), STRANGER]
    wanted = [delegation.fixed_folders(mounted, delegation.fixed_name(account.pw_uid)) for account in accounts]
    stood = {folder for each in wanted for folder in each.values() if os.path.isdir(folder)}
    try:
        for account in accounts:
            delegation.hand_over(account.pw_uid, account.pw_gid)
        assert [delegation.handed_over(mounted, account.pw_uid) for account in accounts] == wanted
    finally:
        for folder in {folder for each in wanted for folder in each.values()} - stood:
            os.rmdir(folder)


def test_handing_over_again_is_harmless(name):
    assert handed(name)[0] == handed(name)[0]


def test_a_place_that_is_gone_has_no_groups_and_nothing_to_end():
    gone = Groups.at({"memory": "/sys/fs/cgroup/memory/autoreduce-no-such", "": "/sys/fs/cgroup/autoreduce-no-such"})

    assert not gone.available
    assert gone.folders() == {}
    gone.discard("0123456789abcdef")


def test_a_group_is_found_again_by_the_folders_in_which_it_was_made():
    from sandbox.limits import Limits

    groups = Groups.find()
    group = groups.make("fedcba9876543210", Limits())
    try:
        again = Groups.at(groups.folders())
        assert again.available == groups.available
        assert again.folders() == groups.folders()
    finally:
        Groups.at(groups.folders()).discard("fedcba9876543210")
        group.remove()
    assert not [root for root in group._roots if os.path.exists(root)]
