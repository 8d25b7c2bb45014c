"""The shepherd: one small trusted process per run; holds the RB lock, drives the box, commits and promotes (DESIGN §3).

It is forked from the nursery and is single-threaded until its builder is forked. Then one store thread makes every
store and archive call, and this main thread, which touches neither, drains the box's pipes and keeps limits and timers.
There is no control channel: SIGTERM means "end the box and let the job run again", SIGUSR1 "look for a cancel now".
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, NoReturn

from sandbox.box import Box, BoxError, Prepared, prepare
from sandbox.limits import Limits
from sandbox.linux import fork, prctl, proctree
from sandbox.verdict import KillReason
from supervisor import failpoints, storecall
from supervisor.boxarguments import box_arguments
from supervisor.failpoints import effect
from supervisor.rblock import RbLock, read_counter_at
from supervisor.records import Identity
from supervisor.runplan import RunPlan, unpack_script
from supervisor.storehand import BoxIdentity, StoreHand
from supervisor.storehealth import HANGING_BEATS
from supervisor.storenotes import StoreNote

if TYPE_CHECKING:
    from sandbox.running import Running
    from sandbox.verdict import SetupFailure
    from supervisor.ondisk import Found

#: Longest wait of the main loop, seconds: the init is told that we live at least this often.
_TURN = 1.0
#: Exit status after a defect (sysexits.h, EX_SOFTWARE).
_DEFECT = 70


class Shepherd:
    """Drives one errand."""

    def __init__(self, plan: RunPlan, lock_fd: int, run_dir: str) -> None:
        """Take over the locked descriptor `lock_fd` for `plan`; notes for `status` go into `run_dir`."""
        self._plan = plan
        self._run_dir = run_dir
        counter = read_counter_at(lock_fd)
        self._lock = RbLock(lock_fd, counter.epoch, counter.beat)
        self._prepared: Prepared | None = None
        self._running: Running | None = None
        self._told_ended = False
        self._lost = False
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._signals: list[int] = []
        self._poll = select.poll()

    def run(self) -> int:
        """Do the errand and return the exit status of this process."""
        self._watch_signals()
        prctl.adopt_orphans()
        me = identity_of(os.getpid())
        limits = Limits.from_json(self._plan.box["limits"]) if self._plan.box else Limits()
        box, failure = self._prepare() if self._plan.errand == "run" else (None, None)
        note = StoreNote(self._run_dir, me, self._plan.job)
        hand = StoreHand(self._plan, self._lock, me, limits, box, failure, note)
        hand.start()
        status = self._loop(hand, note)
        self._lock.close()  # the next run of the RB need not wait for our scratch to be removed
        if self._running is not None:
            self._running.close()
        return status

    def _watch_signals(self) -> None:
        """Have signals wake the poll; the handlers do nothing but set a flag (style: gunicorn)."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda got, _frame: self._signals.append(got))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        fork.unblock_signals()  # the nursery forked us with every signal blocked: from here on each has its handler

    def _prepare(self) -> tuple[BoxIdentity | None, SetupFailure | None]:
        fields = box_arguments(self._plan.box)
        fields["script"] = unpack_script(fields["script"])
        fields["limits"] = Limits.from_json(fields["limits"])
        try:
            with effect("box.prepare"):
                self._prepared = prepare(Box(**fields))
        except BoxError as error:
            return None, error.failure
        builder = self._prepared.builder
        identity = Identity(pid=builder.pid, start=builder.start, boot=proctree.boot_id())
        return BoxIdentity(builder=identity, token=self._prepared.token, scratch=self._prepared.scratch), None

    def _loop(self, hand: StoreHand, note: StoreNote) -> int:
        status = 0
        done = False
        self._poll.register(self._wake_r, select.POLLIN)
        self._poll.register(hand.wake_r, select.POLLIN)
        if self._prepared is not None:
            self._poll.register(self._prepared.fileno(), select.POLLIN)
        while not done:
            self._poll.poll(int(self._wait() * 1000) + 1)
            _empty(self._wake_r)
            _empty(hand.wake_r)
            self._take_signals(hand)
            while not hand.words.empty():
                word, fact = hand.words.get()
                if word == "go":
                    self._go(fact, hand)
                elif word == "abandon":
                    self._abandon()
                elif word == "stop":
                    self._stop(fact)
                elif word == "defect":
                    traceback.print_exception(fact, file=sys.stderr)
                    self._stop(KillReason.lost_lock)
                elif word == "done":
                    status, done = int(fact), True
            self._tend(hand)
            call, seconds = storecall.under_way(hand.ident or 0)
            if call and seconds >= HANGING_BEATS * self._plan.beat:
                note.hangs(call, seconds)  # the hand itself cannot: it is in that call
        self._end_box()
        return status

    def _wait(self) -> float:
        if self._running is None or self._told_ended:
            return _TURN
        deadline = self._running.deadline()
        return _TURN if deadline is None else min(_TURN, max(0.0, deadline - time.monotonic()))

    def _take_signals(self, hand: StoreHand) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGUSR1:
                hand.look_for_cancel()
            elif self._running is not None:
                self._stop(KillReason.shutdown)
            else:
                hand.shut_down()

    def _go(self, found: Found, hand: StoreHand) -> None:
        """Let the box go, with what was found on disk for it."""
        assert self._prepared is not None
        if found:
            profile = found.profile
            try:
                with effect("box.give"):
                    self._prepared.give(
                        script=found.script,
                        interpreter=profile.argv if profile else None,
                        env=profile.env if profile else None,
                        defaults=found.defaults,
                        closure=found.closure,
                    )
            except BoxError as error:
                self._abandon()
                hand.unbuilt(error.failure)
                return
        with effect("box.start"):
            self._running = self._prepared.release()

    def _abandon(self) -> None:
        if self._running is not None:
            self._stop(KillReason.lost_lock)
        elif self._prepared is not None:
            with contextlib.suppress(KeyError):  # the loop is over already, or never began
                self._poll.unregister(self._prepared.fileno())
            self._prepared.abandon()
            self._prepared = None

    def _stop(self, reason: KillReason) -> None:
        if self._running is not None and not self._running.ended:
            with effect(f"box.stop {reason}"):
                self._running.stop(reason)
        elif self._running is None:
            self._abandon()

    def _tend(self, hand: StoreHand) -> None:
        running = self._running
        if running is None and self._prepared is not None:
            self._prepared.listen()
        if running is None or self._told_ended:
            return
        now = time.monotonic()
        if not running.ended:
            running.beat()
            running.pump(now)
            hand.progress = running.progress()
            if now - hand.last_beat >= self._plan.self_kill_after and not self._lost:
                # No completed beat through the locked descriptor: another host may hold the RB soon (DESIGN §3).
                self._lost = True
                self._stop(KillReason.lost_lock)
        if running.ended:
            self._poll.unregister(running.fileno())
            self._told_ended = True
            hand.ended(running)

    def _end_box(self) -> None:
        """See the box ended before the lock is let go, whatever brought us here."""
        running = self._running
        if running is None:
            self._abandon()
            return
        if not running.ended:
            running.stop(KillReason.lost_lock)
            running.hurry()
        while not running.ended:
            running.pump(time.monotonic())
            running.wait(0.1)


def identity_of(pid: int) -> Identity:
    """Return what tells the process `pid` of this host from any later one of that number."""
    who = proctree.identity(pid)
    if who is None:
        raise ProcessLookupError(f"process {pid} is gone")
    return Identity(pid=who.pid, start=who.start, boot=proctree.boot_id())


def _empty(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            continue


def main(plan: RunPlan, lock_fd: int, run_dir: str) -> NoReturn:
    """Be the shepherd of `plan` and end: the lock is free when this process is gone.

    Ends by `os._exit`: the store thread may hang in D, and a join would hang with it.
    """
    failpoints.enter_process("shepherd")
    status = _DEFECT
    try:
        status = Shepherd(plan, lock_fd, run_dir).run()
    except BaseException:  # noqa: BLE001  # a defect is told and ends the process; restart is the tested recovery
        traceback.print_exc(file=sys.stderr)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)
