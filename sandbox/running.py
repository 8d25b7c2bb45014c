"""One running box, seen from its shepherd: a state machine that a loop of the caller turns.

The caller waits until `fileno()` is readable or `deadline()` has come, which `wait` does for a box alone, calls `pump`,
and goes on until `ended`. Every turn takes what the pipes hold, measures what is due, and compares what is wanted with
what is.
"""

from __future__ import annotations

import enum
import math
import os
import time
from typing import TYPE_CHECKING, Final, Self

from sandbox import gate, init
from sandbox.blueprint import places_of
from sandbox.builder import STALE
from sandbox.cgroup import CgroupFacts
from sandbox.ending import Ending, conclude
from sandbox.evidence import Evidence
from sandbox.forked import CLOSING, PATIENCE, Forked
from sandbox.linux import proctree
from sandbox.linux.proctree import Identity
from sandbox.linux.sysvipc import IpcObjects
from sandbox.logspool import FLOOD_FACTOR
from sandbox.meter import FIRST, PRIVATE, Breach, Meter
from sandbox.outcome import Mark
from sandbox.rescue import Rescue, keep_awake
from sandbox.sampler import TreeSampler
from sandbox.verdict import KillReason
from sandbox.volume import Volume
from sandbox.watch import EVERY, FolderWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.box import Box
    from sandbox.cgroup import Group
    from sandbox.channels import Channels, Logs
    from sandbox.copyout import Manifest
    from sandbox.outcome import Outcome
    from sandbox.places import Places
    from sandbox.scratch import Scratch
    from sandbox.verdict import SetupFailure
    from sandbox.views import Views

#: Seconds between two rescues, between two looks for the builder's end, and between two looks after our own processes.
_RESCUE_EVERY: Final = 0.02
_LOOK: Final = 0.002
_AWAKE_EVERY: Final = 1.0
#: Guards under which nobody but the init can have reported, and nobody adopts an orphan but the init.
_WALLS: Final = frozenset({"user", "pid", "capabilities", "no_new_privs", "hidden_init"})
#: Reasons that leave no time: in a grace the host's memory or disk would fill up.
_AT_ONCE: Final = frozenset({KillReason.memory_limit, KillReason.output_limit})


class Phase(enum.Enum):
    """Where the run is."""

    #: The script lives, or is about to, and no reason to end it is recorded.
    RUNNING = enum.auto()
    #: SIGTERM was sent, the grace runs.
    ASKED = enum.auto()
    #: The init was told to end the tree.
    KILLING = enum.auto()
    #: The script's main process ended; the init ends what it left behind.
    LEAVING = enum.auto()
    #: The init cannot do it; the shepherd ends the tree itself.
    RESCUE = enum.auto()
    #: The tree is proven empty.
    ENDED = enum.auto()


