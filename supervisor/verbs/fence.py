"""`fence`: an operator declares a dead host dead, so that its runs need not wait for the timer (DESIGN §5)."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration
from supervisor import fences, hosts, pulses, shown
from supervisor.exitcodes import INTERNAL, OK, USAGE
from supervisor.fences import Fence
from supervisor.operatorword import operator
from supervisor.remains import remains_of
from supervisor.verbs import opened
from supervisor.waitlist import Waitlist

if TYPE_CHECKING:
    import argparse

    from supervisor.verbs.opened import OpenStore

#: Beats for which a host is watched before it may be fenced.
_BEATS = 2
#: Rows of each list for people.
_ROWS = 20

EPILOG = """\
A host that is silent is taken over after lock.takeover_after by itself. fence is for what the timer may not do: it is
your word that nothing of that boot of the host will ever write to the store or to an archive again. Make sure of it:
power the machine off, or reset it; to cut it off from the network alone is not enough, since what it has under way may
be written when it is connected again. Without --confirm-dead this says what would be done, and does nothing.

The host is watched for two beats (lock.beat) first, and refused if it or a run of it gives a sign of life. The word
holds for one boot: a host that was rebooted serves as before. --lift takes it back, once other hosts have done all that
the boot left undone; a host that was fenced and not dead refuses to serve until then, or until it is rebooted.

Exit status: 0 the boot is fenced, was before, or (--lift) is not any more; 2 no such host, this very host, or
--confirm-dead is missing; 70 the host lives, something is left undone (--lift), or the store cannot be used.

