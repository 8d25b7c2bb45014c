"""The service: everything put together in the order in which it must come up, and taken down in the other.

Order of start: settings, files they name, run directory, store and host identity (single-instance guard), nursery,
poller, loop, broker link last, since messages may arrive at once. Order of the end: the link first, so that nothing
more is taken; the loop; the poller with a last heartbeat. Shepherds run on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandbox.capacity import capacity
from sandbox.linux import proctree, rlimits
from supervisor import floors, lockproof
from supervisor.brokerfrom import link_settings
from supervisor.brokerlink import BrokerLink
from supervisor.fences import HostFenced
from supervisor.hostfacts import facts_of
from supervisor.layout import Layout
from supervisor.loop import Loop
from supervisor.meter import UNMETERED
from supervisor.metricslisten import parse_listen
from supervisor.nurserylink import NurseryLink
from supervisor.offers import find_out
from supervisor.polled import Restated, Stop
from supervisor.reloading import Reloader
from supervisor.rundir import IDENTITY_FILE, STATE_FILE, write_local
from supervisor.storepoller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisor.config import Configuration
    from supervisor.meter import Meter
    from supervisor.metrics import Metrics
    from supervisor.metricsserver import MetricsServer
    from supervisor.notify import Notifier
    from supervisor.settings import Settings

log = logging.getLogger(__name__)

#: Seconds for the broker to confirm what is under way at the end, and for the poller's last turn.
_GOODBYE = 5.0


def status_line(state: Mapping[str, object]) -> str:
    """Return what `systemctl status` shows of a state that `status` shows in full (pure)."""
    running = state["running"]
    count = len(running) if isinstance(running, list) else 0
    drained = "drained; " if state.get("drained") else ""
    return (
        f"{drained}{count} of {state['slots']} slots run, {state['waiting']} jobs wait; "
        f"store {state['store']}; broker {state['broker']}"
    )


class _Hurried(Exception):
    """A second signal came during the goodbye: nothing is lost by leaving now, the store has it all."""


@dataclass(slots=True)
class Service:
    """One supervisor in the foreground of this process."""

    configuration: Configuration
    notifier: Notifier
    #: A unit of its own runs the nursery; none is started from here.
    nursery_unit: bool = False
    #: Why locks between hosts are not proven here, "" where they are or need not be.
    unproven: str = ""
    reloader: Reloader | None = None
    #: Signals to end that came, and whether the goodbye is under way.
    ends: int = 0
    parting: bool = False
    meter: Meter = UNMETERED
    #: Id of this host.
    host: str = ""

    def serve(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; a second one hurries the goodbye.

        Args:
            ready: called once when messages are taken.

        Raises:
            IdentityTaken, HostFenced, UnknownStore, Unproven, CannotListen, NurseryGone, OSError: it cannot be started.
            HostFenced: an operator declared this boot dead while it served.
            DefectMet: a thread of ours met a defect.
        """
        settings = self.settings
        rlimits.raise_open_files()
        run_dir = settings.service.run_dir
        os.makedirs(run_dir, mode=0o750, exist_ok=True)
        os.makedirs(settings.spool.path, mode=0o700, exist_ok=True)
        layout = Layout(os.path.abspath(settings.store.path))
        self.unproven = lockproof.at_start(settings, layout, time.time())
        if self.unproven:
            log.warning("CAUTION: %s", self.unproven)
        facts = replace(facts_of(settings), unproven=self.unproven)
        self.host = facts.host
        offers = find_out(settings)  # here, while there is one thread
        facts = replace(facts, closures=offers.closures, capacity=capacity())
        for problem in floors.problems(settings, offers.level):
            log.error("%s", problem)
        for profile, why in offers.failing.items():
            log.error("The profile %s does not work on this host, its runs are not taken: %s.", profile, why)
        slots = settings.host.slot_count(max(1, facts.capacity.cpus))
        own = {
            "host": facts.host,
            "hostname": facts.hostname,
            "version": facts.code_version,
            "level": offers.level,
            "limits": settings.limits_for("").to_json(),
        }
        metrics = self._metrics(facts.code_version)
        self.meter = metrics or UNMETERED
        loop = Loop(
            settings,
            slots,
            offers.failing,
            on_state=self._describe,
            luck=random.Random(),
            capacity=facts.capacity,
            on_reload=self._reload,
            own=own,
            on_alive=self.notifier.alive,
            meter=self.meter,
        )
        signal.set_wakeup_fd(loop.wake_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end(loop))
        signal.signal(signal.SIGHUP, lambda *_: loop.reload())
        nursery = NurseryLink(
            run_dir, facts.code_version, os.path.join(run_dir, "nursery.log"), start=not self.nursery_unit
        )
        poller = Poller(settings, layout, facts, nursery, offers, loop.tell)
        poller.take_identity()
        scrapes = self._scrapes(metrics)
        self.reloader = Reloader(
            self.configuration,
            offers,
            notifier=self.notifier,
            adopt=poller.order,
            told=lambda: loop.tell(Restated()),
        )
        nursery.ensure()
        link = self._link(loop)
        me = proctree.identity(os.getpid())
        identity = {"pid": os.getpid(), "start": me.start if me else 0, "boot": facts.boot}
        write_local(run_dir, IDENTITY_FILE, {**identity, "version": facts.code_version})
        poller.start()
        if link is not None:
            link.take_messages(not poller.drained)
            link.start()
        if scrapes is not None:
            scrapes.start()
        log.info("Serving as host %s with %d slots; the store is %s.", facts.host, slots, settings.store.path)
        ready()
        self.notifier.ready()
        try:
            loop.run(poller, link)
        finally:
            self.notifier.stopping()
            if scrapes is not None:
                scrapes.stop()
            try:
                self._say_goodbye(poller, link)
            except _Hurried:
                log.warning("Hurried: broker and store were not waited for; the next supervisor tells what was not.")
            nursery.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(run_dir, IDENTITY_FILE))
        if loop.fenced:
            raise HostFenced(loop.fenced)
        log.info("Stopped; runs go on under their shepherds.")

    @property
    def settings(self) -> Settings:
        """The configuration that the service was started with."""
        return self.configuration.settings

    def _reload(self) -> None:
        assert self.reloader is not None
        self.reloader.ask()

    def _end(self, loop: Loop) -> None:
        """Stop intake and end; the second signal hurries.

        Raises:
            _Hurried: the goodbye is under way, and its waiting ends here.
        """
        self.ends += 1
        loop.stop()
        if self.ends > 1 and self.parting:
            raise _Hurried

    def _say_goodbye(self, poller: Poller, link: BrokerLink | None) -> None:
        """Let broker and store confirm what is under way.

        Raises:
            _Hurried: a second signal came.
        """
        self.parting = True
        patience = _GOODBYE if self.ends < 2 else 0.0
        if link is not None:
            link.stop(patience)
        poller.order(Stop())
        poller.join(patience)
        self.parting = False

    def _describe(self, state: dict[str, object]) -> None:
        """Show how it goes: to `status`, and to the service manager in one line."""
        own = {
            "host": self.host,
            "store_path": self.settings.store.path,
            "max_waiting": self.settings.store.max_waiting,
            "unproven": self.unproven,
            "config": self.reloader.state if self.reloader is not None else {},
        }
        try:
            write_local(self.settings.service.run_dir, STATE_FILE, {**state, **own})
        except OSError as error:  # a full run directory ends nobody
            log.error('"%s" cannot be written, status shows what was: %s.', STATE_FILE, error)  # noqa: TRY400  # no defect
        self.notifier.status(status_line(state))
        self.meter.state(state)

    def _metrics(self, version: str) -> Metrics | None:
        """Return what counts, where the configuration says so; else the library is not even loaded."""
        if not self.settings.metrics.listen:
            return None
        from supervisor.metrics import Metrics  # noqa: PLC0415  # see above

        return Metrics(version)

    def _scrapes(self, metrics: Metrics | None) -> MetricsServer | None:
        """Listen for those who ask for the numbers; they are answered later, when there is something to tell."""
        if metrics is None:
            return None
        from supervisor.metricsserver import MetricsServer  # noqa: PLC0415  # ditto: it takes an HTTP server

        listen = self.settings.metrics.listen
        server = MetricsServer(parse_listen(listen), metrics.text)
        log.info("Numbers for Prometheus: http://%s/metrics", listen)
        return server

    def _link(self, loop: Loop) -> BrokerLink | None:
        broker = self.settings.broker
        if not broker.enabled:
            return None
        settings = link_settings(broker, os.environ)
        return BrokerLink(
            settings, self.settings.queues.subscriptions, loop.tell, rng=random.Random(), clock=time.monotonic
        )