class Running:
    """A box that was let go, or is about to be; `close` it in the end, or use it as a context manager.

    None of its calls blocks but `close` on a box that still runs.
    """

    def __init__(
        self,
        *,
        box: Box,
        scratch: Scratch,
        channels: Channels,
        group: Group,
        builder: Identity,
        guards: Mapping[str, str],
    ) -> None:
        """Takes over what `prepare` made."""
        self._box = box
        self._scratch = scratch
        self._channels = channels
        self._group = group
        self._counted = CgroupFacts()
        self._group_problem = ""
        self._builder = Forked(builder, channels, scratch.token)
        self._guards = guards
        #: Whether the init is out of the script's reach and nobody in the tree can outlive it: its word is the proof.
        self._walled = guards.keys() >= _WALLS
        self._evidence = Evidence()
        self._phase = Phase.RUNNING
        self._reason: KillReason | None = None
        self._breach: Breach | None = None
        self._marks: list[Mark] = []
        self._meter: Meter | None = None
        self._rescue: Rescue | None = None
        self._outcome: Outcome | None = None
        self._manifest: Manifest | None = None
        self._taken = False
        self._volumes: tuple[Volume, ...] = ()
        self._objects = IpcObjects(())
        self._hard: Volume | None = None
        self._closed = False
        self._released = self._beat_at = self._awake_at = float("inf")
        self._beat_every = min(5.0, box.mute_after / 4)
        #: When the grace, the init's patience or the pause between two rescues is over.
        self._patience_at = float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What `Prepared` does before anybody else has it

    def amend(self, box: Box) -> None:
        """Takes another description of what is run; the limits stay as they are."""
        self._box = box

    def listen(self) -> None:
        """Takes what the building has told so far, so that nothing of it has to be done when the box is let go."""
        self._channels.drain()
        self._hear(time.monotonic())
        self._builder.is_gone()

    def not_built(self) -> SetupFailure | None:
        """Returns the step of the building that failed, if it was told."""
        self.listen()
        return self._evidence.setup

    def begin(self) -> None:
        """Lets the builder go."""
        self._channels.say(gate.GO)  # first of all: it goes on while we get ready
        now = self._released = time.monotonic()
        self._beat_at = now + self._beat_every
        self._awake_at = now + _AWAKE_EVERY

    def abandon(self) -> None:
        """Ends what waits for the word to go, and gives everything back.

        Raises:
            TimeoutError: the builder could not be ended; its scratch and its control group stay.
            OSError: something in the scratch, or the control group, could not be removed.
        """
        self._closed = True
        self._channels.hang_up()  # each of them finds its gate shut, and ends
        empty = False
        try:
            self._builder.await_surrender(self._evidence.init)
            empty = True
        finally:
            self._give_back(empty=empty)

    # What the caller reads

    @property
    def token(self) -> str:
        """The box's token, which its processes carry in their environment."""
        return self._scratch.token

    @property
    def scratch(self) -> str:
        """Path of the box's folder."""
        return self._scratch.path

    @property
    def places(self) -> Places:
        """Where things were for the script, for texts that name them."""
        return places_of(self._box, self._scratch)

    @property
    def guards(self) -> Mapping[str, str]:
        """What holds the box, and how."""
        return self._guards

    @property
    def builder(self) -> Identity:
        """Names the builder."""
        return self._builder.identity

    @property
    def out_fd(self) -> int:
        """Descriptor of the output folder, opened before the script was started."""
        return self._scratch.out_fd

    @property
    def handoff_fd(self) -> int:
        """Descriptor of the handoff folder, opened before the script was started."""
        return self._scratch.handoff_fd

    @property
    def logs(self) -> Logs:
        """What the script said so far; stays readable after `close`."""
        return self._channels.logs

    @property
    def phase(self) -> Phase:
        """Where the run is."""
        return self._phase

    @property
    def reason(self) -> KillReason | None:
        """Why the run is being ended, None if nobody wants that."""
        return self._reason

    @property
    def stale(self) -> str:
        """Why the box could not be built this time and can be the next: the host has mounted something; else ""."""
        setup = self._evidence.setup
        return setup.detail if setup and setup.stage == STALE else ""

    @property
    def ended(self) -> bool:
        """Whether the tree is proven empty."""
        return self._phase is Phase.ENDED

    @property
    def manifest(self) -> Manifest | None:
        """What `copyout.copy` is to copy; None before `outcome`, and when there is nothing to take."""
        return self._manifest

    def tree(self) -> Identity | None:
        """Names the init, None before the script was started."""
        return self._evidence.init

    def facts(self) -> dict[str, object]:
        """Returns the raw facts as plain JSON, for records: who, when, why and how."""
        evidence = self._evidence
        return {
            "token": self.token,
            "builder": self.builder,
            "init": evidence.init,
            "script": None if evidence.inside is not None else evidence.script,
            "phase": self._phase.name.lower(),
            "reason": None if self._reason is None else str(self._reason),
            "signalled": evidence.signalled,
            "status": evidence.status,
            "landed": evidence.landed,
            "leftovers_killed": evidence.leftovers,
            "log_bytes": self.logs.total,
            "cgroup": self._counted.to_json() if self._group.guards() else None,
            "cgroup_problem": self._group_problem,
        }

    def progress(self) -> tuple[float, float, int, int]:
        """Returns wall and processor seconds, resident bytes and processes, as last sampled."""
        reading = self._meter.reading if self._meter else None
        wall = self._evidence.wall if self._evidence.wall is not None else time.monotonic() - self._began
        cpu = self._meter.cpu if self._meter else 0.0
        return wall, cpu, reading.rss if reading else 0, reading.processes if reading else 0

    # What the caller's loop needs

    def fileno(self) -> int:
        """Returns a descriptor that is readable when `pump` has something to take."""
        return self._channels.fileno()

    def deadline(self) -> float | None:
        """Returns the monotonic second of the next timer, None once the run has ended."""
        if self.ended:
            return None
        times = [self._beat_at, self._awake_at, self._patience_at]
        if self._meter and self._phase in {Phase.RUNNING, Phase.ASKED}:
            times.append(self._meter.deadline())
        if self._channels.reports.closed and self._phase is not Phase.RESCUE and not self._channels.watches:
            times.append(time.monotonic() + _LOOK)
        return min(times)

    def wait(self, most: float = math.inf) -> None:
        """Waits until `pump` has something to do, at most so many seconds; at once when the run has ended."""
        deadline = self.deadline()
        if deadline is not None:
            self._channels.wait(max(0.0, min(deadline - time.monotonic(), most)))

    def pump(self, now: float) -> None:
        """Turns the machine once; never blocks.

        Args:
            now: monotonic seconds.
        """
        if self.ended:
            return
        self._channels.drain()
        self._hear(now)
        self._measure(now)
        self._escalate(now)
        if self._phase is Phase.KILLING and self._evidence.signalled:
            # Not before the init has told that it signals: it would take ours for somebody else's. Not the init itself:
            # it has the status and the sums to report.
            self._group_is_empty(kill=True, whole=False)
        if now >= self._beat_at:
            self.beat()
        if now >= self._awake_at:
            self._awake_at = now + _AWAKE_EVERY
            self._keep_awake()
        self._look_for_end(now)

    def beat(self) -> None:
        """Tells the init that the shepherd is alive; `pump` does so often enough by itself."""
        self._beat_at = time.monotonic() + self._beat_every
        self._channels.say(init.ALIVE)

    # What the caller may want

    def stop(self, reason: KillReason) -> None:
        """Ends the run: records the reason, asks the script to end, and after the grace kills the whole tree.

        The first reason stays; memory and output limits leave no grace.

        Args:
            reason: why.
        """
        if self.ended or self._reason is not None:
            return
        self._reason = reason
        now = time.monotonic()
        self._mark(str(reason), now)
        if self._phase is not Phase.RUNNING:  # the script's own end came first
            self.hurry()
            return
        self._keep_awake()
        if reason in _AT_ONCE or self._box.limits.grace <= 0:
            self._kill(now)
            return
        self._phase = Phase.ASKED  # RUNNING -> ASKED
        self._patience_at = now + self._box.limits.grace
        self._channels.say(init.TERM)
        self._mark("term", now)

    def hurry(self) -> None:
        """Skips what is left of the grace, and of the moment in which leftovers may end by themselves."""
        if self._phase is Phase.ASKED:
            self._kill(time.monotonic())
        elif self._phase is Phase.LEAVING:
            self._channels.say(init.KILL)

    def outcome(self) -> Outcome:
        """Reads what the run left, judges it and returns the outcome; later calls return the same.

        Reads the scratch, and looks up returned folders below `allowed_roots`: call it where that may wait.

        Raises:
            RuntimeError: the tree is not proven empty yet.
        """
        if not self.ended:
            raise RuntimeError("the outcome of a box is known when it has ended; pump it until then")
        if self._outcome is None:
            reason = self._reason
            if reason is None and self._evidence.mute:
                reason = KillReason.lost_lock  # we were silent for as long as somebody without a lock is
            ending = Ending(
                evidence=self._evidence,
                reason=reason,
                breach=self._breach,
                rescued=self._rescue is not None and self._rescue.killed > 0,
                logs=self.logs,
                meter=self._meter,
                wall=time.monotonic() - self._began,
                guards=self._guards,
                cgroup=self._counted,
                marks=tuple(self._marks),
            )
            self._outcome, self._manifest = conclude(self._box, self._scratch, ending)
        return self._outcome

    def close(self) -> None:
        """Gives everything back: ends the run if it still runs, closes all descriptors, removes the scratch.

        Raises:
            TimeoutError: a process of the run could not be ended; its scratch and its control group stay.
            OSError: something in the scratch, or the control group, could not be removed.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._end_at_once()
            self._builder.await_end()
        finally:
            self._give_back(empty=self.ended)

    def _give_back(self, *, empty: bool) -> None:
        self._builder.dismiss()
        self._channels.close()
        if self._meter:
            self._meter.close()
        for view in (*self._volumes, self._objects, *([self._hard] if self._hard else ())):
            view.close()
        if empty:
            try:
                self._group.remove()
            finally:
                self._scratch.remove()
        else:
            self._scratch.close()

    # The turns of the machine

    @property
    def _began(self) -> float:
        return self._released if self._evidence.began is None else self._evidence.began

    def _hear(self, now: float) -> None:
        for record in self._channels.hear():
            self._evidence.note(record)
        evidence = self._evidence
        if evidence.init and not self._taken:
            self._taken = True
            self._take(self._channels.given())
        if self._meter is None and evidence.init and evidence.began is not None:
            self._meter = Meter(
                self._box.limits,
                TreeSampler(evidence.init.pid),
                FolderWatch(self._scratch.ground_fd, ("out", *PRIVATE), first_at=evidence.began + EVERY),
                began=evidence.began,
                every=self._box.sample_every,
                group=self._group,
                volumes=self._volumes,
                objects=self._objects,
                hard=self._hard,
            )
        if evidence.status is not None and self._phase in {Phase.RUNNING, Phase.ASKED}:
            self._phase = Phase.LEAVING  # RUNNING, ASKED -> LEAVING
            self._patience_at = now + init.SETTLE + PATIENCE

    def _take(self, given: Views) -> None:
        """Takes what shows the box's own file systems and objects."""
        self._volumes = tuple(Volume(fd) for fd in given.volumes)
        self._objects = IpcObjects(given.objects)
        if given.hard:
            self._hard = Volume(os.dup(given.hard[0]))
            self._scratch.move_to(*given.hard)

    def _name_script(self) -> None:
        """Learns by which pid the host knows the script; one that is gone already keeps its start time alone.

        Not before the first sample: a process that is about to start its program is slow to look at, and a look slows
        it down.
        """
        evidence = self._evidence
        if evidence.inside is not None and evidence.init and evidence.script:
            evidence.script = proctree.inside(evidence.init.pid, evidence.inside) or Identity(0, evidence.script.start)
            evidence.inside = None

    def _measure(self, now: float) -> None:
        if self._meter and now >= self._meter.began + FIRST:
            self._name_script()
        if self._meter is None or self._phase not in {Phase.RUNNING, Phase.ASKED}:
            return
        breach = self._meter.turn(now)
        if breach is None and self.logs.total > FLOOD_FACTOR * self._box.limits.log:
            breach = Breach(reason=KillReason.log_limit, measured=self.logs.total)
        if breach and self._reason is None:
            self._breach = breach
            self.stop(breach.reason)
        elif breach and breach.reason in _AT_ONCE:
            self.hurry()

    def _escalate(self, now: float) -> None:
        if now < self._patience_at:
            return
        if self._phase is Phase.ASKED:
            self._kill(now)
        elif self._phase in {Phase.KILLING, Phase.LEAVING}:
            self._start_rescue(now)

    def _kill(self, now: float) -> None:
        self._phase = Phase.KILLING  # RUNNING, ASKED -> KILLING
        self._patience_at = now + PATIENCE
        self._keep_awake()
        if not self._channels.say(init.KILL):
            self._patience_at = now
        self._mark("kill", now)

    def _mark(self, what: str, now: float) -> None:
        self._marks.append(Mark(t=max(0.0, now - self._began), what=what))

    def _start_rescue(self, now: float) -> None:
        self._phase = Phase.RESCUE  # KILLING, LEAVING, RUNNING, ASKED -> RESCUE
        self._rescue = Rescue(self.builder, self._evidence.init)
        self._patience_at = now

    def _keep_awake(self) -> None:
        keep_awake(self.builder)
        keep_awake(self._evidence.init)

    def _look_for_end(self, now: float) -> None:
        if self._told_empty():
            self._end()
            return
        gone = self._builder.is_gone()
        if self._phase is Phase.RESCUE:
            self._go_on_rescuing(now, gone=gone)
        elif gone and self._channels.reports.closed:
            # Both ends of our own chain are gone. A builder that ended by itself has waited for the init.
            proven = self._evidence.empty or (self._evidence.setup is not None and self._evidence.script is None)
            if proven and self._builder.ended_by_itself and self._group_is_empty():
                self._end()
            else:
                self._start_rescue(now)
        elif gone and self._patience_at > now + PATIENCE:
            # The init saw that and ends the tree; if the script has stopped it, it cannot.
            self._patience_at = now + PATIENCE
            if self._phase in {Phase.RUNNING, Phase.ASKED}:
                self._phase = Phase.KILLING  # RUNNING, ASKED -> KILLING
                self._keep_awake()

    def _told_empty(self) -> bool:
        """Whether the init of a walled box has found its tree empty; init and builder still have to end themselves.

        They hold nothing of the run by then, and their end takes as long again as their start; `close` waits for it.
        """
        evidence = self._evidence
        if not self._walled or not evidence.empty or evidence.status is None or self._phase is Phase.RESCUE:
            return False
        return self._group_is_empty(whole=False)

    def _go_on_rescuing(self, now: float, *, gone: bool) -> None:
        if self._rescue is None or now < self._patience_at:
            return
        began = time.monotonic()
        empty = self._rescue.turn()
        empty = self._group_is_empty(kill=True) and empty
        # On a host with very many processes a look is dear.
        self._patience_at = now + max(_RESCUE_EVERY, time.monotonic() - began)
        self._hear(now)
        if empty and gone:
            self._end()

    def _group_is_empty(self, *, kill: bool = False, whole: bool = True) -> bool:
        """Whether nobody stands in the control group, or in the script's leaf; if somebody does, kills on demand."""
        try:
            empty = self._group.is_empty() if whole else self._group.script_is_empty()
            if kill and not empty:
                self._group.kill() if whole else self._group.kill_script()
        except OSError as error:
            # The group's files are out of reach: the proof that init or rescue has made stands alone.
            self._group_problem = str(error)
            return True
        return empty

    def _end(self) -> None:
        self._phase = Phase.ENDED  # any -> ENDED
        self._channels.drain_rest()
        if self._evidence.inside is not None and self._evidence.script:  # gone before anybody looked
            self._evidence.script, self._evidence.inside = Identity(0, self._evidence.script.start), None
        self._counted = self._group.facts()
        if self._builder.is_gone():
            self._builder.dismiss()

    def _end_at_once(self) -> None:
        self.stop(KillReason.cancelled)
        deadline = time.monotonic() + CLOSING
        while not self.ended:
            self.hurry()
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes of box {self.token} still live {CLOSING:g} s after SIGKILL")
            self.wait(0.1)
            self.pump(time.monotonic())
