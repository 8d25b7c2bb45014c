"""The service manager is told by datagram; a real socket listens here."""

from __future__ import annotations

import os
import socket
import uuid

import pytest

from supervisor.notify import VARIABLE, Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A listening socket with the address that a manager would put into the environment."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@autoreduce-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if request.param == "abstract" else address)
        listener.settimeout(10)
        yield listener, address


@pytest.fixture
def told(manager):
    listener, address = manager
    return Notifier(address), lambda: listener.recv(4096).decode()


def test_ready_and_stopping_are_told_in_a_datagram_each(told):
    notifier, heard = told
    notifier.ready()
    notifier.stopping()
    assert (heard(), heard()) == ("READY=1", "STOPPING=1")


def test_the_main_process_is_named_with_ready_where_it_is_another(told):
    notifier, heard = told
    notifier.ready(main_pid=4711)
    assert heard() == "MAINPID=4711\nREADY=1"


def test_a_status_is_one_line_whatever_stands_in_it(told):
    notifier, heard = told
    notifier.status("store away:\nREADY=1\n\tno such folder " + "x" * 1000)
    status = heard()
    assert status.startswith("STATUS=store away: READY=1 no such folder xxx")
    assert "\n" not in status
    assert len(status) < 520


def test_the_address_is_taken_out_of_the_environment(manager):
    environ = {VARIABLE: manager[1], "PATH": os.defpath}
    assert Notifier.take(environ).address == manager[1]
    assert environ == {"PATH": os.defpath}


def test_without_a_manager_nothing_is_said_and_nothing_is_logged(caplog):
    notifier = Notifier.take({})
    notifier.ready()
    notifier.status("well")
    assert not caplog.records


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody-listens-" + "x" * 20, "/" + "x" * 200, "vsock:2:1"])
def test_a_manager_that_cannot_be_told_is_logged_and_keeps_nobody_from_serving(address, caplog):
    Notifier(address).ready()
    assert "Cannot tell the service manager" in caplog.text


def watched(address, **variables):
    environ = {VARIABLE: address, "WATCHDOG_USEC": "20000000", "PATH": os.defpath, **variables}
    notifier = Notifier.take(environ)
    assert environ == {"PATH": os.defpath}
    return notifier


@pytest.mark.parametrize("meant", [{}, {"WATCHDOG_PID": str(os.getpid())}])
def test_a_sign_of_life_is_sent_at_half_of_the_watchdogs_time(manager, meant):
    listener, address = manager
    notifier = watched(address, **meant)
    for now in (100.0, 100.1, 109.9, 110.0, 115.0, 120.5):
        notifier.alive(now)
    notifier.stopping()
    heard = [listener.recv(4096).decode() for _ in range(4)]
    assert heard == ["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "variables", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": ""}]
)
def test_no_sign_of_life_is_sent_where_none_is_asked_of_this_process(manager, variables):
    listener, address = manager
    notifier = watched(address, **variables)
    notifier.alive(100.0)
    notifier.stopping()
    assert listener.recv(4096).decode() == "STOPPING=1"
