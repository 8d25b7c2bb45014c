"""A box: one script run as a limited, measured and explained tree of processes.

Theory of operation. Four processes, each forked by the one before it:

    shepherd   the caller: makes the scratch, holds the limits, drains the pipes, judges; has one thread until `prepare`
               has returned
    builder    makes the box, forks the init, waits for the word to go and then for the init; its death signal follows
               the shepherd
    init       ours; adopts every orphan of the tree and so can prove it empty; reports raw wait status and usage;
               its death signal follows the builder
    script     the user's interpreter running `harness.py`; everything it starts is below the init

Two pipes of our own: the *life pipe* (shepherd to init: go, alive, ask, kill; its end means that the shepherd is gone)
and the *report pipe* (builder and init to shepherd: the step that failed, the raw status, the proof of emptiness). The
script has neither; it has stdin empty, stdout and stderr as pipes that the shepherd drains, and two handoff files. What
stands in those is a claim; the verdict comes from the reports.

`start` lets a box go and returns a `Running` that a loop turns; `run` is that loop. `prepare` stops just before: its
builder can be recorded somewhere before anything of the script exists.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from sandbox import blueprint, builder, enclosure, levels
from sandbox.cgroups import Groups
from sandbox.channels import Channels
from sandbox.ending import not_built
from sandbox.limits import Limits
from sandbox.linux import proctree
from sandbox.linux.proctree import Identity
from sandbox.rescue import adopt, enrol
from sandbox.running import Running
from sandbox.scratch import Scratch
from sandbox.verdict import KillReason, SetupFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.cgroup import Group
    from sandbox.closure import Closure
    from sandbox.handoff import Mode
    from sandbox.levels import Level
    from sandbox.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What is to be run, and within what."""

    #: Program and first arguments of the interpreter; a name without "/" is looked up in the box's PATH.
    interpreter: tuple[str, ...]
    #: The script's text, byte for byte.
    script: bytes
    #: An existing folder; the box makes its own in it.
    spool: str
    script_name: str = "reduce.py"
    #: "module": `main` of the script is called; "program": it runs as `__main__`.
    mode: Mode = "module"
    input_files: tuple[str, ...] = ()
    #: Whether the script is given its output folder with a slash at the end.
    output_slash: bool = False
    #: {"standard_vars": {...}, "advanced_vars": {...}}
    reduce_vars: Mapping[str, Any] = field(default_factory=dict)
    #: Facts of the run for the harness, such as `run_number`.
    facts: Mapping[str, object] = field(default_factory=dict)
    #: Variables on top of the clean environment.
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    #: What the limits are set for, named in sentences.
    subject: str = ""
    #: Text of the instrument's own reduce_vars.py, whose values stay underneath the message's.
    defaults: bytes | None = None
    batch: bool = False
    skip_anywhere: bool = False
    #: Further arguments of a script in program mode.
    script_args: tuple[str, ...] = ()
    #: Folders that the script returns must lie below one of these.
    allowed_roots: tuple[str, ...] = ()
    #: Seconds after which the init ends the tree when the shepherd says nothing.
    mute_after: float = 60.0
    #: Seconds between two samples, at least.
    sample_every: float = 0.2
    #: "auto": a control group holds memory and processes where this process may make one; "off": the sampler does.
    cgroup: Literal["auto", "off"] = "auto"
    #: What the box is built to hold, or not at all (`sandbox.levels`).
    level: Level = "none"
    #: Whether the script has the host's network; at level "none" it always has.
    network: bool = False
    #: Further files and folders that the script may read; at level "none" nothing keeps it from any.
    readable: tuple[str, ...] = ()
    #: Folders of the host that the script must not see even in what is shown.
    hidden: tuple[str, ...] = ()
    #: What the interpreter needs beyond the distribution's folders.
    closure: Closure | None = None
    #: Guards that are left out, to see what they are for; only tests do that.
    without: frozenset[str] = frozenset()


