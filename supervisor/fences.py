"""Fences: an operator's word that one boot of a host is dead (DESIGN §5, "Takeover" and "Promotion" 5).

A fence is one write-once record in `hosts/`, named by host and boot; the host that comes up again has another boot and
is not meant. It proves what no timer may: that nothing of that boot will ever touch the store or an archive again. So
undecided epochs of the boot are revoked at once, still under the RB's flock, and its takes are removed once their
epochs are promoted. Whether it stands is told by its name alone: a record that cannot be read still fences.

A fence is looked up afresh each time: by claimers for the holder of an undecided epoch, and by whoever is of the boot
itself (its supervisor with each beat, a claimer after it linked an epoch, a promoter after it linked a take), so that
what a fenced boot begins late comes to nothing. Stdlib only: the shepherd imports this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, records
from supervisor.operatorword import UNREADABLE, read_word

if TYPE_CHECKING:
    from supervisor.layout import Layout


class HostFenced(Exception):
    """This boot of this host was declared dead; the message says by whom, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """`hosts/<id>.<boot>.fence`: this boot of this host is dead, by the word of `who`."""

    host: str
    boot: str
    #: The operator, for people only.
    who: str
    #: Seconds since 1970, for people only.
    time: float = 0.0
    #: From which host it was said.
    said_on: str = ""


def read_fence(layout: Layout, host: str, boot: str) -> Fence | None:
    """The fence of this boot of `host`, by a fresh look; None where it stands in none.

    Raises:
        OSError: the store cannot be used.
    """
    return read_word(Fence, layout.fence(host, boot), Fence(host=host, boot=boot, who=UNREADABLE))


def link_fence(layout: Layout, fence: Fence) -> bool:
    """Fence a boot; False when it was fenced before."""
    return durable.link_new(layout.fence(fence.host, fence.boot), records.to_record(fence), "fence")


def lift_fence(layout: Layout, host: str, boot: str) -> None:
    """Remove the fence of a boot; whoever calls has looked that nothing of the boot is left undone."""
    durable.remove(layout.fence(host, boot), "fence")


def refusal(fence: Fence) -> HostFenced:
    """What a supervisor of a fenced boot ends with (pure)."""
    return HostFenced(
        f'host "{fence.host}" was declared dead in this boot ({fence.boot[:8]}) by operator {fence.who}, and other '
        "hosts have its runs: reboot this host; or, when nothing of this boot is left undone, lift the fence: "
        f"autoreduce-supervisor fence --host {fence.host} --lift"
    )
