"""Reload: a changed configuration is judged beside the one in force, and taken up or refused as a whole.

A thread of its own does the work that begins with SIGHUP: it reads the file, asks this host for what the file names,
has changed interpreters tried, and hands the result to the store poller, which uses it for what is claimed from then
on; runs under way keep their plan. What needs a restart keeps its old value and is named. The answer stands in the run
directory, for `reload`, `status` and `config diff`.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from supervisor import config, configfiles, floors, polled, reprobe, rundir
from supervisor.config import ConfigProblems
from supervisor.configchanges import Change, applicable, changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.config import Configuration
    from supervisor.notify import Notifier
    from supervisor.offers import Offers

log = logging.getLogger(__name__)

#: In the run directory: the answer to the last reload, and the tables in force.
ANSWER_FILE = "reload.json"
IN_FORCE_FILE = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a changed file."""

    #: The configuration to be in force from now on, and what this host offers under it.
    configuration: Configuration
    offers: Offers
    applied: list[Change] = field(default_factory=list)
    #: Changed keys that keep their old value until a restart.
    restart: list[Change] = field(default_factory=list)
    #: What somebody should know.
    notes: list[str] = field(default_factory=list)


def judge(old: Configuration, offered: Offers, *, ask: Callable[[dict[str, Any]], Offers] = reprobe.ask) -> Judged:
    """Judge the file of `old` as it is now.

    Args:
        old: the configuration in force.
        offered: what this host offers under it.
        ask: tries interpreters and isolation for the tables of a configuration.

    Raises:
        ConfigProblems: it cannot be used; every problem is named.
    """
    new = config.load_whole(old.path)
    problems = configfiles.problems(new.settings, os.environ)
    changed = changes(old, new)
    try:
        to_be = applicable(old, new, changed)
    except ConfigProblems as found:
        raise ConfigProblems(new.origin, [*problems, *found.problems]) from None
    tried = offered
    if not problems and _is_to_be_tried(offered, changed):
        try:
            tried = ask(to_be.document)
        except reprobe.Untried as untried:
            raise ConfigProblems(new.origin, [str(untried)]) from untried
        # What was proven at the start holds until the end; what was not needed then is proven by now.
        if offered.proof is not None:
            tried = replace(tried, level=offered.level, proof=offered.proof)
        problems = _newly_failing(old, to_be, tried)
    if problems:
        raise ConfigProblems(new.origin, problems)
    notes = [f"{name}: {why}" for name, why in tried.failing.items()]
    return Judged(
        configuration=to_be,
        offers=tried,
        applied=[change for change in changed if not change.restart],
        restart=[change for change in changed if change.restart],
        notes=[*notes, *floors.problems(to_be.settings, tried.level), *to_be.settings.cautions()],
    )


def _is_to_be_tried(offered: Offers, changed: list[Change]) -> bool:
    """Say whether interpreters or isolation have to be tried again: they changed, or something failed before."""
    touched = any(
        change.place[0] in ("interpreter", "isolation") or change.place[-1] == "require"
        for change in changed
        if not change.restart
    )
    return touched or bool(offered.failing)


def _newly_failing(old: Configuration, new: Configuration, tried: Offers) -> list[str]:
    """Return a sentence for each profile that is new or changed and does not work; others only keep runs waiting."""
    before = {profile.name: profile for profile in old.settings.interpreter.profiles().each()}
    return [
        f"{profile.name}: {tried.failing[profile.name]}"
        for profile in new.settings.interpreter.profiles().each()
        if profile.name in tried.failing and before.get(profile.name) != profile
    ]


class Reloader:
    """Reloads when asked; one at a time."""

    def __init__(
        self,
        configuration: Configuration,
        offers: Offers,
        *,
        notifier: Notifier,
        adopt: Callable[[polled.Adopt], None],
        told: Callable[[], None],
    ) -> None:
        """Reload `configuration`.

        Args:
            configuration: in force now.
            offers: what this host offers under it.
            notifier: the service manager.
            adopt: hands a configuration to the store poller.
            told: called when `state` has changed.
        """
        self._inforce = configuration
        self._offers = offers
        self._notifier = notifier
        self._adopt = adopt
        self._told = told
        self._asked: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        #: What `status` shows of the configuration; replaced as a whole.
        self.state: dict[str, object] = {"file": configuration.path or config.DEFAULT_PATH, "since": time.time()}
        self._write(IN_FORCE_FILE, {"path": configuration.path, "document": configuration.document})

    def ask(self) -> None:
        """Have the file read; the loop calls this after SIGHUP, and returns at once."""
        self._asked.put(time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reload", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._asked.get()
            while not self._asked.empty():  # one look serves all who asked before it
                self._asked.get()
            began = time.monotonic()
            self._notifier.reloading()
            try:
                answer = self._reload()
            except Exception:  # the old configuration stands, and the supervisor serves on
                log.exception("A reload met a defect; the configuration in force stays.")
                answer = {"problems": ["a reload met a defect; the log has it, please report it"]}
            self.state = self.state | {"told": time.time(), "problems": answer["problems"]}
            self._write(ANSWER_FILE, {**answer, "began": began})
            self._notifier.ready()
            self._told()

    def _reload(self) -> dict[str, object]:
        """Judge the file and have it taken up; return the answer."""
        try:
            judged = judge(self._inforce, self._offers)
        except ConfigProblems as found:
            for problem in found.problems:
                log.error("%s: %s", found.origin, problem)  # noqa: TRY400  # an operator's mistake, no defect
            log.error("The configuration is refused, the one in force stays: %d problems.", len(found.problems))  # noqa: TRY400
            return {"problems": [f"{found.origin}: {problem}" for problem in found.problems]}
        done = threading.Event()
        self._adopt(polled.Adopt(settings=judged.configuration.settings, offers=judged.offers, done=done.set))
        done.wait()
        self._inforce, self._offers = judged.configuration, judged.offers
        restart = [change.key for change in judged.restart]
        self.state = self.state | {"since": time.time(), "restart": restart}
        self._write(IN_FORCE_FILE, {"path": self._inforce.path, "document": self._inforce.document})
        applied = [change.key for change in judged.applied]
        log.info(
            "The configuration was read again; applied: %s; needs a restart: %s.",
            ", ".join(applied) or "nothing",
            ", ".join(restart) or "nothing",
        )
        for note in judged.notes:
            log.warning("%s", note)
        return {"problems": [], "applied": applied, "restart": restart, "notes": judged.notes}

    def _write(self, name: str, record: dict[str, object]) -> None:
        run_dir = self._inforce.settings.service.run_dir
        try:
            rundir.write_local(run_dir, name, record)
        except OSError as error:  # a full run directory ends nobody
            log.error('"%s" cannot be written: %s.', name, error)  # noqa: TRY400  # no defect
