from __future__ import annotations

import os

import pytest
from storemaking import in_child, make_store

from supervisor import durable, hosts
from supervisor.hosts import HostBeat, IdentityTaken
from supervisor.rblock import RbLock


def beat(host="h0", counter=1):
    return HostBeat(
        host=host,
        boot="boot-1",
        counter=counter,
        slots=2,
        running=0,
        version="1",
        level="none",
        pid=42,
        since=1_700_000_000.0,
        hostname="node7",
    )


def _refused(layout, boot):
    """What a second supervisor of id h0, in another process, is told."""
    read, write = os.pipe()

    def second():
        try:
            hosts.live(layout, "h0", boot)
        except IdentityTaken as taken:
            os.write(write, str(taken).encode())
            return 0
        return 1

    assert in_child(second) == 0
    os.close(write)
    with os.fdopen(read) as pipe:
        return pipe.read()


def test_a_second_supervisor_of_one_host_id_is_refused_by_name(tmp_path):
    layout = make_store(tmp_path)
    hosts.write_beat(layout, beat())
    life = hosts.live(layout, "h0", "boot-1")
    said = _refused(layout, "boot-1")
    for fact in ('"h0"', "this machine", "pid 42", "boot-1", "2023-11-14T22:13:20", "host.id"):
        assert fact in said
    life.close()
    hosts.live(layout, "h0", "boot-1").close()


def test_a_cloned_machine_is_told_which_machine_has_the_id_since_when_and_in_which_boot(tmp_path):
    layout = make_store(tmp_path)
    hosts.write_beat(layout, beat())
    life = hosts.live(layout, "h0", "boot-1")
    said = _refused(layout, "boot-of-the-clone")
    for fact in ('"h0"', "another machine", "node7", "boot boot-1", "2023-11-14T22:13:20", "cloned", "machine id"):
        assert fact in said
    life.close()


@pytest.mark.parametrize("record", [b"", b"{", b'{"v":2}', b'{"v":1}', b'{"v":1,"host":7}'])
def test_an_id_whose_heartbeat_cannot_be_read_is_refused_all_the_same(tmp_path, record):
    layout = make_store(tmp_path)
    life = hosts.live(layout, "h0", "boot-1")
    durable.replace(layout.host_beat("h0"), record, "host-beat")
    assert '"h0" is in use by another supervisor' in _refused(layout, "boot-1")
    life.close()


def test_a_heartbeat_that_cannot_be_read_keeps_no_other_host_from_speaking_and_has_a_pulse(tmp_path):
    layout = make_store(tmp_path)
    hosts.write_beat(layout, beat("h1"))
    durable.replace(layout.host_beat("h0"), b'{"v":2,"counter":1}', "host-beat")
    assert [found.host for found in hosts.all_beats(layout)] == ["h1"]
    assert hosts.all_hosts(layout) == ["h0", "h1"]
    before = hosts.pulse(layout, "h0")
    assert before is not None
    durable.replace(layout.host_beat("h0"), b'{"v":2,"counter":2}', "host-beat")
    assert hosts.pulse(layout, "h0") != before
    assert hosts.pulse(layout, "h9") is None


def test_a_lock_of_the_id_that_the_server_let_go_is_taken_again_or_the_host_is_refused(tmp_path):
    layout = make_store(tmp_path)
    life = hosts.live(layout, "h0", "boot-1")
    assert hosts.live_on(layout, "h0", "boot-1", life) is life
    life.close()
    lost = RbLock(-1)  # answers EBADF, as the descriptor of one that the server let go answers EIO
    again = hosts.live_on(layout, "h0", "boot-1", lost)
    assert hosts.live_on(layout, "h0", "boot-1", again) is again
    with pytest.raises(IdentityTaken, match="h0"):
        hosts.live_on(layout, "h0", "boot-1", lost)
    again.close()


def test_the_id_is_free_when_its_holder_is_killed(tmp_path):
    layout = make_store(tmp_path)

    def die():
        hosts.live(layout, "h0", "boot-1")
        os.kill(os.getpid(), 9)
        return 0

    assert in_child(die) == -9
    hosts.live(layout, "h0", "boot-1").close()


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
        hosts.live(layout, host, "boot-1").close()
    assert {found.host for found in hosts.all_beats(layout)} == {"h0", "a.b/c", "é"}


def test_the_default_id_holds_the_name_of_the_host():
    assert hosts.default_id().startswith(os.uname().nodename)
