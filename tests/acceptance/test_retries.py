"""Data that come late, an archive or a scratch that cannot be used: who tries again, how often, and what is said."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import textwrap

import pytest
from acceptancesite import KNOCK, PATIENCE, WRITES
from consumers import MAX_RETRIES, WebApp2016
from waiting import wait_until

pytestmark = pytest.mark.broker

#: Waits short enough for a test, and tries enough for a slow machine.
SOON = {"first": "200 ms", "delay": "500 ms", "jitter": 0.0, "cap": 1000}
#: `delay` is what a producer is told, in whole seconds.
PRODUCER = {"by": "producer", "first": "200 ms", "delay": "1500 ms", "jitter": 0.0}


def begun(site, run, times):
    """Wait until the job was begun for the given time; by then every earlier attempt has ended."""
    place = site.place(run)
    wait_until(
        lambda: os.path.exists(place.attempts) and site.attempts(run) >= times,
        PATIENCE,
        f"attempt {times} of {run.job}",
    )


def nothing_said(site):
    """Say that no reply has come, although the message was taken."""
    return site.left() == {} and site.client.count(site.queue("pending")) == 0


def command(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"{' '.join(words)} failed; as root in a container of one's own it works: {done.stderr}"
    )


def can_mount():
    """Say whether this process has CAP_SYS_ADMIN, the bit 21 of its capabilities (capabilities(7))."""
    with open("/proc/self/status", encoding="ascii") as status:
        (effective,) = [line.split()[1] for line in status if line.startswith("CapEff:")]
    return bool(int(effective, 16) & 1 << 21)


class MountedScratch:
    """A small file system of its own for the boxes; full when its last block is taken."""

    def __init__(self, folder):
        self.path = folder / "scratch"
        self.path.mkdir()
        self._filler = self.path / "filler"
        command("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", str(self.path))

    def fill(self):
        free = os.statvfs(self.path)
        with open(self._filler, "wb", buffering=0) as file:
            file.write(bytes(free.f_bavail * free.f_frsize))
        assert os.statvfs(self.path).f_bavail == 0

    def empty(self):
        self._filler.unlink()

    def close(self):
        command("umount", "--lazy", str(self.path))


class RefusingScratch:
    """A folder below which a process of ours can make no folder while it is "full": mkdir(2) answers ENOSPC.

    An ordinary user cannot mount. Python imports `sitecustomize` from PYTHONPATH, which ours keep, at their start.
    """

    def __init__(self, folder, monkeypatch):
        self.path = folder / "scratch"
        self.path.mkdir()
        self._full = folder / "full"
        hooks = folder / "hooks"
        hooks.mkdir()
        (hooks / "sitecustomize.py").write_text(
            textwrap.dedent(f"""
                import errno
                import os

                real = os.mkdir


                def mkdir(path, mode=0o777, *, dir_fd=None):
                    parent = os.path.dirname(path) if dir_fd is None else os.readlink(f"/proc/self/fd/{{dir_fd}}")
                    if parent == {os.path.realpath(self.path)!r} and os.path.exists({str(self._full)!r}):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
                    real(path, mode, dir_fd=dir_fd)


                os.mkdir = mkdir
            """)
        )
        before = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(word for word in (str(hooks), before) if word))

    def fill(self):
        self._full.touch()

    def empty(self):
        self._full.unlink()

    def close(self):
        self._full.unlink(missing_ok=True)


@pytest.fixture(params=["refusing", *(["mounted"] if can_mount() else [])])
def scratch(request, tmp_path_factory, monkeypatch):
    """A scratch space that can be filled; `site` fixtures that use it end before it."""
    folder = tmp_path_factory.mktemp("small")
    made = MountedScratch(folder) if request.param == "mounted" else RefusingScratch(folder, monkeypatch)
    yield made
    made.close()


# --- retry.by = "supervisor" ---------------------------------------------------------------------------------------


def test_data_that_come_late_are_waited_for_in_silence(make_site):
    site = make_site(retry=SOON)
    run = site.send(site.run(WRITES, data=False))

    begun(site, run, 3)
    assert nothing_said(site)
    run.data.write_bytes(b"counts")
    complete = site.completed(run)

    assert complete["message"] == ""
    assert "retry_in" not in complete
    assert (run.result / "result.txt").read_text() == "done"
    assert site.outcome(run).verdict == "completed"
    assert complete["supervisor"]["attempt"] == site.attempts(run) >= 3
    assert site.left() == {}, "one started, one complete, and nothing else"


def test_a_run_that_waits_for_its_data_outlives_its_supervisor_and_holds_nobody_back(make_site):
    site = make_site(host={"slots": 1}, retry=SOON)
    late = site.send(site.run(WRITES, data=False))
    begun(site, late, 2)

    other = site.send(site.run(WRITES, run=75514))  # of the same RB, and there is but one slot
    site.completed(other)
    site.outcome(other)  # a reply whose receipt is not noted yet would rightly come again after the kill
    site.kill()
    site.start()
    begun(site, late, site.attempts(late) + 1)
    assert nothing_said(site)
    late.data.write_bytes(b"counts")

    site.completed(late)
    assert site.outcome(late).verdict == "completed"
    assert site.left() == {}


def test_an_archive_that_cannot_be_written_is_tried_until_it_can(make_site):
    site = make_site(retry=SOON)
    run = site.run(WRITES)
    # What stops root as well: a file where the folder of the RB belongs.
    run.result.parent.parent.mkdir(parents=True)
    run.result.parent.write_text("in the way")
    site.send(run)

    begun(site, run, 3)
    assert nothing_said(site)
    assert run.result.parent.read_text() == "in the way", "what stands in the way is not ours to remove"
    run.result.parent.unlink()
    site.completed(run)

    assert (run.result / "result.txt").read_text() == "done"
    assert site.outcome(run).verdict == "completed"
    assert site.left() == {}


def test_an_archive_that_goes_away_while_a_script_runs_has_the_script_run_again_and_told_once(make_site):
    site = make_site(retry=SOON)
    script = f"{KNOCK}\n{WRITES}".replace('    print("reducing"', '    knock(input_file)\n    print("reducing"')
    run, door = site.held(script=script)
    site.send(run)
    door.rung()
    aside = run.result.parent.with_name("aside")
    run.result.parent.rename(aside)
    run.result.parent.write_text("in the way")

    door.open()
    begun(site, run, 3)  # the second cannot even make its staging
    assert not site.left().keys() & {"complete", "error"}
    run.result.parent.unlink()
    aside.rename(run.result.parent)
    door.rung()
    door.open()
    site.completed(run)

    assert (run.result / "result.txt").read_text() == "done"
    assert site.outcome(run).verdict == "completed"
    assert site.left() == {}, "a job is started once, however often it is begun"
    wait_until(lambda: os.listdir(run.result.parent) == ["75513"], PATIENCE, "no staging left")


def test_a_scratch_that_is_full_is_tried_until_there_is_room(scratch, make_site):
    site = make_site(retry=SOON, spool={"path": str(scratch.path)}, limits={"output": "1 MiB", "tmp": "1 MiB"})
    scratch.fill()
    run = site.send(site.run(WRITES + "#" * 9000 + "\n"))

    begun(site, run, 3)
    assert nothing_said(site)
    scratch.empty()
    site.completed(run)

    assert (run.result / "result.txt").read_text() == "done"
    assert site.outcome(run).verdict == "completed"
    assert site.left() == {}
    wait_until(lambda: not os.listdir(scratch.path), PATIENCE, "an empty scratch")


def test_at_the_cap_the_run_ends_with_an_error_that_asks_for_nothing(make_site):
    site = make_site(retry={**SOON, "cap": 3})
    run = site.send(site.run(WRITES, data=False))

    told = site.answer("error")

    facts = told["supervisor"]
    assert facts["verdict"] == site.outcome(run).verdict == "unavailable"
    assert facts["sentence"] == (
        f'data file cannot be used: "{run.data}": No such file or directory; given up after 3 tries'
    )
    assert told["message"] == f"Permission error: Couldn't read {run.data}  -  does not exist; {facts['sentence']}"
    assert "retry_in" not in told
    assert site.attempts(run) == facts["attempt"] == 3
    assert site.left() == {}, "what was not started is not told as started"


def test_the_cap_counts_a_full_scratch_too(scratch, make_site):
    site = make_site(retry={**SOON, "cap": 2}, spool={"path": str(scratch.path)})
    scratch.fill()
    run = site.send(site.run(WRITES + "#" * 9000 + "\n"))

    told = site.answer("error")

    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == "unavailable"
    assert told["message"] == (
        f'scratch cannot be used: "{scratch.path}": No space left on device; given up after 2 tries'
    )
    assert "retry_in" not in told
    assert site.left() == {}
    after = site.send(site.run(WRITES, run=75514))
    scratch.empty()
    site.completed(after)


@pytest.mark.parametrize("by", ["supervisor", "producer"])
def test_what_a_script_did_wrong_is_never_tried_again(make_site, by):
    site = make_site(retry={**SOON, "by": by})
    script = "def main(input_file, output_dir):\n    open('/none/calibration.dat')\n"
    run = site.send(site.run(script))

    site.answer("started")
    told = site.answer("error")

    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == "script_error"
    assert "FileNotFoundError" in told["message"]
    assert "retry_in" not in told
    assert site.attempts(run) == 1
    assert site.left() == {}


# --- retry.by = "producer" -----------------------------------------------------------------------------------------


def listen(site, app, until):
    app.subscribe(site.client, {kind: site.queue(kind) for kind in app.kinds})
    app.listen(site.client, until, PATIENCE)
    for kind in app.kinds:
        site.client.write("UNSUBSCRIBE", {"id": kind})


def send_again(site, pending):
    """Send what the web application sends by itself, without the delay that the broker would keep it for."""
    site.client.send(site.queue("pending"), json.dumps(pending.body), {"priority": pending.headers["priority"]})


def test_the_web_app_of_2016_sends_a_run_again_whose_data_come_late_and_has_it_completed(make_site):
    site, app = make_site(retry=PRODUCER), WebApp2016()
    run = site.run(WRITES, data=False)
    app.submit(run.message)

    site.send(run)
    listen(site, app, lambda: app.outbox)
    ((kind, told),) = app.accepted
    assert kind == "error"
    assert told["retry_in"] == 2
    assert isinstance(told["retry_in"], int)
    assert told["message"].startswith(f"Permission error: Couldn't read {run.data}  -  does not exist")
    assert told["message"].endswith("; to be sent again after 1.5 s")
    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == "unavailable"
    assert app.shown(run.message).history == ["Queued", "Error"]

    run.data.write_bytes(b"counts")
    (again,) = app.outbox
    assert again.headers["AMQ_SCHEDULED_DELAY"] == "2000"
    send_again(site, again)
    new = app.shown(again.body)
    listen(site, app, lambda: new.status == "Completed")

    assert new.history == ["Queued", "Processing", "Completed"]
    assert new.message == ""
    assert app.shown(run.message).status == "Error", "the version that failed stays as it is"
    assert (app.dropped_completes, app.refused, len(app.outbox)) == (0, [], 1)
    assert (run.result / "result.txt").read_text() == "done"
    assert site.attempts(run) == 1, "one side retries"
    assert site.left() == {}


def test_the_web_app_of_2016_stops_after_five_retries_when_the_data_never_come(make_site):
    site, app = make_site(retry=PRODUCER), WebApp2016()
    run = site.run(WRITES, data=False)
    app.submit(run.message)

    site.send(run)
    for number in range(MAX_RETRIES):
        listen(site, app, functools.partial(lambda count: len(app.outbox) > count, number))
        send_again(site, app.outbox[number])
    listen(site, app, lambda: len(app.accepted) > MAX_RETRIES)

    assert len(app.outbox) == MAX_RETRIES
    assert [shown.history for shown in app.runs.values()] == [["Queued", "Error"]] * (MAX_RETRIES + 1)
    assert sorted(version for _, _, version in app.runs) == list(range(MAX_RETRIES + 1))
    assert {(kind, told["retry_in"]) for kind, told in app.accepted} == {("error", 2)}
    assert (app.dropped_completes, app.refused) == (0, [])
    assert site.attempts(run) == 1
    assert nothing_said(site)


def test_the_producer_is_asked_to_send_again_what_the_archive_did_not_take(make_site):
    site, app = make_site(retry=PRODUCER), WebApp2016()
    run = site.run(WRITES)
    run.result.parent.parent.mkdir(parents=True)
    run.result.parent.write_text("in the way")
    app.submit(run.message)

    site.send(run)
    listen(site, app, lambda: app.outbox)
    ((_, told),) = app.accepted
    words = f"Permission error: Couldn't write to {run.result}  -  does not exist; archive cannot be used: "
    assert told["message"].startswith(words)
    run.result.parent.unlink()
    send_again(site, app.outbox[0])
    listen(site, app, lambda: app.shown(app.outbox[0].body).status == "Completed")

    assert told["retry_in"] == 2
    assert (app.dropped_completes, app.refused) == (0, [])
    assert (run.result / "result.txt").read_text() == "done"
    assert site.left() == {}


def test_the_producer_is_asked_to_send_again_what_a_full_scratch_did_not_take(scratch, make_site):
    site, app = make_site(retry=PRODUCER, spool={"path": str(scratch.path)}), WebApp2016()
    scratch.fill()
    run = site.run(WRITES + "#" * 9000 + "\n")
    app.submit(run.message)

    site.send(run)
    listen(site, app, lambda: app.outbox)
    ((_, told),) = app.accepted
    scratch.empty()
    send_again(site, app.outbox[0])
    listen(site, app, lambda: app.shown(app.outbox[0].body).status == "Completed")

    assert told["message"] == (
        f'scratch cannot be used: "{scratch.path}": No space left on device; to be sent again after 1.5 s'
    )
    assert told["retry_in"] == 2
    assert (app.dropped_completes, app.refused) == (0, [])
    assert site.left() == {}
