"""Where everything stands in the shared store (DESIGN §4): paths only, no access."""

from __future__ import annotations

import os
from dataclasses import dataclass

from supervisor import names

#: Epochs are zero-padded so that a listing is in order.
_EPOCH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class RbPlace:
    """The folder of one RB: its lock and its cells."""

    #: `rb/<shard>/<rb>` as an absolute path.
    root: str

    @property
    def lock(self) -> str:
        """The flock target; never deleted, renamed or replaced."""
        return os.path.join(self.root, "lock")

    @property
    def name(self) -> str:
        """The sidecar that holds the full text of the RB."""
        return os.path.join(self.root, "name")

    def folder(self, kind: str) -> str:
        """The folder of the cells of one kind: `epochs`, `outcomes`, `promoting` or `promoted`."""
        return os.path.join(self.root, kind)

    def epoch(self, n: int) -> str:
        """The fencing token of epoch `n`."""
        return os.path.join(self.root, "epochs", f"{n:0{_EPOCH_DIGITS}d}")

    def outcome(self, n: int) -> str:
        """The write-once cell that decides epoch `n`."""
        return os.path.join(self.root, "outcomes", f"{n:0{_EPOCH_DIGITS}d}")

    def promoted(self, n: int) -> str:
        """The cell that ends the promotion of epoch `n`."""
        return os.path.join(self.root, "promoted", f"{n:0{_EPOCH_DIGITS}d}")

    def later(self, n: int) -> str:
        """The note beside a failed promotion of epoch `n`: `promote` has put its result into place since."""
        return os.path.join(self.root, "promoted", f"{n:0{_EPOCH_DIGITS}d}.later")

    def take(self, n: int, k: int) -> str:
        """Promoter number `k` of epoch `n`."""
        return os.path.join(self.root, "promoting", f"{n:0{_EPOCH_DIGITS}d}.{k}")


@dataclass(frozen=True, slots=True)
class JobPlace:
    """The folder of one job."""

    #: `jobs/<shard>/<job>` as an absolute path.
    root: str

    @property
    def request(self) -> str:
        """The message as received and decoded; immutable."""
        return os.path.join(self.root, "request.json")

    @property
    def not_before(self) -> str:
        """When the job may run next; replaceable."""
        return os.path.join(self.root, "not_before")

    @property
    def unplaceable(self) -> str:
        """Since when no host that was ever seen can take the job; removed when one can."""
        return os.path.join(self.root, "unplaceable")

    @property
    def cancel(self) -> str:
        """The cell that says: cancelled."""
        return os.path.join(self.root, "cancel")

    @property
    def started(self) -> str:
        """The frozen `reduction_started` reply."""
        return os.path.join(self.root, "started")

    @property
    def started_sent(self) -> str:
        """The started reply has its receipt."""
        return os.path.join(self.root, "started.sent")

    @property
    def redelivered(self) -> str:
        """Mark: the message came more than once; for people, decides nothing."""
        return os.path.join(self.root, "redelivered")

    @property
    def final(self) -> str:
        """The cell that points at the committed outcome."""
        return os.path.join(self.root, "final")

    @property
    def published(self) -> str:
        """Every reply has its receipt."""
        return os.path.join(self.root, "published")

    @property
    def attempts(self) -> str:
        """The folder of the attempts, one per epoch."""
        return os.path.join(self.root, "attempts")

    def attempt(self, n: int) -> str:
        """The folder of the attempt made in epoch `n`."""
        return os.path.join(self.root, "attempts", f"{n:0{_EPOCH_DIGITS}d}")

    def run(self, n: int) -> str:
        """`run.json`: the shepherd of epoch `n` is alive and reached running."""
        return os.path.join(self.attempt(n), "run.json")

    def plan(self, n: int) -> str:
        """`plan.json`: the targets of epoch `n` and their staging folders."""
        return os.path.join(self.attempt(n), "plan.json")

    def exit(self, n: int) -> str:
        """`exit.json`: raw facts, verdict and staged outputs of epoch `n`."""
        return os.path.join(self.attempt(n), "exit.json")

    def usage(self, n: int) -> str:
        """`usage.jsonl`: a line with each beat of epoch `n`, for people."""
        return os.path.join(self.attempt(n), "usage.jsonl")


@dataclass(frozen=True, slots=True)
class Layout:
    """The store below one root folder."""

    root: str

    def path(self, *parts: str) -> str:
        """Join `parts` below the root."""
        return os.path.join(self.root, *parts)

    @property
    def format(self) -> str:
        """The version of the store."""
        return self.path("FORMAT")

    @property
    def waiting(self) -> str:
        """One empty file for each job that is not finished with; one listing is the poll."""
        return self.path("waiting")

    @property
    def cancels(self) -> str:
        """Cancels of jobs not seen yet."""
        return self.path("cancels")

    def rb(self, rb: str) -> RbPlace:
        """The folder of the RB named `rb`."""
        component = names.encode(rb)
        return RbPlace(self.path("rb", names.shard(component), component))

    def job(self, job: str) -> JobPlace:
        """The folder of the job with the id `job`."""
        return self.job_component(names.encode(job))

    def job_component(self, component: str) -> JobPlace:
        """The folder of the job whose encoded id is `component`."""
        return JobPlace(self.path("jobs", names.shard(component), component))

    def job_shard_of_part(self, part: str) -> str:
        """The folder that holds the job of a `waiting` part: the shard is made from the shortened component."""
        return self.path("jobs", names.shard(part))

    def by_run(self, instrument: str, run: str) -> str:
        """The index folder of one run of an instrument; holds one empty file per job."""
        return self.path("by-run", names.encode(instrument), names.encode(run))

    def host_lock(self, host: str) -> str:
        """The lock a supervisor holds for life."""
        return self.path("hosts", f"{names.encode(host)}.lock")

    def host_beat(self, host: str) -> str:
        """The heartbeat of a host."""
        return self.path("hosts", f"{names.encode(host)}.json")

    def fence(self, host: str, boot: str) -> str:
        """The operator's word that this boot of a host is dead; void for any other boot."""
        return self.path("hosts", f"{names.encode(host)}.{names.encode(boot)}.fence")

    def disabled(self, instrument: str) -> str:
        """The operator's word that runs of an instrument (upper case) wait."""
        return self.path("disabled", names.encode(instrument))

    def drain(self, host: str) -> str:
        """The operator's word that a host takes nothing new."""
        return self.path("hosts", f"{names.encode(host)}.drain")

    def poison(self, digest: str) -> str:
        """A message that could not be taken, with its reply."""
        return self.path("poison", digest)

    def poison_told(self, digest: str) -> str:
        """The reply of a poison message has its receipt."""
        return self.path("poison", f"{digest}.told")
