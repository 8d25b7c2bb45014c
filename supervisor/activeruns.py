"""The runs under way on this host, as the store shows them: begun, started, decided, gone.

A lock is handed to a shepherd and beaten until that has begun; then the store is looked at for what it freezes and
decides. A supervisor that comes up finds the shepherds of the last one by `run.json` (DESIGN §3).
"""

from __future__ import annotations

import math
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, journal, records, runend
from supervisor.admission import Wants, wants_of
from supervisor.attempts import run_record
from supervisor.cells import RbCells
from supervisor.leftovers import end_box, is_alive, signal_exactly, sweep_spool
from supervisor.polled import ActiveRun, Damaged, Decided, Found, Inspected, Started, StartedReply
from supervisor.rblock import LostLock, read_counter
from supervisor.records import Outcome
from supervisor.runend import RunEnd
from supervisor.takeover import MuteWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisor.claim import Claimed, Claimer
    from supervisor.hostfacts import HostFacts
    from supervisor.layout import Layout
    from supervisor.records import Identity, Request
    from supervisor.settings import Settings

#: Seconds within which a shepherd must have written `run.json` (DESIGN §3).
_HAND_OVER = 30.0
#: Seconds for which a scratch that nobody holds is left alone: its box may be in the making.
_YOUNG = 5.0
#: What became of a run whose shepherd died before it was decided.
_UNDECIDED = Outcome(kind="")


@dataclass(slots=True)
class _HandOver:
    """A lock that was given to a shepherd which has not begun yet."""

    claimed: Claimed
    run: ActiveRun
    deadline: float
    next_beat: float