class BoxError(Exception):
    """A box could not be prepared; nothing of it is left."""

    def __init__(self, failure: SetupFailure) -> None:
        super().__init__(f"box could not be prepared at {failure.stage}: {failure.detail}")
        #: The step and its errno.
        self.failure = failure


class Prepared:
    """A box whose builder waits; let it go with `release`, or give it up with `abandon`."""

    def __init__(
        self,
        *,
        box: Box,
        scratch: Scratch,
        channels: Channels,
        running: Running,
    ) -> None:
        """Takes over what `prepare` made."""
        self._box = box
        self._scratch = scratch
        self._channels = channels
        self._running = running
        #: Pid and start time of the builder.
        self.builder = running.builder

    @property
    def token(self) -> str:
        """What the processes of the box will carry as AUTOREDUCE_BOX."""
        return self._scratch.token

    @property
    def guards(self) -> Mapping[str, str]:
        """What will hold the box, and how."""
        return self._running.guards

    @property
    def scratch(self) -> str:
        """Path of the box's folder."""
        return self._scratch.path

    def give(
        self,
        *,
        script: bytes | None = None,
        interpreter: tuple[str, ...] | None = None,
        env: Mapping[str, str] | None = None,
        defaults: bytes | None = None,
        closure: Closure | None = None,
    ) -> None:
        """Gives a box whose builder waits what was found on a shared file system; what is None stays as it is.

        A box has a name before anything slow is touched: the read of a script may hang for ever.

        Args:
            script: its text.
            interpreter: program and first arguments.
            env: variables on top of the clean environment.
            defaults: text of the instrument's own reduce_vars.py.
            closure: what the interpreter needs beyond the distribution's folders.

        Raises:
            BoxError: a step failed, here or in the building; what still waits is to be given up.
        """
        now = self._box
        box = replace(
            now,
            script=now.script if script is None else script,
            interpreter=now.interpreter if interpreter is None else interpreter,
            env=now.env if env is None else env,
            defaults=now.defaults if defaults is None else defaults,
            closure=now.closure if closure is None else closure,
        )
        step = _Step("script")
        try:
            blueprint.write_script(self._scratch, box)
            step.name = "handoff"
            blueprint.write_order(self._scratch, box)
            step.name = "plan"
            self._channels.tell(blueprint.amendment_of(box, self._scratch))
        except (OSError, ValueError, TypeError) as error:
            told = self._running.not_built()
            raise (BoxError(told) if told else _failed(step, error)) from error
        self._box = box
        self._running.amend(box)

    def fileno(self) -> int:
        """Returns a descriptor that is readable when `listen` has something to take; later the one of the running."""
        return self._running.fileno()

    def listen(self) -> None:
        """Takes what the building has told so far; whoever does not call it has it taken after `release`."""
        self._running.listen()

    def release(self) -> Running:
        """Lets the builder go; a builder that is gone shows as a set-up failure of the run."""
        self._running.begin()
        return self._running

    def abandon(self) -> None:
        """Ends the builder and all that waits below it, and removes the scratch; nothing of the script has run.

        Raises:
            TimeoutError: the builder could not be ended; its scratch and its control group stay.
            OSError: the scratch or the control group could not be removed.
        """
        self._running.abandon()


