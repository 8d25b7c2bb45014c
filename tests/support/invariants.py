"""What must be true of a quiet site, whoever was killed before, and what its readers may see at any moment."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from fleetsite import RB, FleetSite, tree
from stompclient import StompClient
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import durable, records

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios import Result, Story

LOGS = "reduction_log"


def check(
    site: FleetSite,
    story: Story,
    before: dict[str, dict[str, bytes]],
    *,
    verdicts: dict[str, set[str]] | None = None,
) -> None:
    """Check every invariant of a quiet site.

    Args:
        site: quiet.
        story: what was told.
        before: the tree of each result as it stood when the story began.
        verdicts: with which each job may have ended, where more was killed than the story knows.
    """
    if verdicts is not None:
        story = replace(story, verdicts=verdicts)
    try:
        committed = _check_cells(site, story)
        for result in story.results:
            _check_result(site, result, committed, before[result.path])
        _check_leftovers(site, story)
        _check_replies(site, story, committed)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{site.describe()}") from None


def snapshot(site: FleetSite, story: Story) -> dict[str, dict[str, bytes]]:
    """The tree of each result as it stands now."""
    return {result.path: tree(site.archive / result.path) for result in story.results}


def _record(path: str) -> dict[str, Any]:
    data = durable.read(path)
    assert data is not None, f"{path} is missing"
    return records.unpack(path, data)


def _check_cells(site: FleetSite, story: Story) -> dict[int, tuple[str, str]]:
    """Check jobs and epochs; return the committed epochs: {n: (job, verdict)}."""
    layout, place = site.layout, site.layout.rb(RB)
    if not story.verdicts:
        assert _jobs(layout.path("jobs")) == [], "a message that is poison became a job"
        return {}
    epochs = {int(name): _record(place.epoch(int(name)))["job"] for name in durable.listing(place.folder("epochs"))}
    assert sorted(epochs) == list(range(1, len(epochs) + 1)), "epochs have gaps"
    decided = {int(name): _record(place.outcome(int(name))) for name in durable.listing(place.folder("outcomes"))}
    assert sorted(decided) == sorted(epochs), "an epoch is not decided"
    committed = {n: (epochs[n], o["verdict"]) for n, o in decided.items() if o["kind"] == "committed"}
    jobs = _jobs(layout.path("jobs"))
    assert set(jobs) == set(story.verdicts), "the jobs of the store are not those of the story"
    for job, allowed in story.verdicts.items():
        mine = [(n, verdict) for n, (owner, verdict) in committed.items() if owner == job]
        assert len(mine) == 1, f"job {job} has {len(mine)} committed outcomes, not exactly one: {mine}"
        n, verdict = mine[0]
        assert verdict in allowed, f"job {job} ended as {verdict}: {decided[n]['sentence']}"
        final = _record(layout.job(job).final)
        assert (final["rb"], final["n"]) == (RB, n), f"final of job {job} disagrees with its outcome"
        assert os.path.exists(layout.job(job).published), f"job {job} is not published"
        kind = "failed" if story.promotion_fails == job and verdict == "completed" else "done"
        assert _record(place.promoted(n))["kind"] == kind, f"promotion of epoch {n}"
        if verdict != "cancelled":
            assert kind in decided[n]["replies"], f"job {job} has no terminal reply"
    return committed


def _jobs(folder: str) -> list[str]:
    return [
        _record(os.path.join(folder, shard, job, "request.json"))["job"]
        for shard in durable.listing(folder)
        for job in durable.listing(os.path.join(folder, shard))
    ]


def _check_result(
    site: FleetSite, result: Result, committed: dict[int, tuple[str, str]], before: dict[str, bytes]
) -> None:
    completed = [n for n, (_, verdict) in committed.items() if verdict == "completed"]
    if not completed:
        assert without_logs(tree(site.archive / result.path)) == {}, f"{result.path} holds a result of no completed run"
        return
    newest = max(completed)
    job = committed[newest][0]
    now = tree(site.archive / result.path)
    if result.whole:
        assert without_logs(now) == result.by_job[job], f"{result.path} is not the result of job {job}"
        said = json.loads(now[".run"])
        assert (said["rb"], said["job"], said["epoch"]) == (RB, job, newest), f".run of {result.path} says {said}"
    else:
        for name, data in result.by_job[job].items():
            assert now.get(name) == data, f"{name} in {result.path} is not that of job {job}"
    if before and newest < max(committed):  # the last run did not complete: the good result stays as it was
        kept = {name: data for name, data in now.items() if name in before}
        assert kept == before, f"a failing re-run changed {result.path}"
        new = [name for name in now if name not in before]
        logs = [name for name in new if is_log_of_attempt(name)]
        assert new == logs, f"a failing re-run added {new} to {result.path}"


def is_log_of_attempt(name: str) -> bool:
    """Whether a file is a log of an attempt that did not complete, by its name."""
    return name.startswith(f"{LOGS}/") and "v0e" in name


def without_logs(files: dict[str, bytes]) -> dict[str, bytes]:
    """What the script made: everything but our logs and our `.run`."""
    return {name: data for name, data in files.items() if not name.startswith(f"{LOGS}/") and name != ".run"}


def _check_leftovers(site: FleetSite, story: Story) -> None:
    layout, place = site.layout, site.layout.rb(RB)
    assert durable.listing(layout.waiting) == [], "something still waits"
    # A cancel that is delivered again after its job has ended is remembered until it expires; it means no later job.
    ended = {request["run"] for request in _records_named("request.json", layout.path("jobs"))}
    for name in durable.listing(layout.cancels):
        left = json.loads(durable.read(layout.path("cancels", name)) or b"{}")
        assert left["run"] in ended, f"a cancel of a job never seen is left: {left}"
    assert durable.listing(place.folder("promoting")) == [], "a take is left"
    if story.verdicts:
        wait_until(lambda: is_free(place.lock), 10, "the lock of the RB to be free")
    hidden = [
        os.path.join(folder, name)
        for folder, folders, files in os.walk(site.archive)
        for name in (*folders, *files)
        if name.startswith(".autoreduce-")
    ]
    if story.promotion_fails:  # kept for whoever mends it: `why` says where
        hidden = [name for name in hidden if not name.endswith(".failed")]
    assert hidden == [], f"staging or asides are left: {hidden}"
    for record in _records_named("run.json", layout.path("jobs")):
        assert proctree.carriers(record["token"]) == [], "a process of a box is left"
        builder = record["builder"]
        assert not proctree.alive(proctree.Identity(builder["pid"], builder["start"])), "a builder is left"
    wait_until(lambda: os.listdir(site.base / "spool") == [], 30, "the scratch of every box to be gone")
    for text in ("Traceback", "defect"):
        assert text not in site.log(), f"the logs hold a {text}"


def _records_named(wanted: str, folder: str) -> list[dict[str, Any]]:
    return [_record(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names if name == wanted]


def is_free(path: str) -> bool:
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _check_replies(site: FleetSite, story: Story, committed: dict[int, tuple[str, str]]) -> None:
    """At least one reply in each queue, every copy byte for byte the same, under one event-id."""
    ended = dict(committed.values())
    for key, job in story.replies.items():
        if key == "complete" and ended.get(job) != "completed":
            continue
        queue = getattr(site.settings.queues, key)
        with StompClient(site.broker_port) as client:
            copies = client.browse(queue)
        assert copies, f"no reply came to {key}"
        assert len({(frame.body, frame.headers.get("event-id")) for frame in copies}) == 1, f"replies in {key} differ"
        assert copies[0].headers["event-id"].startswith(job) or job == "bad", copies[0].headers
    if story.broker and set(ended.values()) <= {"completed", "cancelled"}:
        for key in {"started", "complete", "error"} - set(story.replies):
            with StompClient(site.broker_port) as client:
                assert client.browse(getattr(site.settings.queues, key)) == [], f"an unwanted reply came to {key}"


class Reader(threading.Thread):
    """Lists results in a loop while everything happens; a context manager that fails with what it should not have seen.

    A folder is judged when it stood at its path before and after it was listed: then all of it is one result of one
    job. A merged folder is judged file by file.
    """

    def __init__(self, site: FleetSite, story: Story) -> None:
        super().__init__(daemon=True)
        self._archive = site.archive
        self._results = story.results
        self._enough = threading.Event()
        self._wrong: list[str] = []
        #: How often a folder was seen whole.
        self.looks = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._enough.set()
        self.join()
        assert kind is not None or not self._wrong, f"a reader saw: {self._wrong[:3]}"

    def run(self) -> None:
        """Look until it is enough."""
        while not self._enough.wait(0.004):
            for result in self._results:
                if result.whole:
                    self._look_whole(self._archive / result.path, result)
                else:
                    self._look_into(self._archive / result.path, result)

    def _look_whole(self, path: Path, result: Result) -> None:
        try:
            before = os.stat(path).st_ino
            seen = tree(path)
            after = os.stat(path).st_ino
        except FileNotFoundError:
            return  # the moment between two renames
        if before != after:
            return
        self.looks += 1
        try:
            job = json.loads(seen.get(".run", b"{}")).get("job")
        except ValueError:
            job = None
        if job is None and without_logs(seen) == {} and all(is_log_of_attempt(name) for name in seen):
            return  # a run that did not complete left its logs where no result stands yet
        if job not in result.by_job or without_logs(seen) != result.by_job[job]:
            self._wrong.append(f"{sorted(seen)} as the result of job {job}")

    def _look_into(self, path: Path, result: Result) -> None:
        try:
            seen = without_logs(tree(path))
        except FileNotFoundError:
            return
        self.looks += 1
        for name, data in seen.items():
            if name.startswith((".run-", ".autoreduce-")):
                continue
            if data not in [files.get(name) for files in result.by_job.values()]:
                self._wrong.append(f"{name} with {data!r}")
