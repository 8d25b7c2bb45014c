"""A box: one script run as a limited, measured and explained tree of processes.

Theory of operation. Four processes, each forked by the one before it:

    shepherd   the caller: makes the scratch, holds the limits, drains the pipes, judges; has one thread until `prepare`
               has returned
    builder    waits for the word to go, forks the init and waits for it; its death signal follows the shepherd
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
import hashlib
import os
import select
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox import builder, handoff, init
from sandbox.channels import Channels
from sandbox.ending import not_built
from sandbox.environment import environment
from sandbox.handoff import HandoffIn, Mode
from sandbox.init import Plan
from sandbox.limits import Limits
from sandbox.linux import proctree, rlimits
from sandbox.linux.proctree import Identity
from sandbox.rescue import adopt, dismiss, enrol
from sandbox.running import Running
from sandbox.scratch import Scratch
from sandbox.verdict import KillReason, SetupFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.outcome import Outcome

_HARNESS: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness.py")
#: RLIMIT_CPU stands behind the sampler, which knows the whole tree: it lets this many seconds more pass.
_CPU_BACKSTOP: Final = 3


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
    default_vars: str | None = None
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


class BoxError(Exception):
    """A box could not be prepared; nothing of it is left."""

    def __init__(self, failure: SetupFailure) -> None:
        super().__init__(f"box could not be prepared at {failure.stage}: {failure.detail}")
        #: The step and its errno.
        self.failure = failure


class Prepared:
    """A box whose builder waits; let it go with `release`, or give it up with `abandon`."""

    def __init__(
        self, *, box: Box, scratch: Scratch, channels: Channels, builder_id: Identity, guards: Mapping[str, str]
    ) -> None:
        """Takes over what `prepare` made."""
        self._box = box
        self._scratch = scratch
        self._channels = channels
        self._guards = guards
        #: Pid and start time of the builder.
        self.builder = builder_id

    @property
    def token(self) -> str:
        """What the processes of the box will carry as AUTOREDUCE_BOX."""
        return self._scratch.token

    @property
    def scratch(self) -> str:
        """Path of the box's folder."""
        return self._scratch.path

    def release(self) -> Running:
        """Lets the builder go; a builder that is gone shows as a set-up failure of the run."""
        self._channels.say(init.GO)
        return Running(
            box=self._box,
            scratch=self._scratch,
            channels=self._channels,
            builder=self.builder,
            guards=self._guards,
        )

    def abandon(self) -> None:
        """Ends the builder and removes the scratch; nothing of the script has existed.

        Raises:
            OSError: the scratch could not be removed.
        """
        # The builder is our child and not waited for, so its pid is still its own.
        os.kill(self.builder.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.builder.pid, 0)
        dismiss(self.builder)
        self._channels.close()
        self._scratch.remove()


def prepare(box: Box) -> Prepared:
    """Makes the scratch and forks the builder, which waits.

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
            _write_script(scratch, box)
            step.name = "handoff"
            handoff.write(scratch.handoff_fd, _order(box, scratch))
            step.name = "plan"
            plan = _plan(box, scratch)
            step.name = "pipes"
            channels = Channels(box.limits.log)
            made.callback(channels.close)
            step.name = "fork"
            adopt()
            pid = builder.build(plan, channels.inner)
            channels.hand_over()
            identity = proctree.identity(pid) or Identity(pid, 0)
            enrol(identity)
            made.pop_all()
    except (OSError, ValueError, TypeError) as error:
        number = getattr(error, "errno", None) or 0
        raise BoxError(SetupFailure(stage=step.name, errno=number, detail=str(error))) from error
    return Prepared(box=box, scratch=scratch, channels=channels, builder_id=identity, guards=_guards(plan))


@dataclass(slots=True)
class _Step:
    """The step of the preparation that is under way."""

    name: str


def _write_script(scratch: Scratch, box: Box) -> None:
    if os.path.basename(box.script_name) != box.script_name or box.script_name in {"", ".", ".."}:
        raise ValueError(f"script name {box.script_name!r} is no plain file name")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(f"script/{box.script_name}", flags, 0o600, dir_fd=scratch.root_fd), "wb") as file:
        file.write(box.script)


def _order(box: Box, scratch: Scratch) -> HandoffIn:
    return HandoffIn(
        input_files=box.input_files,
        output_dir=scratch.folder("out") + ("/" if box.output_slash else ""),
        script=os.path.join(scratch.folder("script"), box.script_name),
        script_sha256=hashlib.sha256(box.script).hexdigest(),
        mode=box.mode,
        reduce_vars=box.reduce_vars,
        facts=box.facts,
        batch=box.batch,
        default_vars=box.default_vars,
        skip_anywhere=box.skip_anywhere,
        script_args=box.script_args,
    )


def _plan(box: Box, scratch: Scratch) -> Plan:
    if not box.interpreter:
        raise ValueError("the interpreter is empty; name a program")
    processors = _processors(box.limits.cpus, scratch.token)
    env = environment(
        token=scratch.token,
        home=scratch.folder("home"),
        tmp=scratch.folder("tmp"),
        interpreter=box.interpreter[0],
        threads=len(processors) or len(os.sched_getaffinity(0)),
        extra=box.env,
    )
    program = box.interpreter[0]
    if "/" not in program:
        program = shutil.which(program, path=env["PATH"]) or program
    return Plan(
        argv=(program, *box.interpreter[1:], _HARNESS, scratch.folder("handoff")),
        env=env,
        cwd=scratch.folder("out" if box.mode == "program" else "work"),
        rlimits=_rlimits(box.limits),
        processors=processors,
        mute_after=box.mute_after,
    )


def _rlimits(limits: Limits) -> dict[str, int]:
    values = {"core": 0}
    if limits.open_files is not None:
        values["nofile"] = limits.open_files
    sizes = [size for size in (limits.file_size, limits.output) if size is not None]
    if sizes:
        values["fsize"] = min(sizes)
    if limits.cpu is not None:
        values["cpu"] = int(limits.cpu) + 1 + _CPU_BACKSTOP
    if limits.processes is not None:
        # Counted for the user on the whole host (getrlimit(2)), so what runs already is added, and builder and init.
        values["nproc"] = limits.processes + rlimits.tasks_of_user(os.geteuid()) + 2
    return values


def _processors(cpus: float | None, token: str) -> tuple[int, ...]:
    """Chooses processors for a limited box; boxes beside each other begin at different ones."""
    if cpus is None:
        return ()
    usable = sorted(os.sched_getaffinity(0))
    count = min(len(usable), max(1, round(cpus)))
    first = int(token, 16) % len(usable)
    return tuple(sorted((usable + usable)[first : first + count]))


def _guards(plan: Plan) -> dict[str, str]:
    as_root = os.geteuid() == 0
    return {
        "level": "none",
        "memory": "sampler",
        "processes": "sampler" if as_root or "nproc" not in plan.rlimits else "rlimit",
        "output": "watched",
        "rlimits": ",".join(sorted(plan.rlimits)),
        "env": "clean",
        "fds": "closed",
        "no_new_privs": "on",
        "identity": "root" if as_root else "user",
    }


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
        poll = select.poll()
        poll.register(running.fileno(), select.POLLIN)
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
            wake_at = running.deadline()
            if wake_at is not None:
                # Rounded up: a poll that returns just before the timer would spin.
                poll.poll(max(0.0, wake_at - time.monotonic()) * 1000 + 1)
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
