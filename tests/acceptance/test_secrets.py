"""What a stranger on the host can see: no script text, no argument and no password, in any process or log."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from pathlib import Path

import pytest
from acceptancesite import KNOCK
from waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("guarded")]


def processes_with(words):
    """Every (pid, place, word) where a process shows one of these texts in its command line, name or environment."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        for place in ("cmdline", "environ", "comm"):
            with contextlib.suppress(OSError):
                shown = Path("/proc", name, place).read_bytes()
                found |= {(int(name), place, word) for word in words if word.encode() in shown}
    return found


def files_with(words, folders):
    """Every (file, word) where one of these texts stands in a file below the folders."""
    found = set()
    for folder in folders:
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                found |= {(str(path), word) for word in words if word.encode() in content}
    return found


@contextlib.contextmanager
def watched(words):
    """Looks at all processes over and over while the block runs; yields what was found, and how often it looked."""
    seen, looks, end = set(), [], threading.Event()

    def look():
        while not end.is_set():
            seen.update(processes_with(words))
            looks.append(1)
            end.wait(0.002)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen, looks
    finally:
        end.set()
        thread.join()


SCRIPT = f"""{KNOCK}
import subprocess
import sys
import reduce_vars as web_var
# comment: %(script)s


def main(input_file, output_dir):
    assert web_var.standard_vars["token"] == "%(argument)s"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    knock(input_file)
    child.communicate(b"end")
    print({{name: value for name, value in os.environ.items()}})
    print(open("/proc/self/environ").read())
    print(sys.argv)
    %(end)s
"""


@pytest.mark.parametrize("end", ["return", "1 / 0"])
def test_no_script_text_argument_or_password_is_seen_in_a_process_or_log(guarded, make_site, end):
    site = make_site(broker=guarded)
    script, argument = f"s-{uuid.uuid4().hex}", f"a-{uuid.uuid4().hex}"
    secrets = (script, argument, guarded.password)
    run, door = site.held(
        script=SCRIPT % {"script": script, "argument": argument, "end": end}, arguments={"token": argument}
    )
    own = str(site.base)

    with watched(secrets) as (seen, looks):
        site.send(run)
        door.rung()
        here = processes_with((own, *secrets))
        door.open()
        site.answer("started")
        told = site.answer("complete" if end == "return" else "error")
        site.outcome(run)

    assert {place for _, place, word in here if word == own} >= {"cmdline", "environ"}, "the look sees processes"
    assert site.pid in {pid for pid, _, _ in here}
    assert not {found for found in here if found[2] != own}
    assert not seen
    assert len(looks) > 10
    logs = [site.log, site.run_dir]
    assert files_with((run.job,), logs), "the look sees the logs"
    assert not files_with(secrets, logs)
    for word in (script, guarded.password):
        assert word not in told["reduction_log"]
    assert not any(word in told["admin_log"] for word in secrets)
    (log,) = (run.result / "reduction_log").glob("*Script.out")
    assert "AUTOREDUCE_BOX" in log.read_text(), "the script has printed its environment"
    assert not files_with((guarded.password,), [site.archive, Path(site.layout.root)])


def test_a_password_that_the_broker_refuses_is_not_logged(guarded, make_site, tmp_path):
    site = make_site(broker=guarded, serve=False, service={"log": str(tmp_path / "service.log")})
    wrong = f"wrong-{uuid.uuid4().hex}"
    site.write_password(wrong)
    log = tmp_path / "service.log"

    site.start(connected=False)
    wait_until(lambda: log.exists() and "Broker:" in log.read_text(), why="the refusal in the log")

    assert not files_with((wrong,), [site.log, log, site.run_dir])
    assert not processes_with((wrong,))
