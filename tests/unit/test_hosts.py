from __future__ import annotations

import os

import pytest
from storemaking import in_child, make_store

from supervisor import hosts
from supervisor.hosts import HostBeat, IdentityTaken
from supervisor.rblock import RbLock


def beat(host="h0", counter=1):
    return HostBeat(host=host, boot="boot-1", counter=counter, slots=2, running=0, version="1", level="none", pid=42)


def test_a_second_supervisor_of_one_host_id_is_refused_by_name(tmp_path):
    layout = make_store(tmp_path)
    hosts.write_beat(layout, beat())
    life = hosts.live(layout, "h0")

    def second():
        try:
            hosts.live(layout, "h0")
        except IdentityTaken as taken:
            return 0 if "h0" in str(taken) and "pid 42" in str(taken) and "host.id" in str(taken) else 2
        return 1

    assert in_child(second) == 0
    life.close()
    hosts.live(layout, "h0").close()


def test_a_lock_of_the_id_that_the_server_let_go_is_taken_again_or_the_host_is_refused(tmp_path):
    layout = make_store(tmp_path)
    life = hosts.live(layout, "h0")
    assert hosts.live_on(layout, "h0", life) is life
    life.close()
    lost = RbLock(-1)  # answers EBADF, as the descriptor of one that the server let go answers EIO
    again = hosts.live_on(layout, "h0", lost)
    assert hosts.live_on(layout, "h0", again) is again
    with pytest.raises(IdentityTaken, match="h0"):
        hosts.live_on(layout, "h0", lost)
    again.close()


def test_the_id_is_free_when_its_holder_is_killed(tmp_path):
    layout = make_store(tmp_path)

    def die():
        hosts.live(layout, "h0")
        os.kill(os.getpid(), 9)
        return 0

    assert in_child(die) == -9
    hosts.live(layout, "h0").close()


def test_a_heartbeat_is_read_as_it_was_written_and_replaced_whole(tmp_path):
    layout = make_store(tmp_path)
    assert hosts.read_beat(layout, "h0") is None
    hosts.write_beat(layout, beat())
    hosts.write_beat(layout, beat(counter=2))
    assert hosts.read_beat(layout, "h0") == beat(counter=2)


def test_all_hosts_are_found_whatever_their_names(tmp_path):
    layout = make_store(tmp_path)
    for host in ("h0", "a.b/c", "é"):
        hosts.write_beat(layout, beat(host))
        hosts.live(layout, host).close()
    assert {found.host for found in hosts.all_beats(layout)} == {"h0", "a.b/c", "é"}


def test_the_default_id_holds_the_name_of_the_host():
    assert hosts.default_id().startswith(os.uname().nodename)
