"""The store hand: the one thread of a shepherd that touches the store and the archive (DESIGN §3).

Every call here may hang in D for ever on a dead NFS server; the shepherd's main thread touches neither, so that limits,
timers and the box's end never wait for a file system. It is a daemon thread, and the shepherd ends by `os._exit`.
What it does is one straight line: beat, look, `run.json`, preflight, `plan.json`, the box, copy-out, `exit.json`, the
outcome (the one commit point), `final`, promotion.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sandbox.copyout import OutputRejected
from sandbox.ending import not_built
from sandbox.outcome import Outcome as BoxOutcome
from sandbox.verdict import KillReason, SetupFailure, Verdict
from supervisor import answers, durable, filing, preflight, records, sentences
from supervisor.cells import RbCells, link_final
from supervisor.failpoints import effect
from supervisor.layout import Layout
from supervisor.promoting import promote_until_done, repair_takes
from supervisor.provenance import of_plan
from supervisor.rblock import LostLock, RbLock
from supervisor.recorder import Recorder
from supervisor.records import Final, Outcome, RunRecord
from supervisor.staging import ForeignTarget, SiteTrouble, Staging, sweep
from supervisor.storenotes import StoreNote

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.limits import Limits
    from sandbox.running import Running
    from supervisor.ondisk import Found
    from supervisor.provenance import Papers
    from supervisor.records import Identity
    from supervisor.runplan import RunPlan

T = TypeVar("T")

#: What a full disk answers.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Seconds between tries of a store that does not answer.
_PAUSE = 1.0
#: Bytes of each log that stand in `exit.json` for `why`.
_TAIL = 16384


class Decided(Exception):
    """The epoch was decided by another: nothing more is ours to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxIdentity:
    """What `run.json` says of the box that waits."""

    builder: Identity
    token: str
    scratch: str


