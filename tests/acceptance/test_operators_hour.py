"""One hour of an operator, from a configuration with mistakes to the report, by the verbs alone.

The service runs in the background, in the production box; every step is what a person types, and what it says is what
that person goes by for the next step.
"""

from __future__ import annotations

import json
import re

import pytest
from embedded import INSTRUMENT, Embedded

GOOD = """\
import os
def main(input_file, output_dir):
    with open(os.path.join(output_dir, "counts.txt"), "w") as out:
        out.write(str(os.path.getsize(input_file)))
"""
#: Keeps 300 MiB, a little at a time: more than the site allows at first, less than it will.
HUNGRY = """\
import os
def main(input_file, output_dir):
    kept = [b"x" * 2**20 for _ in range(300)]
    with open(os.path.join(output_dir, "counts.txt"), "w") as out:
        out.write(str(len(kept)))
"""
ENDLESS = """\
import time
def main(input_file, output_dir):
    time.sleep(10_000)
"""
#: Six mistakes: a size, a key, a section, a time that cannot stand beside another, a level, a list.
MISTAKES = """
[limits]
memory = "8 GG"
wal = "2 h"
[lokc]
beat = 1
[lock]
beat = "90 s"
self_kill_after = "60 s"
[isolation]
require = "total"
[interpreter]
argv = "python3"
"""
SECTIONS = {
    "isolation": {"require": "contained", "allow_unsafe": False},
    "limits": {"memory": "200 MiB", "wall": "20 s", "grace": "1 s"},
    "host": {"slots": 2, "memory": "4 GiB"},
    "tune": {"runs": 3},
}


@pytest.fixture
def site(tmp_path):
    with Embedded(tmp_path, **SECTIONS) as made:
        yield made


@pytest.fixture
def say(site):
    """Type a verb: it must end as it is expected to; what it said is returned."""

    def said(*words, ends=0):
        done = site.verb(*words)
        assert done.returncode == ends, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return said


def submitted(site, say, script, *, run, rb):
    message = site.path(f"message-{run}.json")
    with open(message, "w") as file:
        json.dump(site.message(script, run=run, rb=rb), file)
    told = say("submit", message)
    return re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", told)[0]


@pytest.mark.timeout(600)
def test_an_hour_of_an_operator(site, say):
    # The first configuration is wrong, and all of it is said at once.
    wrong = site.path("wrong.toml")
    with open(wrong, "w") as file:
        file.write(MISTAKES)
    right, site.config = site.config, wrong
    problems = say("check-config", ends=78)
    for key in ("limits.memory", "limits.wal", "lokc", "lock", "isolation.require", "interpreter.argv"):
        assert re.search(rf"wrong\.toml: {re.escape(key)}\b", problems), f"{key} is not named:\n{problems}"
    site.config = right
    say("check-config")

    # What the host can do, and the start.
    assert "contained" in say("doctor")
    say("check", ends=2)
    try:
        say("start")
        assert "AUTOREDUCE OK" in say("check")

        # Five runs, of which two die.
        scripts = [GOOD, GOOD, GOOD, HUNGRY, ENDLESS]
        jobs = [submitted(site, say, script, run=75513 + n, rb=1510111 + n) for n, script in enumerate(scripts)]
        verdicts = [site.wait_published(job).verdict for job in jobs]
        assert verdicts == ["completed"] * 3 + ["memory_limit", "wall_limit"]
        listed = say("runs", "--json")
        assert all(job in listed for job in jobs)

        # Why, and what would have saved it.
        hungry = jobs[3]
        why = say("why", hungry)
        assert f"raise limits.memory for {INSTRUMENT}" in why
        assert "memory limit 200 MiB reached" in why
        suggested = say("tune")
        assert f"[limits.instrument.{INSTRUMENT}]" in suggested
        assert 'memory = "' in suggested
        say("tune", "--apply", site.config)

        # Applied without a restart; the killed run is saved.
        assert "limits.memory" in say("config", "diff") or f"limits.instrument.{INSTRUMENT}" in say("config", "diff")
        assert "applied: " in say("reload")
        again = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", say("resubmit", hungry).replace(hungry, ""))[0]
        assert site.wait_published(again).verdict == "completed"
        with open(site.result("counts.txt", run=75516, rb=1510114)) as result:
            assert result.read() == "300"

        # An instrument rests, in the whole fleet.
        say("disable", INSTRUMENT, "--why", "detector bank 2 is being replaced")
        rests = submitted(site, say, GOOD, run=75600, rb=1510200)
        assert "detector bank 2 is being replaced" in say("runs")
        assert f"disabled: {INSTRUMENT}" in say("check")
        say("enable", INSTRUMENT)
        assert site.wait_published(rests).verdict == "completed"

        # The host rests: it stays drained over a restart, and takes up work again.
        say("drain", "--why", "new kernel at noon")
        waits = submitted(site, say, GOOD, run=75601, rb=1510201)
        assert "new kernel at noon" in say("status")
        say("restart")
        assert "new kernel at noon" in say("status")
        assert json.loads(say("why", waits, "--json"))["verdict"] in (None, "")
        say("resume")
        assert site.wait_published(waits).verdict == "completed"

        # The report, one page that needs no network.
        page = site.path("report.html")
        say("report", "--instrument", INSTRUMENT, "--out", page)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        assert "memory_limit" in text
        assert not re.search(r"(?:src|href)=[\"']?https?:", text)
        assert "AUTOREDUCE OK" in say("check")
    finally:
        say("stop")
