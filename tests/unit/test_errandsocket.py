"""The socket between supervisor and nursery: what is let through, and what is refused."""

from __future__ import annotations

import array
import os
import socket

import pytest
from opendescriptors import none_left

from supervisor import errandsocket
from supervisor.errandsocket import BadDatagram
from supervisor.runplan import RunPlan, pack_script, unpack_script


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_descriptors_arrive_with_the_words_and_close_on_exec(pair, tmp_path):
    ours, theirs = pair
    fd = os.open(tmp_path, os.O_RDONLY)
    errandsocket.send(ours, b"fork", [fd, fd, fd])
    words, descriptors = errandsocket.receive(theirs)
    assert words == b"fork"
    assert len(descriptors) == 3
    for received in descriptors:
        assert not os.get_inheritable(received)
        assert os.path.sameopenfile(received, fd)
        os.close(received)
    os.close(fd)


def test_the_end_of_the_connection_is_none(pair):
    ours, theirs = pair
    ours.close()
    assert errandsocket.receive(theirs) is None


def test_a_cut_off_request_is_refused_and_leaks_no_descriptor(pair, tmp_path):
    ours, theirs = pair
    fd = os.open(tmp_path, os.O_RDONLY)
    numbers = array.array("i", [fd] * 40)
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())])
    with none_left(), pytest.raises(BadDatagram, match="cut off"):
        errandsocket.receive(theirs)
    os.close(fd)


def test_a_request_longer_than_words_is_refused(pair):
    ours, theirs = pair
    ours.send(b"x" * 5000)
    with pytest.raises(BadDatagram):
        errandsocket.receive(theirs)


def test_a_plan_of_many_megabytes_travels_sealed():
    plan = RunPlan(
        errand="run", store="/s", rb="1", n=1, job="j", host="h", boot="b", hostname="h", code_version="0",
        box={"script": pack_script(b"\xef\xbb\xbf# \xff\r\n" * 400_000)},
    )  # fmt: skip
    fd = errandsocket.seal(plan.to_bytes())
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    again = RunPlan.from_bytes(errandsocket.unseal(fd))
    os.close(fd)
    assert again == plan
    assert unpack_script(again.box["script"]).startswith(b"\xef\xbb\xbf# \xff\r\n")


def test_a_plan_that_is_not_sealed_is_refused(tmp_path):
    memory = os.memfd_create("plan", os.MFD_ALLOW_SEALING)
    os.write(memory, b"{}")
    with pytest.raises(BadDatagram, match="not sealed"):
        errandsocket.unseal(memory)
    os.close(memory)
    plain = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(BadDatagram, match="not a sealed memory file"):
        errandsocket.unseal(plain)
    os.close(plain)


def test_a_plan_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version"):
        RunPlan.from_bytes(b'{"v": 2}')


def test_the_socket_works_below_a_path_longer_than_sun_path_and_belongs_to_its_user(tmp_path):
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    listener = errandsocket.bind(str(folder), "nursery.sock")
    assert os.stat(folder / "nursery.sock").st_mode & 0o777 == 0o600
    link = errandsocket.connect(str(folder), "nursery.sock", 5.0)
    assert errandsocket.check_peer(link) == os.getpid()
    link.close()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        errandsocket.connect(str(folder), "nursery.sock", 5.0)


def test_another_users_process_is_no_peer(pair, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(BadDatagram, match="runs as uid"):
        errandsocket.check_peer(pair[0])
