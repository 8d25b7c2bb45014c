"""`drain` and `resume`: whether a host takes new runs and messages; survives its supervisor and its boot."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from supervisor import drains, hosts, shown
from supervisor.drains import DRAINED, Drain
from supervisor.exitcodes import OK, USAGE
from supervisor.operatorword import operator
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

    from supervisor.verbs.opened import OpenStore

#: Beats within which a host that lives has heard of it.
_BEATS = 3
#: Seconds between two looks at its heartbeat.
_LOOK = 0.2

EPILOG = """\
A drained host begins no run and takes no message from the broker; other hosts of the fleet do. Its runs go on, and
their replies are sent. It stays drained, over restarts and reboots, until resume. Either verb can be said on any host.

Exit status: 0 done, or it was so before; 2 no such host; 70 the store cannot be used; 78 configuration.

Examples:
  autoreduce-supervisor drain --why "new kernel at noon"
  autoreduce-supervisor drain --host ndw7
  autoreduce-supervisor resume
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of these verbs."""
    parser.add_argument("--host", metavar="HOST", default="", help="the id of the host in the store (default: this)")
    parser.add_argument("--why", metavar="TEXT", default="", help="what it is drained for; shown by status")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Drain a host, or have it take new runs again."""
    return opened.carefully(args.verb, _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args)
    if isinstance(store, int):
        return store
    known = hosts.all_hosts(store.layout)
    host = args.host or store.facts.host
    if host not in known:
        names = ", ".join(known) or "none"
        shown.complain(shown.line(f'no host "{host}" has ever served this store; those that have: {names}'))
        return USAGE
    wanted = args.verb == "drain"
    before = drains.read_drain(store.layout, host)
    if wanted and before is None:
        begin(store, host, args.why)
    elif not wanted:
        drains.lift_drain(store.layout, host)
    heard = wait_for(store, host, drained=wanted)
    shown.say(shown.line(_told(host, before, wanted=wanted, heard=heard), 400))
    return OK


def begin(store: OpenStore, host: str, why: str) -> None:
    """Drain a host, by the word of whoever runs this process."""
    who = operator(os.environ, os.getuid())
    drains.write_drain(store.layout, Drain(host=host, who=who, time=time.time(), why=shown.line(why, 200)))


def wait_for(store: OpenStore, host: str, *, drained: bool) -> bool:
    """Wait until the heartbeat of a host says that it is drained, or is not; False where no host is heard of."""
    deadline = time.monotonic() + _BEATS * store.settings.lock.beat
    seen = hosts.readable_beat(store.layout, host)
    if seen is None or seen.state == "stopped":
        return False
    while seen is None or (seen.state == DRAINED) != drained or seen.state == "stopped":
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK)
        seen = hosts.readable_beat(store.layout, host)
    return True


def _told(host: str, before: Drain | None, *, wanted: bool, heard: bool) -> str:
    """Return what came of it, in a sentence (pure)."""
    if not wanted:
        if before is None:
            return f"host {host} is not drained; nothing changes"
        return f"host {host} takes new runs and messages again" + ("" if heard else " as soon as it serves")
    if before is not None:
        why = f": {before.why}" if before.why else ""
        return f"host {host} was drained before, by {before.who}{why}; nothing changes"
    if heard:
        return f"host {host} is drained: it takes no new runs and messages until resume; its runs go on"
    return f"host {host} is drained, but is not heard of: it takes no new runs and messages when it serves again"