Examples:
  autoreduce-supervisor fence --host ndw7
  autoreduce-supervisor fence --host ndw7 --confirm-dead
  autoreduce-supervisor fence --host ndw7 --lift
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--host", metavar="HOST", required=True, help="the id of the host in the store")
    word = parser.add_mutually_exclusive_group()
    word.add_argument("--confirm-dead", action="store_true", help="give your word that it is dead")
    word.add_argument("--lift", action="store_true", help="take the word back")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Fence, lift, or say what would be done."""
    return opened.carefully("fence", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args, write=args.confirm_dead or args.lift)
    if isinstance(store, int):
        return store
    known = hosts.all_hosts(store.layout)
    if args.host not in known:
        names = ", ".join(known) or "none"
        shown.complain(shown.line(f'no host "{args.host}" has ever served this store; those that have: {names}'))
        return USAGE
    word = _Word(store, args.host, args.json)
    if args.lift:
        return word.lift()
    return word.fence() if args.confirm_dead else word.explain()


class _Word:
    """What an operator says of one host."""

    def __init__(self, store: OpenStore, host: str, as_json: bool) -> None:
        self._store = store
        self._layout = store.layout
        self._host = host
        self._as_json = as_json
        now = time.time()
        self._waitlist = Waitlist(
            store.layout,
            why_not=lambda *_: "",
            max_attempts=store.settings.publish.max_attempts,
            now=now,
            served=store.is_served(now),
        )
        self._all = remains_of(self._waitlist, host)
        self._beat = hosts.readable_beat(store.layout, host)
        self._boot = self._boot_meant()
        self._left = self._all.of(self._boot)
        self._standing = fences.read_fence(store.layout, host, self._boot) if self._boot else None

    def _boot_meant(self) -> str:
        """The boot of the heartbeat; where that cannot be read, the one of which something is left undone, or ""."""
        if self._beat is not None:
            return self._beat.boot
        boots = self._all.boots
        return boots.pop() if len(boots) == 1 else ""

    # --- the three words ----------------------------------------------------------------------------------------

    def explain(self) -> int:
        """Say what a fence would do."""
        if self._standing is not None:
            return self._already(self._standing)
        why = self._why_not()
        if why:
            return self._refuse(why, USAGE)
        if self._as_json:
            self._say_json("not fenced")
            return USAGE
        watched = format_duration(self._watched)
        shown.say(
            *map(shown.line, [f"host {self._host}, boot {self._boot}: {self._heard()}"]),
            *self._lists(),
            "To fence it would",
            "  have its undecided runs revoked and run again by other hosts at once, under the locks of their RBs",
            "  have its takes removed, after what they left aside was put back",
            "  have other hosts send the replies of its decided runs at once",
            "Make sure first that nothing of this boot can write to the store or to an archive ever again: power the "
            "machine off, or reset it.",
            f"Then say it with --confirm-dead; the host is watched for {watched} first. If it may come back, wait: "
            f"it is taken over after {format_duration(self._store.settings.lock.takeover_after)} of silence by itself.",
        )
        self._complain_of_records()
        return USAGE

    def fence(self) -> int:
        """Watch the host, and fence it where it gives no sign of life."""
        if self._standing is not None:
            return self._already(self._standing)
        why = self._why_not()
        if why:
            return self._refuse(why, USAGE)
        if not self._as_json:
            shown.complain(f"watching host {shown.line(self._host)} for {format_duration(self._watched)} ...")
        moved = self._signs_of_life()
        if moved:
            return self._refuse(
                f'host "{self._host}" lives: {moved[0]} moved while it was watched; stop what runs there, or power it '
                "off, and say it again",
                INTERNAL,
            )
        fence = Fence(
            host=self._host,
            boot=self._boot,
            who=operator(os.environ, os.getuid()),
            time=time.time(),
            said_on=self._store.facts.host,
        )
        if not fences.link_fence(self._layout, fence):
            return self._already(fences.read_fence(self._layout, self._host, self._boot) or fence)
        self._standing = fence
        if self._as_json:
            self._say_json("fenced")
            return OK
        shown.say(shown.line(f"host {self._host} is fenced in boot {self._boot}, by {fence.who}"), *self._lists())
        shown.say(self._who_acts())
        self._complain_of_records()
        return OK

    def lift(self) -> int:
        """Take the word back, where nothing of the boot is left undone."""
        if self._standing is None:
            if self._as_json:
                self._say_json("not fenced")
            else:
                shown.say(shown.line(f'host "{self._host}" is not fenced in its boot {self._boot}; nothing changes'))
            return OK
        if self._left or self._waitlist.troubles:
            self._complain_of_records()
            return self._refuse(
                f'the fence of host "{self._host}" cannot be lifted: {len(self._left.epochs)} epochs and '
                f"{len(self._left.takes)} takes of boot {self._boot[:8]} are left undone; {self._who_acts()}",
                INTERNAL,
            )
        fences.lift_fence(self._layout, self._host, self._boot)
        if self._as_json:
            self._say_json("lifted")
        else:
            shown.say(shown.line(f'the fence of host "{self._host}" is lifted: it may serve again in this boot'))
        return OK

    # --- what is looked at --------------------------------------------------------------------------------------

    @property
    def _watched(self) -> float:
        return _BEATS * self._store.settings.lock.beat

    def _why_not(self) -> str:
        facts = self._store.facts
        if self._host == facts.host and self._boot in ("", facts.boot):
            return f'"{self._host}" is this host itself, and it lives; to stop its supervisor say stop'
        if not self._boot:
            return (
                f'the heartbeat of host "{self._host}" is missing or cannot be read, so its boot is not known, and '
                f"{len(self._all.boots)} of its boots have left something undone; its runs are taken over after "
                f"{format_duration(self._store.settings.lock.takeover_after)} without a sign of life by themselves"
            )
        return ""

    def _signs_of_life(self) -> list[str]:
        """What of the host moves within two beats of our own clock; the watch ends as soon as something has."""
        waiter = threading.Event()
        began = time.monotonic()
        still = pulses.watch(
            lambda: self._left.counters(self._layout),
            self._watched,
            step=pulses.step_of(self._store.settings.lock.beat),
            monotonic=time.monotonic,
            wait=waiter.wait,
            until_moved=True,
        )
        lasted = time.monotonic() - began
        return [name for name, seconds in still.items() if seconds == 0.0 and lasted > 0.0]

    def _heard(self) -> str:
        if self._beat is None:
            return "its heartbeat is missing or cannot be read"
        return f"its last heartbeat says {shown.moment(self._beat.time, time.time())} by its own clock"

    def _who_acts(self) -> str:
        if self._waitlist.served:
            return "living supervisors see to them at their next scan"
        return "no supervisor is heard of: start one, it sees to them"

    # --- what is said -------------------------------------------------------------------------------------------

    def _lists(self) -> list[str]:
        rows = [f"undecided runs: {len(self._left.epochs)}"]
        rows += [
            f"  RB {epoch.rb}  epoch {epoch.n}  job {epoch.job}  since {shown.moment(epoch.since, time.time())}"
            f"{'' if epoch.begun else '  not begun'}"
            for epoch in self._left.epochs[:_ROWS]
        ]
        rows += [f"  and {len(self._left.epochs) - _ROWS} more"] if len(self._left.epochs) > _ROWS else []
        rows.append(f"takes: {len(self._left.takes)}")
        rows += [f"  RB {take.rb}  epoch {take.n}  take {take.k}" for take in self._left.takes[:_ROWS]]
        rows += [f"  and {len(self._left.takes) - _ROWS} more"] if len(self._left.takes) > _ROWS else []
        return [shown.line(row, 300) for row in rows]

    def _already(self, fence: Fence) -> int:
        self._standing = fence
        if self._as_json:
            self._say_json("fenced before")
            return OK
        at = f" at {shown.moment(fence.time, time.time())}" if fence.time else ""
        shown.say(
            shown.line(f"host {self._host} is fenced in boot {self._boot} already, by {fence.who}{at}"), *self._lists()
        )
        return OK

    def _refuse(self, why: str, status: int) -> int:
        if self._as_json:
            self._say_json("refused", why)
        shown.complain(shown.line(why))
        return status

    def _complain_of_records(self) -> None:
        shown.complain(*(shown.line(trouble) for trouble in self._waitlist.troubles))

    def _say_json(self, state: str, why: str = "") -> None:
        record: dict[str, Any] = {
            "host": self._host,
            "boot": self._boot or None,
            "state": state,
            "why": why,
            "fence": asdict(self._standing) if self._standing is not None and state != "lifted" else None,
            "epochs": [asdict(epoch) for epoch in self._left.epochs],
            "takes": [asdict(take) for take in self._left.takes],
            "served": self._waitlist.served,
            "unreadable": self._waitlist.troubles,
        }
        shown.say(json.dumps(record))
