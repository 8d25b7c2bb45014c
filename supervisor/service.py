"""The service: everything put together in the order in which it must come up, and taken down in the other.

Order of start: settings, files they name, run directory, store and host identity (single-instance guard), nursery,
poller, loop, broker link last, since messages may arrive at once. Order of the end: the link first, so that nothing
more is taken; the loop; the poller with a last heartbeat. Shepherds run on.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import os
import random
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.linux import proctree
from supervisor import configfiles, floors, hosts
from supervisor.broker import BrokerSettings
from supervisor.brokerlink import BrokerLink
from supervisor.layout import Layout
from supervisor.loop import Loop
from supervisor.nurserylink import NurseryLink
from supervisor.offers import find_out
from supervisor.plans import HostFacts
from supervisor.polled import Stop
from supervisor.storepoller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.settings import Settings

log = logging.getLogger(__name__)

#: In the run directory: who serves (pid, start time, boot id), and what `status` shows.
IDENTITY_FILE = "supervisor.json"
STATE_FILE = "state.json"
#: Seconds for the broker to confirm what is under way at the end, and for the poller's last turn.
_GOODBYE = 5.0


def code_version() -> str:
    """The version of the installed distribution."""
    return importlib.metadata.version("autoreduce-supervisor")


def facts_of(settings: Settings) -> HostFacts:
    """What this host is called."""
    return HostFacts(
        host=settings.host.id or hosts.default_id(),
        hostname=socket.gethostname(),
        boot=proctree.boot_id(),
        code_version=code_version(),
    )


@dataclass(slots=True)
class Service:
    """One supervisor in the foreground of this process."""

    settings: Settings

    def serve(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT.

        Args:
            ready: called once when messages are taken.

        Raises:
            IdentityTaken, UnknownStore, NurseryGone, OSError: it cannot be started.
            DefectMet: a thread of ours met a defect.
        """
        settings = self.settings
        run_dir = settings.service.run_dir
        os.makedirs(run_dir, mode=0o750, exist_ok=True)
        os.makedirs(settings.spool.path, mode=0o700, exist_ok=True)
        facts = facts_of(settings)
        offers = find_out(settings)  # here, while there is one thread
        for problem in floors.problems(settings, offers.level):
            log.error("%s", problem)
        for profile, why in offers.failing.items():
            log.error("The profile %s does not work on this host, its runs are not taken: %s.", profile, why)
        slots = settings.host.slot_count(len(os.sched_getaffinity(0)))
        loop = Loop(settings, slots, offers.failing, on_state=lambda state: write_local(run_dir, STATE_FILE, state))
        signal.set_wakeup_fd(loop.wake_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stop())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        nursery = NurseryLink(run_dir, facts.code_version, os.path.join(run_dir, "nursery.log"))
        poller = Poller(settings, Layout(os.path.abspath(settings.store.path)), facts, nursery, offers, loop.tell)
        poller.take_identity()
        nursery.ensure()
        link = self._link(loop)
        me = proctree.identity(os.getpid())
        write_local(run_dir, IDENTITY_FILE, {"pid": os.getpid(), "start": me.start if me else 0, "boot": facts.boot})
        poller.start()
        if link is not None:
            link.start()
        log.info("Serving as host %s with %d slots; the store is %s.", facts.host, slots, settings.store.path)
        ready()
        try:
            loop.run(poller, link)
        finally:
            if link is not None:
                link.stop(_GOODBYE)
            poller.order(Stop())
            poller.join(_GOODBYE)
            nursery.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(run_dir, IDENTITY_FILE))
        log.info("Stopped; runs go on under their shepherds.")

    def _link(self, loop: Loop) -> BrokerLink | None:
        broker = self.settings.broker
        if not broker.enabled:
            return None
        settings = BrokerSettings(
            hosts=tuple((address.host, address.port, address.tls) for address in broker.addresses),
            user=broker.user or None,
            password=configfiles.password(broker, os.environ) or None,
            heartbeat_ms=int(broker.heartbeat * 1000),
            prefetch=broker.prefetch,
            connect_timeout=broker.connect_timeout,
            receipt_timeout=broker.receipt_timeout,
            ca_file=broker.ca_file or None,
            cert_file=broker.cert_file or None,
            key_file=broker.key_file or None,
            vhost=broker.vhost or None,
            text_messages=broker.text_messages,
        )
        return BrokerLink(
            settings, self.settings.queues.subscriptions, loop.tell, rng=random.Random(), clock=time.monotonic
        )


def write_local(run_dir: str, name: str, record: dict[str, object]) -> None:
    """Replace a small record in the run directory, which is local to this host."""
    path = os.path.join(run_dir, name)
    temporary = f"{path}.{os.getpid()}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640), "w") as file:
        json.dump({**record, "time": time.time()}, file)
    os.rename(temporary, path)


def read_local(run_dir: str, name: str) -> dict[str, object] | None:
    """Return a record of the run directory, or None where there is none or it is being replaced."""
    try:
        with open(os.path.join(run_dir, name), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def serving(run_dir: str) -> proctree.Identity | None:
    """Return the supervisor that serves with this run directory, or None: pid, start time and boot must agree."""
    record = read_local(run_dir, IDENTITY_FILE)
    if record is None or record.get("boot") != proctree.boot_id():
        return None
    pid, start = record.get("pid"), record.get("start")
    if not isinstance(pid, int) or not isinstance(start, int):
        return None
    who = proctree.Identity(pid, start)
    return who if proctree.alive(who) else None
