"""What must be true of any history of a fleet: the invariants I1 to I11 of messaging-locking §5.5, read as DESIGN §5 says.

Each check is a generator of sentences that begin with the invariant; `violations` runs all. `copies` says how often a
terminal reply was sent again, and after what.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from history import History, SeenEpoch, SeenJob

#: Time stamps of files come from a clock that ticks (4 ms at most, time(7)), others are taken a moment before the call.
GRAIN = 0.05
#: What a test notices, writes down or sends a little late, seconds.
LATE = 0.5
#: For how long two hosts may hold each other for the sender: one that is back has yet to be seen to beat, seconds.
TOGETHER = 5.0
#: What ends a supervisor's work between a SEND and its mark.
SILENCING = frozenset({"supervisor", "die", "freeze", "broker", "connection"})


def violations(history: History) -> list[str]:
    """Every violation found in a quiet history."""
    checks = (one_outcome, no_overlap, epochs_in_order, replies_as_committed, journaled_first, in_order, cancel_holds)
    more = (attempts_bounded, results_stand, nothing_left, logs_are_clean)
    return [sentence for check in (*checks, *more) for sentence in check(history)]


def one_outcome(history: History) -> Iterator[str]:
    """I1: every accepted message has exactly one outcome, and its terminal reply came."""
    told = {reply.job for reply in history.replies or () if reply.kind != "started"}
    for job in sorted(history.accepted - set(history.jobs)):
        yield f"I1: accepted job {job} is not in the store"
    for job in history.jobs.values():
        committed = [epoch for epoch in history.of_job(job.job) if epoch.committed]
        if len(committed) != 1:
            yield f"I1: job {job.job} has {len(committed)} committed outcomes, not one"
            continue
        if job.final != committed[0].n:
            yield f"I1: final of job {job.job} names epoch {job.final}, its outcome is of {committed[0].n}"
        if not job.published or job.waiting:
            yield f"I1: job {job.job} is decided and not finished with"
        outcome = committed[0].outcome
        if history.replies is not None and outcome is not None and outcome.replies and job.job not in told:
            yield f"I1: job {job.job} had no terminal reply"


def no_overlap(history: History) -> Iterator[str]:
    """I2: no two runs of an RB overlap; what a frozen host left may compute on for a while after the thaw."""
    by_rb = defaultdict(list)
    for run in history.runs:
        if run.job in history.jobs:
            by_rb[history.jobs[run.job].rb].append(run)
    for rb, runs in by_rb.items():
        for one, other in itertools.combinations(sorted(runs, key=lambda run: run.begin), 2):
            if other.begin >= one.last:
                continue
            thawed = [end for begin, end in history.frozen(one.host) if one.begin <= begin <= other.begin]
            if not thawed:
                yield f"I2: in RB {rb} job {other.job} began on {other.host} while job {one.job} ran on {one.host}"
            elif one.last > min(thawed) + history.self_kill_after + LATE:
                late = one.last - min(thawed)
                yield f"I2: in RB {rb} job {one.job} computed for {late:.1f} s after {one.host} had thawed"


def epochs_in_order(history: History) -> Iterator[str]:
    """I3: epochs strictly increase, each is decided once and promoted before the next is claimed."""
    for rb, epochs in history.epochs.items():
        if [epoch.n for epoch in epochs] != list(range(1, len(epochs) + 1)):
            yield f"I3: the epochs of RB {rb} are {[epoch.n for epoch in epochs]}"
        for epoch in epochs:
            if epoch.outcome is None:
                yield f"I3: epoch {epoch.n} of RB {rb} is not decided"
            elif epoch.committed and epoch.promoted is None:
                yield f"I3: epoch {epoch.n} of RB {rb} is committed and not promoted"
        for before, after in itertools.pairwise(epochs):
            decided = before.outcome.time if before.outcome is not None else float("inf")
            if after.at < max(decided, before.promoted_at if before.committed else 0.0):
                yield f"I3: epoch {after.n} of RB {rb} was claimed before {before.n} was decided and promoted"


def replies_as_committed(history: History) -> Iterator[str]:
    """I4: every reply is byte for byte what the committed outcome froze, and sent again only after a kill."""
    if history.replies is None:
        return
    begun: set[str] = set()
    known = Counter(reply.event for reply in history.replies)
    for reply in history.replies:
        name, n, _ = reply.event.rsplit(":", 2)
        job = history.jobs.get(name)
        if job is None:
            continue  # poison, and other tests' matter
        frozen = job.started if reply.kind == "started" else _terminal(history, job, int(n))
        if frozen is None:
            yield f"I4: reply {reply.event} is of no committed epoch"
        elif reply.body != str(frozen["body"]).encode():
            yield f"I4: reply {reply.event} differs from what was frozen"
        elif reply.event != frozen["headers"]["event-id"]:
            yield f"I4: reply {reply.event} has another event-id than was frozen"
        if reply.kind == "started":
            begun.add(name)
        elif job.started is not None and name not in begun:
            yield f"I4: the terminal reply of job {name} overtook its started"
    for event, count in known.items():
        if count > 1 and not event.endswith(":started") and not cause(history, event):
            yield f"I4: reply {event} was sent {count} times, and nobody was killed in between"


def _terminal(history: History, job: SeenJob, n: int) -> dict[str, object] | None:
    epoch = history.epoch(job.rb, n)
    if epoch is None or not epoch.committed or epoch.job != job.job or epoch.outcome is None:
        return None
    frozen: dict[str, object] | None = epoch.outcome.replies.get("failed" if epoch.promoted == "failed" else "done")
    return frozen


def cause(history: History, event: str) -> str:
    """Why a reply was sent again: what befell those who sent it meanwhile; "" for no reason at all.

    While the host that claimed the run is silent for long, any other one sends in its place (DESIGN §5); it may do so in
    the moment in which that host is back and does the same.
    """
    sent = [reply.at for reply in history.replies or () if reply.event == event]
    name, n, _ = event.rsplit(":", 2)
    job = history.jobs.get(name)
    epoch = history.epoch(job.rb, int(n)) if job is not None else None
    if epoch is None:
        return ""
    first, last = min(sent), max(sent)
    stood_in = any(
        end - begin >= history.takeover_after - LATE and begin <= first <= end + TOGETHER
        for begin, end in history.silences(epoch.host)
    )
    for what in history.disturbances:
        sender = what.host in ("", epoch.host) or stood_in
        if what.what in SILENCING and sender and first - LATE <= what.at <= last + LATE:
            return what.what
    return "standing in" if stood_in else ""


def copies(history: History) -> Counter[str]:
    """How often a terminal reply was sent once more, by what was killed meanwhile; `replies` counts the replies."""
    found: Counter[str] = Counter()
    terminal = Counter(reply.event for reply in history.replies or () if reply.kind != "started")
    found["replies"] = len(terminal)
    for event, count in terminal.items():
        if count > 1:
            found[f"again after {cause(history, event) or 'nothing'}"] += count - 1
    return found


def journaled_first(history: History) -> Iterator[str]:
    """I5: nothing is acknowledged before it is durable, by the order of the fail-points that one host reached."""
    durable_at = ("store.fsync-folder by-run after", "store.touch redelivered after", "store.fsync-folder poison after")
    cancels = ("store.fsync-folder cancel after", "store.fsync-folder remembered-cancel after")
    for host, trace in history.traces.items():
        durable = acked = 0
        for process, label in trace:
            if process != "supervisor":
                continue
            durable += label in durable_at or label in cancels
            acked += label == "broker.ack before"
            if acked > durable:
                yield f"I5: {host} acknowledged message {acked} when {durable} were durable"
                break


def in_order(history: History) -> Iterator[str]:
    """I6: of the jobs of an RB that were journaled when one started, none that comes first was passed over.

    A host steps over what its own configuration does not take.
    """
    for rb, epochs in history.epochs.items():
        jobs = [job for job in history.jobs.values() if job.rb == rb]
        for epoch in epochs:
            started = history.jobs.get(epoch.job)
            if epoch.ran is None or started is None:
                continue
            for other in jobs:
                serves = other.served_by is None or epoch.host in other.served_by
                if serves and other.order < started.order and _could_start(history, other, epochs, epoch.at):
                    yield f"I6: in RB {rb} job {started.job} started before job {other.job}, which comes first"


def _could_start(history: History, job: SeenJob, epochs: list[SeenEpoch], at: float) -> bool:
    earlier = [epoch for epoch in epochs if epoch.job == job.job and epoch.at < at]
    if job.journaled + GRAIN >= at or any(epoch.committed for epoch in earlier):
        return False
    if job.cancelled is not None and job.cancelled <= at + GRAIN:
        return False
    if sum(epoch.lost for epoch in earlier) >= history.max_attempts:
        return False
    retries = [epoch.outcome.not_before for epoch in earlier if epoch.outcome is not None]
    return max(retries, default=0.0) + GRAIN < at


def cancel_holds(history: History) -> Iterator[str]:
    """I8: no new attempt starts once the cancel of a job is durable."""
    for job in history.jobs.values():
        for epoch in history.of_job(job.job):
            if job.cancelled is not None and epoch.ran is not None and epoch.at > job.cancelled + GRAIN:
                yield f"I8: job {job.job} was started in epoch {epoch.n} after its cancel"


def attempts_bounded(history: History) -> Iterator[str]:
    """I9: a job is given up at `max_attempts`, not later and not sooner."""
    for job in history.jobs.values():
        epochs = history.of_job(job.job)
        lost = sum(epoch.lost for epoch in epochs)
        if lost > history.max_attempts:
            yield f"I9: job {job.job} was lost {lost} times, more than {history.max_attempts}"
        verdicts = [epoch.outcome.verdict for epoch in epochs if epoch.committed and epoch.outcome is not None]
        if "gave_up" in verdicts and lost < history.max_attempts:
            yield f"I9: job {job.job} was given up after {lost} lost attempts"


def results_stand(history: History) -> Iterator[str]:
    """I10: at each target stands, whole, the result of the newest completed epoch that was promoted there."""
    newest: dict[str, SeenEpoch] = {}
    for epochs in history.epochs.values():
        for epoch in epochs:
            if epoch.completed and epoch.promoted == "done" and epoch.outcome is not None:
                newest |= {target["path"]: epoch for target in epoch.outcome.targets if target["mode"] == "replace"}
    for path, epoch in newest.items():
        there = history.results.get(path)
        if there is None:
            yield f"I10: {path} is missing; job {epoch.job} completed there"
        elif (there.job, there.epoch) != (epoch.job, epoch.n):
            yield f"I10: {path} is of job {there.job}, epoch {there.epoch}; the newest is {epoch.job}, {epoch.n}"
        elif epoch.job in history.makes and there.files != history.makes[epoch.job]:
            yield f"I10: {path} is not the whole result of job {epoch.job}: {sorted(there.files)}"
    for path in history.results.keys() - newest.keys():
        yield f"I10: {path} holds a result, and no completed epoch says so"


def nothing_left(history: History) -> Iterator[str]:
    """I11: nothing is left when all is quiet."""
    for what in history.left:
        yield f"I11: {what}"


def logs_are_clean(history: History) -> Iterator[str]:
    """No process of ours met a defect."""
    for name, text in history.logs.items():
        for word in ("Traceback", "defect"):
            if word in text:
                yield f"I0: the log of {name} holds a {word}:\n{text[text.index(word) - 200 if text.index(word) > 200 else 0 :][:2000]}"