class ActiveRuns:
    """What is under way here; used by the poller's thread alone."""

    def __init__(
        self, settings: Settings, layout: Layout, facts: HostFacts, claimer: Claimer, tell: Callable[[Found], None]
    ) -> None:
        """Look at the runs of the host of `facts`; what is found goes to `tell`."""
        self._settings = settings
        self._layout = layout
        self._facts = facts
        self._claimer = claimer
        self._tell = tell
        self._beat_every = settings.lock.beat
        self._spool = settings.spool.path
        self._run_dir = settings.service.run_dir
        #: When the spool is to be swept next, by the monotonic clock: at the start, and after a shepherd died badly.
        self._sweep_at = 0.0
        self._hand_overs: list[_HandOver] = []
        self._active: dict[tuple[str, int], ActiveRun] = {}
        self._told_started: set[str] = set()
        #: Twice the time after which a shepherd ends its own box: it had its chance (DESIGN §3).
        self._mute = MuteWatch(2 * settings.lock.self_kill_after)
        #: Runs whose mute shepherd was killed here and is not reaped yet.
        self._silenced: set[tuple[str, int]] = set()

    @property
    def handing_over(self) -> bool:
        """Whether a shepherd is about to begin."""
        return bool(self._hand_overs)

    @property
    def any(self) -> bool:
        """Whether a run is under way and not decided."""
        return bool(self._active)

    def begin(self, claimed: Claimed, run: ActiveRun) -> None:
        """Take up a run whose shepherd was just forked; its lock is beaten here until it has begun."""
        now = time.monotonic()
        self._hand_overs.append(_HandOver(claimed, run, now + _HAND_OVER, now + self._beat_every))
        self._active[run.rb, run.n] = run

    def look(self) -> None:
        """Look at everything that is under way.

        Raises:
            OSError, CorruptRecord: something of it could not be looked at; all the rest was.
        """
        troubles: list[OSError | records.CorruptRecord] = []
        for over in list(self._hand_overs):
            try:
                self._hand_over(over)
            except (OSError, records.CorruptRecord) as error:
                troubles.append(error)
        troubles += self._look_at_runs()
        now = time.monotonic()
        if now >= self._sweep_at:
            again = sweep_spool(self._spool, self._run_dir, older_than=_YOUNG, now=time.time())
            self._sweep_at = now + _YOUNG if again else math.inf
        if troubles:
            raise troubles[0]

    def _hand_over(self, over: _HandOver) -> None:
        """Beat the lock until the shepherd has begun, then let go of our copy (DESIGN §3)."""
        claimed, now = over.claimed, time.monotonic()
        begun = durable.exists(self._layout.job(claimed.request.job).run(claimed.n))
        cells = RbCells(self._layout.rb(claimed.rb))
        if begun or cells.outcome(claimed.n) is not None or not is_alive(over.run.shepherd):
            self._let_go(over)
        elif now >= over.deadline:
            self._claimer.release(claimed.rb, claimed.n, "nursery: no run.json within 30 s")
            self._let_go(over)
        elif now >= over.next_beat:
            over.next_beat = now + self._beat_every
            try:
                claimed.lock.beat(claimed.n)
            except LostLock:
                self._let_go(over)

    def _let_go(self, over: _HandOver) -> None:
        self._hand_overs.remove(over)
        over.claimed.lock.close()

    def _look_at_runs(self) -> list[OSError | records.CorruptRecord]:
        troubles: list[OSError | records.CorruptRecord] = []
        for run in list(self._active.values()):
            try:
                self._look_at(run)
            except (OSError, records.CorruptRecord) as error:
                troubles.append(error)
        return troubles

    def _look_at(self, run: ActiveRun) -> None:
        place = self._layout.job(run.job)
        if run.job not in self._told_started:
            data = durable.read(place.started)
            if data is not None:
                self._told_started.add(run.job)
                if not durable.exists(place.started_sent):
                    self._tell(StartedReply(job=run.job, reply=records.unpack(place.started, data)))
        if RbCells(self._layout.rb(run.rb)).outcome(run.n) is not None:
            self._forget(run)
            self._tell(Decided(run=run))
        elif self._mute.is_mute((run.rb, run.n), read_counter(self._layout.rb(run.rb).lock), time.monotonic()):
            self._silenced.add((run.rb, run.n))
            signal_exactly(run.shepherd, signal.SIGKILL)

    def _forget(self, run: ActiveRun) -> None:
        self._active.pop((run.rb, run.n), None)
        self._told_started.discard(run.job)
        self._mute.forget((run.rb, run.n))

    def inspect(self, run: ActiveRun) -> None:
        """Tell what became of a run whose shepherd has gone."""
        outcome = end = None
        try:
            outcome = RbCells(self._layout.rb(run.rb)).outcome(run.n)
            if (run.rb, run.n) in self._active:
                self._look_at(run)
            self._clear(run)
            end = self._end_of(run, outcome or _UNDECIDED) if run.errand == "run" else None
        except records.CorruptRecord as damage:
            self._tell(Damaged(why=str(damage)))  # its slot is free all the same
        self._forget(run)
        if outcome is None and run.errand == "run":
            self._claimer.clear(run.rb, mute=(run.rb, run.n) in self._silenced)
        self._silenced.discard((run.rb, run.n))
        became = outcome or _UNDECIDED
        self._tell(
            Inspected(
                run=run,
                kind=became.kind,
                verdict=became.verdict,
                sentence=became.sentence or became.why,
                end=end,
                wall=max(0.0, became.time - run.since) if became.time else None,
            )
        )

    def _end_of(self, run: ActiveRun, became: Outcome) -> RunEnd:
        """Return a run that has ended, in figures."""
        place = self._layout.job(run.job)
        data = durable.read(place.exit(run.n))
        used, limits = runend.figures({} if data is None else records.unpack(place.exit(run.n), data))
        request, epoch = journal.read_request(place), RbCells(self._layout.rb(run.rb)).epoch(run.n)
        waited = None if request is None or epoch is None else max(0.0, epoch.time - request.journaled)
        return RunEnd(
            job=run.job,
            instrument=run.instrument,
            rb=run.rb,
            run=run.run,
            epoch=run.n,
            host=self._facts.host,
            kind=became.kind,
            verdict=became.verdict,
            sentence=became.sentence or became.why,
            attempt=runend.attempt_number(durable.listing(place.attempts), run.n),
            queue_wait=waited,
            used=used,
            limits=limits,
        )

    def _clear(self, run: ActiveRun) -> None:
        """Remove the scratch of a shepherd that was killed after it had decided; one that ends well does it itself."""
        if run.errand != "run":
            return
        record = run_record(self._layout.job(run.job), run.n)
        if record is None:
            self._sweep_at = 0.0  # it was killed before it could say which scratch is its own
        elif os.path.lexists(record.scratch) and not end_box(record, self._spool, self._run_dir):
            self._sweep_at = 0.0

    def adopt(self, rbs: Mapping[str, str]) -> None:
        """Find the shepherds that outlived the last supervisor, by `run.json`; decide what the dead ones left.

        Args:
            rbs: every RB with something waiting: its part in the `waiting` names, and its text.

        Raises:
            OSError: the store cannot be used now; nothing was told, and nothing adopted.
        """
        found: list[tuple[ActiveRun, bool]] = []
        for part, rb in rbs.items():
            try:
                found += self._living(part, rb)
            except records.CorruptRecord as damage:
                self._tell(Damaged(why=str(damage)))
        for run, decided in found:
            self._tell(Started(run=run))
            if decided:
                self._tell(Decided(run=run))
            else:
                self._active[run.rb, run.n] = run

    def _living(self, part: str, rb: str) -> list[tuple[ActiveRun, bool]]:
        """The run of an RB whose shepherd lives here, and whether it is decided; what is left of a dead one goes."""
        cells = RbCells(self._layout.rb(rb))
        last = cells.last()
        holder = cells.epoch(last) if last else None
        if holder is None or holder.host != self._facts.host:
            return []
        decided = cells.outcome(last) is not None
        record = run_record(self._layout.job(holder.job), last)
        wanted = journal.read_request(self._layout.job(holder.job))
        if record is None or wanted is None or not is_alive(record.shepherd):
            if not decided:
                self._claimer.clear(rb)  # no other host can while we live, and we may have no slot for it
            return []
        wants = self._wants(wanted, record)
        return [(active_run(wanted, part, last, "run", record.shepherd, wants, begun=record.time), decided)]

    def _wants(self, of: Request, record: records.RunRecord) -> Wants:
        """Return what a run that was found reserves: the limits that it began with, or else those of today."""
        memory, cpus = (record.limits.get(key) for key in ("memory", "cpus"))
        if not record.limits or not (memory is None or isinstance(memory, int)):
            return wants_of(self._settings, of.instrument, of.rb)
        return Wants(instrument=of.instrument, memory=memory, cpus=cpus if isinstance(cpus, int | float) else None)


def active_run(
    of: Request,
    rb_part: str,
    n: int,
    errand: str,
    shepherd: Identity,
    wants: Wants,
    *,
    begun: float | None = None,
) -> ActiveRun:
    """Return what the loop keeps of a shepherd.

    Args:
        of: the job.
        rb_part: its RB as the `waiting` names have it.
        n: the epoch.
        errand: `run`, `promote` or `repair`.
        shepherd: who does it.
        wants: what its run reserves.
        begun: when a run that was found again began, seconds since 1970; None for one that begins now.
    """
    now = time.time()
    return ActiveRun(
        job=of.job,
        rb=of.rb,
        rb_part=rb_part,
        n=n,
        errand=errand,
        shepherd=shepherd,
        instrument=of.instrument,
        run=of.run,
        since=now if begun is None else begun,
        waited=max(0.0, now - of.journaled) if begun is None and of.journaled else None,
        wants=wants,
    )