def prepare(box: Box) -> Prepared:
    """Makes the scratch and forks the builder, which makes the box as far as it can and waits.

    The caller has one thread; it is the adopter of orphans (PR_SET_CHILD_SUBREAPER) as long as it has a box.

    Args:
        box: what is to be run.

    Raises:
        BoxError: a step failed; nothing is left.
    """
    step = _Step("scratch")
    try:
        with contextlib.ExitStack() as made:
            scratch = Scratch.make(box.spool)
            made.callback(scratch.remove)
            step.name = "script"
            blueprint.write_script(scratch, box)
            step.name = "handoff"
            blueprint.write_order(scratch, box)
            step.name = "cgroup"
            group = _group(box, scratch.token)
            made.callback(group.remove)
            step.name = "plan"
            plan = blueprint.plan_of(box, scratch, group)
            step.name = "pipes"
            channels = Channels(box.limits.log, handover=plan.enclosure is not None)
            made.callback(channels.close)
            step.name = "fork"
            adopt()
            inner = channels.inner
            wires = replace(inner, init_leaf=group.doorways("init"), script_leaf=group.doorways("script"))
            pid = builder.build(plan, wires)
            group.close_doorways()
            channels.hand_over()
            identity = proctree.identity(pid) or Identity(pid, 0)
            enrol(identity)
            made.pop_all()
    except (OSError, ValueError, TypeError) as error:
        raise _failed(step, error) from error
    running = Running(
        box=box,
        scratch=scratch,
        channels=channels,
        group=group,
        builder=identity,
        guards=blueprint.guards_of(box.level, plan, group),
    )
    return Prepared(box=box, scratch=scratch, channels=channels, running=running)


def _group(box: Box, token: str) -> Group:
    if box.cgroup not in {"auto", "off"}:
        raise ValueError(f"cgroup {box.cgroup!r} is neither 'auto' nor 'off'")
    groups = Groups.find() if box.cgroup == "auto" else Groups(None, "switched off")
    group = groups.make(token, box.limits)
    try:
        _hold_to_level(box, groups.reason, group)
    except ValueError:
        group.remove()
        raise
    return group


def _hold_to_level(box: Box, reason: str, group: Group) -> None:
    """Refuses a box of level `hostile` that would lack a guard; what else a level needs is built or fails."""
    if box.level != "hostile":
        return
    held = group.guards()
    lacking = sorted(levels.BY_GROUP - held.keys())
    if lacking:
        raise ValueError(
            f"level hostile needs a control group that holds {', '.join(lacking)}: {reason or 'this one does not'}; "
            "serve under a unit with Delegate=yes, or ask for level contained"
        )
    if not enclosure.has_landlock():
        raise ValueError("level hostile needs Landlock ABI 2; boot with lsm=landlock,... or ask for level contained")


@dataclass(slots=True)
class _Step:
    """The step of the preparation that is under way."""

    name: str


def _failed(step: _Step, error: Exception) -> BoxError:
    number = getattr(error, "errno", None) or 0
    return BoxError(SetupFailure(stage=step.name, errno=number, detail=str(error)))


def start(box: Box) -> Running:
    """Prepares a box and lets it go; see `prepare`."""
    return prepare(box).release()


def run(
    box: Box,
    *,
    on_tick: Callable[[Running], object] | None = None,
    collect: Callable[[Running, Outcome], Outcome] | None = None,
) -> Outcome:
    """Runs a box to its end.

    Ctrl-C, SIGTERM and SIGHUP cancel the run; a second one skips the grace.

    Args:
        box: what is to be run.
        on_tick: called at each turn, at least about as often as samples are taken, for a live display.
        collect: called when the run has ended and before its scratch is removed, to take the results out; its outcome
            is the one that is returned.

    Returns:
        The outcome; a box that could not be prepared has one too.
    """
    try:
        prepared = prepare(box)
    except BoxError as error:
        return not_built(error.failure, box.limits)
    with _signals_noted() as noted, prepared.release() as running:
        served = 0
        while not running.ended:
            running.pump(time.monotonic())
            if len(noted) > served:
                served = len(noted)
                if running.reason is None:
                    running.stop(KillReason.cancelled)
                else:
                    running.hurry()
            if on_tick:
                on_tick(running)
            running.wait()
        outcome = running.outcome()
        return collect(running, outcome) if collect else outcome


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Notes the signals that ask a command to end instead of dying of them; only the main thread can (signal(7))."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {
        number: signal.signal(number, lambda number, _: noted.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