class StoreHand(threading.Thread):
    """Does one errand under one RB lock."""

    def __init__(
        self,
        plan: RunPlan,
        lock: RbLock,
        me: Identity,
        limits: Limits,
        box: BoxIdentity | None,
        failure: SetupFailure | None,
        note: StoreNote | None = None,
    ) -> None:
        """Prepare the hand for `plan`; `lock` is the locked descriptor, `me` the shepherd, `note` tells of trouble."""
        super().__init__(name="store-hand", daemon=True)
        self._plan = plan
        self._lock = lock
        self._me = me
        self._limits = limits
        self._box = box
        self._failure = failure
        self._note = note or StoreNote("", me, plan.job)
        layout = Layout(plan.store)
        self._job = layout.job(plan.job)
        self._cells = RbCells(layout.rb(plan.rb))
        self._staging = Staging(plan, self._job, self._insist)
        #: None until the box is let go.
        self._recorder: Recorder | None = None
        self._orders: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        #: Words for the main thread: `go`, `abandon`, `stop` with a reason, `done` with an exit status.
        self.words: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.wake_r, self._wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        #: When the last beat was completed, by the monotonic clock; read by the main thread.
        self.last_beat = time.monotonic()
        #: What the main thread saw last of the run: (wall s, cpu s, rss bytes, processes).
        self.progress: tuple[float, float, int, int] = (0.0, 0.0, 0, 0)

    # --- spoken to by the main thread -------------------------------------------------------------------------

    def ended(self, running: Running) -> None:
        """Say that the box is proven empty; the main thread leaves `running` alone from now on."""
        self._orders.put(("ended", running))

    def unbuilt(self, failure: SetupFailure) -> None:
        """Say that the box could not take what was found for it; it is abandoned."""
        self._orders.put(("unbuilt", failure))

    def look_for_cancel(self) -> None:
        """Look for a cancel now; the local supervisor has seen one (SIGUSR1)."""
        self._orders.put(("look", None))

    def shut_down(self) -> None:
        """The host goes down before the box was let go."""
        self._orders.put(("shutdown", None))

    # --- the thread -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do the errand; a lost lock is told in the store as soon as it answers."""
        status = 0
        try:
            if self._plan.errand == "run":
                self._run()
            else:
                self._insist(self._beat)
                self._insist(lambda: sweep(self._job, self._plan.sweep))
                if self._plan.errand == "promote":
                    self._promote()
                else:
                    self._repair()
        except LostLock as lost:
            self._say("stop", KillReason.lost_lock)
            self._revoke_self(str(lost))
            self._drop_if_nothing_came_of_it()
        except Decided:
            self._say("abandon", None)
            self._drop_if_nothing_came_of_it()
        except BaseException as error:  # noqa: BLE001  # a defect: the main thread says it and ends the process
            self._say("defect", error)
            status = 70
        self._say("done", status)

    def _say(self, word: str, fact: Any) -> None:
        self.words.put((word, fact))
        os.write(self._wake_w, b"w")

    def _beat(self) -> None:
        self._lock.beat(self._plan.n)
        self.last_beat = time.monotonic()

    def _beat_if_due(self) -> None:
        if time.monotonic() - self.last_beat >= self._plan.beat:
            self._beat()

    def _insist(self, call: Callable[[], T], *, undecided: bool = False, beating: bool = True) -> T:
        """Call the store until it answers: what cannot be written is tried again, and `status` says so meanwhile.

        Args:
            call: what is to be done; it may have happened when it failed.
            undecided: look in between whether another has decided the epoch.
            beating: keep the lock alive in between.

        Raises:
            Decided: the epoch was decided by another, or the whole job was pruned since: we were frozen for long.
            LostLock: a beat was refused.
        """
        while True:
            try:
                answer = call()
            except OSError as error:
                self._note.failed(error)
                if isinstance(error, FileNotFoundError) and self._is_pruned():
                    raise Decided from error
            else:
                self._note.well()
                return answer
            time.sleep(_PAUSE)  # the store is away; a shorter wait would only load what comes back
            if beating:
                self._beat_if_due_quietly()
            if undecided:
                with contextlib.suppress(OSError):
                    self._look_whether_decided()

    def _is_pruned(self) -> bool:
        try:
            return not durable.exists(self._job.request)
        except OSError:
            return False

    def _beat_if_due_quietly(self, _moved: int = 0) -> None:
        """Beat; where the store does not take it now, the next beat is as good. A lost lock is raised."""
        with contextlib.suppress(OSError):
            self._beat_if_due()

    def _run(self) -> None:
        plan, box = self._plan, self._box
        self._insist(self._beat)
        self._insist(self._look_whether_decided)
        self._insist(lambda: durable.make_folder(self._job.attempt(plan.n), "attempt"), undecided=True)
        if box is None:
            self._unbuilt()
            return
        record = RunRecord(
            host=plan.host,
            shepherd=self._me,
            builder=box.builder,
            token=box.token,
            scratch=box.scratch,
            version=plan.code_version,
            time=time.time(),
            limits=self._limits.to_json(),
        )
        begun = records.to_record(record)
        self._insist(lambda: durable.replace(self._job.run(plan.n), begun, "run"), undecided=True)
        self._insist(
            lambda: sweep(self._job, plan.sweep)
        )  # before the commit: after it nobody comes back to what is left here
        found = self._preflight()
        if found is None:
            return
        started = records.pack(answers.started(plan))
        self._insist(lambda: durable.link_new(self._job.started, started, "started"), undecided=True)
        self._insist(self._look_whether_decided)
        self._say("go", found)
        self._recorder = Recorder(of_plan(plan, found), plan.data_limit)
        running = self._tend(self._recorder)
        if running is None:
            self._release("host shutdown")
            return
        if isinstance(running, SetupFailure):
            self._staging.drop()
            self._staging.targets = []  # a commit that named them would wait for their promotion for ever
            self._failure = running
            self._unbuilt()
            return
        with effect("box.outcome"):
            outcome = running.outcome()
        if running.stale:
            self._site(SiteTrouble("box", f"box cannot be used: {running.stale}"), None, {})
        else:
            self._finish(outcome, running)

    def _unbuilt(self) -> None:
        """The box could not be prepared: a full scratch is a condition of the site, all else is told as it is."""
        failure = self._failure
        assert failure is not None
        if failure.errno in _FULL:
            text = f'scratch cannot be used: "{self._plan.box["spool"]}": {os.strerror(failure.errno)}'
            self._site(SiteTrouble("scratch", text), None, {})
        else:
            self._commit(not_built(failure, self._limits), {})

    def _drop_if_nothing_came_of_it(self) -> None:
        """Remove our staging, unless it was committed: who ran the job again has swept before it was named."""
        outcome = self._insist(lambda: self._cells.outcome(self._plan.n))
        if self._plan.errand == "run" and outcome is not None and outcome.kind != "committed":
            self._staging.drop()

    def _look_whether_decided(self) -> None:
        if self._cells.outcome(self._plan.n) is not None:
            raise Decided

    def _preflight(self) -> Found | None:
        """Look at all that the run needs; None when it ends here, which is committed by then."""
        plan = self._plan
        try:
            found = preflight.look(plan, self._staging)
        except SiteTrouble as problem:
            self._say("abandon", None)
            self._site(problem, None, {})
            return None
        except preflight.Ends as end:
            self._say("abandon", None)
            self._staging.drop()
            ended = self._without_run(end.verdict, str(end))
            self._commit(ended, {}, filed=False, replies=answers.disabled(plan, str(end)) if end.switched_off else None)
            return None
        except ForeignTarget as foreign:
            self._say("abandon", None)
            self._commit(self._without_run(Verdict.output_rejected, sentences.foreign(str(foreign))), {})
            return None
        if self._insist(lambda: durable.exists(self._job.cancel), undecided=True):
            self._say("abandon", None)
            self._staging.drop()
            self._commit(self._without_run(Verdict.cancelled, sentences.CANCELLED), {}, filed=False)
            return None
        return found

    def _tend(self, recorder: Recorder) -> Running | SetupFailure | None:
        """Beat and look for a cancel until the box has ended; None when the host goes down before it began.

        In between the data are read for their digests, a piece at a time.
        """
        told = False
        while True:
            recorder.read_on(lambda: time.monotonic() - self.last_beat < self._plan.beat and self._orders.empty())
            due = self.last_beat + self._plan.beat - time.monotonic()
            try:
                word, fact = self._orders.get(timeout=max(0.05, due))
            except queue.Empty:
                word, fact = "beat", None
            if word in ("ended", "unbuilt"):
                return fact  # type: ignore[no-any-return]  # put there by `ended` and `unbuilt`
            if word == "shutdown":
                return None
            try:
                self._beat_if_due()
                if not told and durable.exists(self._job.cancel):
                    told = True
                    self._say("stop", KillReason.cancelled)
            except LostLock as lost:
                self._say("stop", KillReason.lost_lock)
                self._await_end()
                raise lost from None
            except OSError as error:
                self._note.failed(error)
                time.sleep(_PAUSE)  # not beaten: the main thread ends the box after self_kill_after
            else:
                self._note.well()
                self._note_progress()

    def _await_end(self) -> None:
        while self._orders.get()[0] not in ("ended", "unbuilt", "shutdown"):
            continue

    def _note_progress(self) -> None:
        wall, cpu, rss, processes = self.progress
        line = records.pack({"t": round(wall, 1), "cpu": round(cpu, 2), "rss": rss, "processes": processes})
        path = self._job.usage(self._plan.n)
        with contextlib.suppress(OSError), open(path, "ab") as file:  # a curve for people: a full disk leaves a gap
            file.write(line)

    # --- the end of a run -------------------------------------------------------------------------------------

    def _finish(self, outcome: BoxOutcome, running: Running) -> None:
        if outcome.verdict is None:
            if running.reason is KillReason.shutdown:
                self._release("host shutdown")
                return
            raise LostLock("no beat was completed in time")
        plan = self._plan
        logs = {"stdout": running.logs.stdout.text(), "stderr": running.logs.stderr.text()}
        if outcome.verdict is not Verdict.completed:
            filing.logs(plan, self._staging, outcome, logs, self._papers)
            self._commit(outcome, logs)
            return
        try:
            outcome = filing.results(
                plan, self._staging, outcome, running, logs, papers=self._papers, moved=self._beat_if_due_quietly
            )
        except SiteTrouble as problem:
            self._site(problem, outcome, logs)
            return
        except OutputRejected as changed:  # something outside the box wrote into its scratch
            outcome = replace(outcome, verdict=Verdict.output_rejected, sentence=sentences.rejected(str(changed)))
            filing.logs(plan, self._staging, outcome, logs, self._papers)
        self._commit(outcome, logs)

    def _papers(self, outcome: BoxOutcome) -> Papers:
        assert self._recorder is not None  # there is an outcome only of a box that was let go
        return self._recorder.papers(outcome, self._beat_if_due_quietly)

    def _without_run(self, verdict: Verdict, sentence: str) -> BoxOutcome:
        return BoxOutcome.without_run(verdict, sentence, self._limits)

    def _site(self, problem: SiteTrouble, outcome: BoxOutcome | None, logs: dict[str, bytes]) -> None:
        """A condition of the site: try again later, or end as unavailable; one side retries (DESIGN §5)."""
        plan = self._plan
        self._staging.drop()
        self._staging.targets = []
        retry = plan.retry
        if retry["by"] == "supervisor" and retry["count"] < retry["cap"]:
            not_before = time.time() + answers.retry_delay(retry)
            later = records.pack({"time": not_before})
            self._insist(lambda: durable.replace(self._job.not_before, later, "not-before"))
            self._link(Outcome(kind="retry", not_before=not_before, why=str(problem)))
            return
        ended = self._without_run(Verdict.unavailable, answers.unavailable_sentence(str(problem), retry))
        if outcome is not None:
            ended = answers.as_unavailable(outcome, ended.sentence)
        self._commit(ended, logs, trouble=problem)

    def _commit(
        self,
        outcome: BoxOutcome,
        logs: dict[str, bytes],
        *,
        filed: bool = True,
        trouble: SiteTrouble | None = None,
        replies: dict[str, Any] | None = None,
    ) -> None:
        """Write `exit.json`, decide the epoch, and bring the results into place under the lock."""
        plan = self._plan
        targets = self._staging.targets if filed else []
        tails = {name: data[-_TAIL:].decode("utf-8", "replace") for name, data in logs.items()}
        ended = records.pack({"outcome": outcome.to_json(), "log_tails": tails})
        self._insist(lambda: durable.replace(self._job.exit(plan.n), ended, "exit"))
        self._beat_if_due_quietly()
        won = self._link(
            Outcome(
                kind="committed",
                verdict=str(outcome.verdict),
                sentence=outcome.sentence,
                replies=answers.terminal(plan, outcome, logs, [target.path for target in targets], trouble=trouble)
                if replies is None
                else replies,
                targets=[records.target_record(target) for target in targets],
            )
        )
        if not won:
            self._staging.drop()
            return
        self._promote()

    def _link(self, outcome: Outcome) -> bool:
        stamped = Outcome(
            **{**asdict(outcome), "by": outcome.by or "shepherd", "time": time.time(), "host": self._plan.host}
        )
        return self._insist(lambda: self._cells.link_outcome(self._plan.n, stamped))

    def _promote(self) -> None:
        plan = self._plan
        self._insist(lambda: link_final(self._job, Final(rb=plan.rb, n=plan.n)))
        promote_until_done(self._cells, plan, self._me, self._beat, insist=self._insist, note=self._note)

    def _repair(self) -> None:
        """Put in what takes have left aside; where that cannot be done now, the poll sends another errand."""
        try:
            repair_takes(self._cells, self._plan, self._me)
        except OSError as error:
            self._note.failed(error)

    def _release(self, why: str) -> None:
        self._staging.drop()
        self._link(Outcome(kind="released", why=why))

    def _revoke_self(self, why: str) -> None:
        """Tell that we lost the lock, when the store is back; whatever another decided stands."""
        outcome = Outcome(kind="revoked", by="self", why=f"lost_lock: {why}", time=time.time(), host=self._plan.host)
        with contextlib.suppress(Decided):
            self._insist(lambda: self._cells.link_outcome(self._plan.n, outcome), beating=False)
