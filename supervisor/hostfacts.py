"""What plans, records and heartbeats say of the host that makes them."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.capacity import Capacity
from sandbox.linux import proctree
from supervisor import hosts
from supervisor.pinned import code_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.closure import Closure
    from supervisor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What a plan says of the host that made it."""

    host: str
    hostname: str
    boot: str
    code_version: str
    #: What the interpreters need behind a tree, by the name of their profile.
    closures: Mapping[str, Closure] = field(default_factory=dict)
    #: What this host has for boxes.
    capacity: Capacity = field(default_factory=Capacity)
    #: Why locks between hosts are not proven here, "" where they are or need not be.
    unproven: str = ""


def facts_of(settings: Settings) -> HostFacts:
    """Return what this host is called, and its boot."""
    return HostFacts(
        host=settings.host.id or hosts.default_id(),
        hostname=socket.gethostname(),
        boot=proctree.boot_id(),
        code_version=code_version(),
    )
