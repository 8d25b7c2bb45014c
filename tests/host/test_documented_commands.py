"""Every command in the documentation is typed as it stands there, on a site of its own.

Only names are replaced: files by files that are there, a job and a run by one that was done here. A command must be
understood, end in a status that its page names, and tell no traceback.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import documented
import pytest
from embedded import Embedded
from oldworkers import ISIS, SNS
from waiting import wait_until

from supervisor import cli, exitcodes, hosts, pinned, rundir

pytestmark = pytest.mark.xdist_group("documented commands")

ROOT = documented.ROOT
COMMANDS = documented.commands()
#: What a documented command may end in; 2 where it asks for a word more, as `fence` does, but never with its usage.
STATUSES = {*range(5), exitcodes.CONFIG, exitcodes.INTERNAL}
#: They serve until they are told to stop: see the test of each.
FOREGROUND = {"serve", "nursery"}
#: They look until Ctrl-C.
LOOKING = [command for command in COMMANDS if command.verb == "status" and "--watch" in command.words]
JOB = re.compile(r"JOB|[0-9a-f]{8}-[0-9a-f-]{27}|4f6c0f6e")
#: Verbs without a configuration of their own.
BARE = {"demo"}
#: Verbs and words by which a command would wait for somebody who never comes.
PATIENCE = {("doctor", "--peer"): ["--wait", "1"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documented")
    # Some commands watch for beats: they need not last ten seconds here.
    beats = {"beat": "1 s", "self_kill_after": "20 s", "takeover_after": "40 s"}
    with Embedded(folder, host={"slots": 2, "id": "here"}, lock=beats) as made:
        made.start()
        made.job = made.submit(made.message("def main(input_file, output_dir):\n    open(output_dir + '/a', 'w')\n"))
        made.wait_published(made.job)
        shutil.copytree(ROOT / "examples", folder / "examples")
        for name, old in (("post_process_consumer.conf", ISIS), ("post_processing.conf", SNS)):
            (folder / name).write_text(json.dumps(old))
        beat = hosts.HostBeat(
            host="ndw7", boot="b", counter=1, slots=1, running=0, version="1", level="none", time=time.time() - 1e6
        )
        hosts.write_beat(made.layout, beat)  # the host that the pages declare dead
        (folder / "message.json").write_text(json.dumps(made.message(run=75514)))
        (folder / "reduce.py").write_text("def main(input_file, output_dir):\n    pass\n")
        yield made


@pytest.fixture
def folder(site, tmp_path):
    """Where a command is typed: with all that it names."""
    for name in ("examples", "post_process_consumer.conf", "post_processing.conf", "message.json", "reduce.py"):
        os.symlink(site.path(name), tmp_path / name)
    if rundir.serving(site.run_dir) is None:
        if site.process is not None:
            site.process.wait(60)
            site.process = None
        site.start()
    return tmp_path


def typed(site, folder, command):
    """The words of a command with the names of this site."""
    words = []
    for word in command.words:
        name = os.path.basename(word)
        if name in {"post_process_consumer.conf", "post_processing.conf"}:
            words.append(name)
        elif word.endswith(".nxs"):
            data = folder / name
            data.write_bytes(b"counts")
            words.append(str(data))
        elif (word in {"RESULT_DIR", "results"} and command.verb == "replay") or word.startswith("/isis/NDXENGINX"):
            words.append(site.result())
        elif word.startswith(("/etc/autoreduce", "/opt/", "~/")):
            words.append(sys.executable if name == "python" else str(folder / f"new-{name}"))
        else:
            words.append(JOB.sub(site.job, word))
    if "--isolation" not in words and command.verb in {"run", "replay"}:
        words += ["--isolation", "none"]
    for (verb, option), more in PATIENCE.items():
        if command.verb == verb and option in words:
            words += more
    offers_config = command.verb not in BARE and words[:2] != ["config", "import"]
    return [*words, *(["--config", site.config] if offers_config else [])]


def test_there_are_commands_of_every_verb():
    assert {command.verb for command in COMMANDS} >= set(cli.VERBS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.verb not in FOREGROUND and c not in LOOKING], ids=str)
def test_a_documented_command_does_what_it_is_asked(site, folder, command):
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.cli", *typed(site, folder, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "AUTOREDUCE_BOX": ""},
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode in STATUSES, said
    assert "usage:" not in done.stderr, said
    assert "Traceback (most recent call last)" not in done.stderr, said
    assert said.strip(), "it said nothing"


@pytest.mark.parametrize("command", LOOKING, ids=str)
def test_a_documented_command_that_looks_does_so_until_ctrl_c(site, folder, command):
    child = subprocess.Popen(
        [sys.executable, "-m", "supervisor.cli", *typed(site, folder, command)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert child.stdout.readline().strip(), "it said nothing"
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.verb in FOREGROUND], ids=str)
def test_a_documented_command_that_serves_does_so_until_it_is_told_to_stop(tmp_path, command):
    with Embedded(tmp_path) as here:
        if command.verb == "serve":
            here.start()
            assert here.stop() == 0
            return
        child = subprocess.Popen(here.command(*command.words[:1]), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            socket = os.path.join(here.run_dir, f"nursery-{pinned.code_version()}.sock")
            wait_until(lambda: os.path.exists(socket), 60, "the nursery to listen")
            here.start()
            assert here.nursery() == child.pid
        finally:
            here.end_everything()
            child.wait(60)
            child.stderr.close()
