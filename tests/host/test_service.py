"""The supervisor in the background: start, stop and restart with real processes, and runs that outlive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from embedded import PATIENCE, Embedded
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import rundir

#: Runs until the file that the message names is there.
PATIENT = """\
import os, time
import reduce_vars
def main(input_file, output_dir):
    while not os.path.exists(reduce_vars.standard_vars["gate"]):
        time.sleep(0.02)
    with open(os.path.join(output_dir, "result.txt"), "w") as file:
        file.write("done")
"""


@pytest.fixture
def site(tmp_path):
    with Embedded(tmp_path) as made:
        yield made


def started(site):
    said = site.verb("start")
    assert said.returncode == 0, said.stdout + said.stderr
    who = rundir.serving(site.run_dir)
    assert who is not None
    assert f"pid {who.pid}" in said.stdout
    return who


def text_of(said):
    return said.stdout + said.stderr


def test_start_serves_once_and_stop_ends_it(site):
    assert site.verb("status").returncode == 3
    who = started(site)
    assert site.verb("status").returncode == 0
    again = site.verb("start")
    assert again.returncode == 70
    assert f"pid {who.pid}" in again.stderr
    assert rundir.serving(site.run_dir) == who
    job = site.submit(site.message())
    assert site.wait_published(job).verdict == "completed"
    said = site.verb("stop")
    assert said.returncode == 0
    assert not proctree.alive(who)
    assert site.verb("status").returncode == 3
    assert site.verb("stop").returncode == 0


def test_the_line_of_a_run_has_its_verdict_its_figures_and_its_limits(tmp_path):
    """What was measured stands in a record that a shepherd wrote, not in one that a test made up."""
    script = "def main(input_file, output_dir):\n    open(output_dir + '/a', 'w').write('12345')\n"
    with Embedded(tmp_path, log={"format": "json"}) as site:
        site.start()
        job = site.submit(site.message(script))
        site.wait_published(job)

        def line():
            with open(site.log) as file:
                rows = [json.loads(row) for row in file if row.startswith("{")]
            return next((row for row in rows if row.get("action") == "run"), None)

        told = wait_until(line, PATIENCE, "the line of the run")
    assert (told["job"], told["verdict"], told["attempt"], told["epoch"]) == (job, "completed", 1, 1)
    assert 0 < told["wall_s"] <= told["limit_wall"] == 120
    assert 0 < told["peak_memory"] <= told["limit_memory"] == 2 << 30
    assert told["cpu_s"] > 0
    assert (told["output"], told["files"]) == (5, 1)


def test_a_second_supervisor_on_the_same_host_id_is_refused_by_name(site, tmp_path):
    started(site)
    site.configure(service={"run_dir": site.path("run2")}, host={"id": "", "slots": 1})
    second = site.verb("start")
    assert second.returncode == 78
    assert "host id" in second.stderr
    assert "in use" in second.stderr
    assert rundir.serving(site.path("run2")) is None


def test_stop_leaves_a_run_that_is_published_after_the_next_start(site, tmp_path):
    started(site)
    gate = site.path("gate")
    message = site.message(PATIENT, reduction_arguments={"standard_vars": {"gate": gate}, "advanced_vars": {}})
    job = site.submit(message)
    run = site.wait_running(job)
    shepherd = proctree.Identity(run.shepherd.pid, run.shepherd.start)
    wait_until(lambda: os.path.exists(site.place(job).started_sent), PATIENCE, "the started reply to be told")
    said = site.verb("stop")
    assert said.returncode == 0
    assert "one run goes on" in said.stdout
    assert proctree.alive(shepherd)
    assert not os.path.exists(site.place(job).final)
    started(site)
    assert proctree.alive(shepherd)
    wait_until(lambda: json.loads(site.verb("status", "--json").stdout)["runs"], PATIENCE, "the run to be found again")
    with open(gate, "w"):
        pass
    outcome = site.wait_published(job)
    assert outcome.verdict == "completed"
    assert len(site.why(job)["attempts"]) == 1
    with open(site.result("result.txt")) as file:
        assert file.read() == "done"


def test_a_run_that_ends_while_no_supervisor_serves_is_published_by_the_next(site):
    started(site)
    gate = site.path("gate")
    message = site.message(PATIENT, reduction_arguments={"standard_vars": {"gate": gate}, "advanced_vars": {}})
    job = site.submit(message)
    site.wait_running(job)
    assert site.verb("stop").returncode == 0
    with open(gate, "w"):
        pass
    assert site.wait_final(job).verdict == "completed"
    assert not os.path.exists(site.place(job).published)
    started(site)
    site.wait_published(job)


def test_cancel_ends_a_run_that_is_under_way_at_once(site):
    started(site)
    arguments = {"standard_vars": {"gate": site.path("never")}, "advanced_vars": {}}
    job = site.submit(site.message(PATIENT, reduction_arguments=arguments))
    site.wait_running(job)
    said = site.verb("cancel", job)
    assert "asked to end" in said.stdout
    assert site.wait_published(job).verdict == "cancelled"


def test_restart_serves_under_another_pid_and_a_wrong_config_stops_nothing(site):
    first = started(site)
    said = site.verb("restart")
    assert said.returncode == 0, text_of(said)
    second = rundir.serving(site.run_dir)
    assert second is not None
    assert second != first
    assert not proctree.alive(first)
    with open(site.config, "a") as file:
        file.write("\n[nonsense]\n")
    assert site.verb("restart").returncode == 78
    assert proctree.alive(second)


def test_a_broken_config_names_every_problem(site):
    site.configure(limits={"memory": "a lot", "wal": "2 h"}, store={"pol": 1})
    said = site.verb("start")
    assert said.returncode == 78
    for word in ("memory", "wal", "pol"):
        assert word in said.stderr
    assert "Traceback" not in said.stderr
    assert not os.path.exists(site.run_dir)


@pytest.mark.parametrize("section", ["store", "spool"])
def test_a_store_or_spool_that_cannot_be_made_is_told_with_status_70(site, section):
    site.configure(**{section: {"path": os.path.join(site.config, "below a file")}})
    said = site.verb("start")
    assert said.returncode == 70
    assert "below a file" in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert rundir.serving(site.run_dir) is None


def test_a_log_or_run_directory_that_cannot_be_made_is_told_with_status_70(site):
    below = os.path.join(site.config, "below a file")
    for service_section in ({"log": os.path.join(below, "x.log")}, {"run_dir": below}):
        site.configure(service={"run_dir": site.run_dir, "log": ""} | service_section)
        said = site.verb("start")
        assert said.returncode == 70, text_of(said)
        assert "below a file" in said.stderr
        assert "Traceback" not in said.stderr


def test_the_daemon_has_a_session_of_its_own_and_nothing_of_its_parent(site):
    leaked_r, leaked_w = os.pipe()
    os.set_inheritable(leaked_w, True)
    try:
        subprocess.run(
            site.command("start"),
            check=True,
            capture_output=True,
            timeout=PATIENCE,
            pass_fds=(leaked_w,),
            cwd=site.folder,
        )
    finally:
        os.close(leaked_w)
    who = rundir.serving(site.run_dir)
    assert who is not None
    assert os.read(leaked_r, 1) == b""  # nobody holds the other end any more, the nursery included
    os.close(leaked_r)
    assert os.readlink(f"/proc/{who.pid}/cwd") == "/"
    assert os.readlink(f"/proc/{who.pid}/fd/0") == "/dev/null"
    assert os.getsid(who.pid) not in (os.getsid(0), who.pid)  # a session of its own, which it does not lead
    with open(f"/proc/{who.pid}/status") as file:
        fields = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    assert int(fields["Umask"], 8) == 0o027
    assert os.stat(os.path.join(site.run_dir, "supervisor.log")).st_mode & 0o007 == 0


def test_start_works_with_its_standard_streams_closed(site):
    line = "import os, sys\nfor fd in range(3): os.close(fd)\nos.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", line, *site.command("start")], timeout=PATIENCE, cwd=site.folder, check=False
    )
    assert done.returncode == 0
    assert rundir.serving(site.run_dir) is not None


def test_a_supervisor_that_was_killed_leaves_no_word_that_it_serves(site):
    who = started(site)
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not proctree.alive(who), PATIENCE, "the supervisor to be gone")
    assert site.verb("status").returncode == 3
    assert site.verb("stop").returncode == 0
    assert started(site) != who


def mute_broker():
    """A listener that answers CONNECT and SUBSCRIBE, and never confirms a DISCONNECT."""
    import re
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def serve(link):
        with link:
            link.sendall(b"CONNECTED\nversion:1.2\nheart-beat:0,0\nserver:ActiveMQ/5\n\n\0")
            heard = b""
            while piece := link.recv(4096):
                heard += piece
                *frames, heard = heard.split(b"\0")
                for frame in frames:
                    asked = re.search(rb"\nreceipt:(.*)", frame)
                    if asked and b"SUBSCRIBE" in frame:
                        link.sendall(b"RECEIPT\nreceipt-id:" + asked[1] + b"\n\n\0")
                    if b"DISCONNECT" in frame:
                        left.set()

    def accept():
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(link,), daemon=True).start()

    left = threading.Event()
    threading.Thread(target=accept, daemon=True).start()
    return listener, left


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries_the_goodbye(tmp_path, number):
    listener, left = mute_broker()
    url = f"stomp://127.0.0.1:{listener.getsockname()[1]}"
    with listener, Embedded(tmp_path, broker={"url": url}) as site:
        site.start()
        wait_until(lambda: "Connected to the broker" in site.log_text(), PATIENCE, "the link")
        site.process.send_signal(number)
        assert left.wait(PATIENCE)
        site.process.send_signal(number)
        assert site.process.wait(PATIENCE) == 0
        assert "Hurried" in site.log_text()
        assert rundir.serving(site.run_dir) is None
