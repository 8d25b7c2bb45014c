"""Whether locks between hosts are proven for the store of this host: by a recorded probe, on the mount as it is now.

A store on a file system of one host needs no proof. Any other does: a probe (`doctor --peer`) that names this host, did
not fail, ran between two machines, is not older than a year, and saw the mount as it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.linux import trial
from supervisor import hosts, mountrules, probereport, storeground, utc
from supervisor.checkup import Finding, Status, caution, failed, passed
from supervisor.layout import Layout
from supervisor.mountrules import LockTimes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervisor.probereport import ProbeReport
    from supervisor.settings import Settings
    from supervisor.storeground import Ground

#: Seconds for which a probe counts.
LASTS: Final = 365 * 24 * 3600.0
COMMAND: Final = "autoreduce-supervisor doctor --peer"
#: Seconds within which the second host must say it, too.
WITHIN: Final = 120.0
_NAME: Final = "between hosts"
#: Seconds for the store to answer who only asks.
_PATIENCE: Final = 20.0
#: Tells an answer from how a process ended without one.
_MARK: Final = "asked: "


class Unproven(Exception):
    """This host may not serve: nothing shows that its locks keep other hosts out; the sentence says what does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockProof:
    """How it stands with the proof."""

    #: Whether other hosts could see the store at all.
    needed: bool
    proven: bool
    #: Why, without a full stop.
    text: str

    @property
    def may_serve(self) -> bool:
        """Whether a host may serve with that, unless `store.unproven` lets it."""
        return self.proven or not self.needed

    def finding(self, *, unproven: bool) -> list[Finding]:
        """Return what `doctor` says of it; of a store of one host, nothing."""
        if not self.needed:
            return []
        if self.proven:
            return [passed("lock", _NAME, self.text)]
        remedy = f"say `{COMMAND}` here and on another host of the fleet within {WITHIN:g} s"
        if unproven:
            return [caution("lock", _NAME, f"{self.text}; store.unproven lets it serve", remedy)]
        return [failed("lock", _NAME, self.text, remedy)]


def weigh(ground: Ground, host: str, reports: Iterable[ProbeReport], times: LockTimes, now: float) -> LockProof:
    """Say whether recorded probes prove the locks of a host (pure).

    Args:
        ground: what its store lies on now.
        host: its id.
        reports: those of the store, the newest first.
        times: `lock.*`.
        now: seconds since 1970.
    """
    refused = [each for each in mountrules.findings(ground, times) if each.status is Status.FAIL]
    where = f"{ground.kind} ({ground.source} at {ground.point})"
    if refused:
        return LockProof(needed=True, proven=False, text=f"{where} {refused[0].text}")
    if ground.is_local:
        return LockProof(needed=False, proven=False, text=f"{where} is of this host alone")
    changed = ""
    for report in reports:
        own = report.side_of(host)
        if own is None or report.same_machine:
            continue
        said = f"the probe of {utc.iso(report.time)[:10]} with {report.other_than(host)}"
        changes = storeground.changes(own.ground, ground)
        if changes:
            changed = changed or f"since {said}, {changes}"
        elif report.status is Status.FAIL:
            return LockProof(needed=True, proven=False, text=f"{said} failed on {where}")
        elif now - report.time > LASTS:
            return LockProof(needed=True, proven=False, text=f"{said} on {where} is older than a year")
        else:
            return LockProof(needed=True, proven=True, text=f"proven by {said}")
    return LockProof(needed=True, proven=False, text=f"{changed or f'no passed probe names host {host}'} on {where}")


def look(settings: Settings, layout: Layout, now: float) -> LockProof:
    """Look at the mount and the records of this host's store.

    Raises:
        OSError: the store cannot be read.
    """
    ground = storeground.read(layout.root)
    if ground is None:  # a kernel without its table of mounts: nothing can be said, so nothing is proven
        return LockProof(needed=True, proven=False, text=f"what {layout.root} lies on cannot be told")
    host = settings.host.id or hosts.default_id()
    return weigh(ground, host, probereport.newest_first(layout), times_of(settings), now)


def times_of(settings: Settings) -> LockTimes:
    """Return `lock.*` as plain seconds."""
    lock = settings.lock
    return LockTimes(beat=lock.beat, self_kill_after=lock.self_kill_after, takeover_after=lock.takeover_after)


def problem(settings: Settings, proof: LockProof) -> str:
    """Return why a host may not serve, in one sentence with what mends it; "" where it may (pure)."""
    if proof.may_serve or settings.store.unproven:
        return ""
    return (
        f'store.path: locks of "{settings.store.path}" are not proven to keep other hosts out: {proof.text}; say '
        f"`{COMMAND}` on this host and on another one of the fleet within {WITHIN:g} s, or write store.unproven = true "
        "and risk that two runs of one RB overlap"
    )


def asked(settings: Settings, now: float) -> str:
    """Return why this host may not serve for its locks, "" where it may; the caller has one thread.

    The store is looked at by a process of its own: one that hangs must hold neither `restart` nor `check-config`.
    """
    layout = Layout(os.path.abspath(settings.store.path))
    try:
        said = trial.run(lambda: _MARK + problem(settings, look(settings, layout, now)), patience=_PATIENCE)
    except OSError as error:
        said = str(error)
    if said.startswith(_MARK):
        return said.removeprefix(_MARK)
    return (
        f'store.path: whether locks of "{settings.store.path}" are proven cannot be told: {said}; ask as the service '
        "user, and see whether its mount answers"
    )


def at_start(settings: Settings, layout: Layout, now: float) -> str:
    """Return what has to be said while this host serves, "" for nothing.

    Raises:
        Unproven: it may not serve.
        OSError: the store cannot be read.
    """
    proof = look(settings, layout, now)
    refusal = problem(settings, proof)
    if refusal:
        raise Unproven(refusal)
    return "" if proof.may_serve else f"locks are unproven: {proof.text}; store.unproven lets this host serve"
