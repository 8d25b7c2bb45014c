"""Drains: an operator's word that a host takes no new runs and no new messages, until he says otherwise (DESIGN §5).

One replaceable record in `hosts/`, named by the host: it outlives the supervisor and the boot, and may be said from any
host. The host reads it with each beat and says so in its heartbeat, by which the others know where a run can go. What
runs there goes on, and the replies of the host are sent. Stdlib only, like `fences`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, records
from supervisor.operatorword import UNREADABLE, read_word

if TYPE_CHECKING:
    from supervisor.layout import Layout

#: What the heartbeat of a drained host calls its state.
DRAINED = "drained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """`hosts/<id>.drain`: this host takes nothing new, by the word of `who`."""

    host: str
    #: The operator, for people only.
    who: str
    #: Seconds since 1970, for people only.
    time: float = 0.0
    #: What it is for, "" where nothing was said.
    why: str = ""


def read_drain(layout: Layout, host: str) -> Drain | None:
    """The drain of `host`, by a fresh look; None where it takes what comes.

    A record that cannot be read drains as well: whoever wrote it wanted that.

    Raises:
        OSError: the store cannot be used.
    """
    return read_word(Drain, layout.drain(host), Drain(host=host, who=UNREADABLE))


def write_drain(layout: Layout, drain: Drain) -> None:
    """Drain a host.

    Raises:
        OSError: the store cannot be used.
    """
    durable.replace(layout.drain(drain.host), records.to_record(drain), "drain")


def lift_drain(layout: Layout, host: str) -> None:
    """Have a host take new runs and messages again.

    Raises:
        OSError: the store cannot be used.
    """
    durable.remove(layout.drain(host), "drain")
