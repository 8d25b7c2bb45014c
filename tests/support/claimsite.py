"""A store with claimers whose clocks and processes are played; the flocks and the folders are real."""

from __future__ import annotations

from storemaking import make_store, request

from supervisor import durable, hosts, journal, records
from supervisor.cells import RbCells, link_final
from supervisor.claim import Claimer, Surroundings
from supervisor.flock import acquire
from supervisor.records import Epoch, Final, Identity, Outcome, Promoted, RunRecord, Take
from supervisor.takeover import Ruling


class Site:
    """A store with one claimer of host `h0`, whose clocks and processes are played."""

    def __init__(self, tmp_path):
        self.layout = make_store(tmp_path)
        self.clock = 1000.0
        self.wall = 5000.0
        self.alive = set()
        self.boxes_end = True
        self.enabled = True
        self.refuses = False
        self.cells = RbCells(self.layout.rb("1"))
        self.request = request()
        journal.journal(self.layout, self.request)
        self.claimer = self.claimer_of("h0", "boot-1")

    def claimer_of(self, host, boot):
        return Claimer(
            self.layout,
            Surroundings(
                host=host,
                boot=boot,
                takeover_after=180.0,
                max_attempts=3,
                now=lambda: self.wall,
                monotonic=lambda: self.clock,
                is_alive=lambda who: who.pid in self.alive,
                end_box=lambda run: self.boxes_end,
                serves=lambda request: self.enabled,
                ending=lambda of, n, ruling: Outcome(
                    kind="committed",
                    verdict={Ruling.CANCEL: "cancelled", Ruling.REFUSE: "refused"}.get(ruling, "gave_up"),
                ),
                refuses=lambda of: self.refuses,
            ),
        )

    def claim(self, **changes):
        return self.claimer.claim(self.request, **changes)

    def epoch(self, n, host="h0", boot="boot-1", job="101"):
        self.cells.make("1")
        assert self.cells.link_epoch(n, Epoch(host=host, boot=boot, job=job, time=0.0))

    def run_json(self, n, pid=7, job="101"):
        who = Identity(pid=pid, start=1, boot="boot-1")
        place = self.layout.job(job)
        durable.make_folder(place.attempt(n), "attempt")
        record = RunRecord(host="h0", shepherd=who, builder=who, token="t", scratch="/s", version="1", time=0.0)
        durable.replace(place.run(n), records.to_record(record), "run")

    def beat_host(self, host, counter, boot="b"):
        """The host shows a heartbeat."""
        beat = hosts.HostBeat(host=host, boot=boot, counter=counter, slots=1, running=0, version="1", level="none")
        hosts.write_beat(self.layout, beat)

    def beat_run(self, n):
        """The run of epoch n beats, by whoever holds its lock for this moment."""
        lock = acquire(self.layout.rb("1").lock)
        assert lock is not None
        lock.beat(n)
        lock.close()

    def promoted(self, n, host="h0", boot="boot-1"):
        """Epoch n is committed by a job of its own, and promoted."""
        self.epoch(n, host=host, boot=boot, job="100")
        journal.journal(self.layout, request("100"))
        self.cells.link_outcome(n, Outcome(kind="committed"))
        link_final(self.layout.job("100"), Final(rb="1", n=n))
        self.cells.link_promoted(n, Promoted(kind="done"))

    def take(self, n, host, boot="boot-1", pid=7):
        """A promoter of epoch n has linked its take; returns its number."""
        return self.cells.link_take(n, Take(host=host, boot=boot, pid=pid, start=1))

    def is_free(self):
        """Whether nobody holds the flock of RB 1."""
        lock = acquire(self.layout.rb("1").lock)
        if lock is None:
            return False
        lock.close()
        return True
