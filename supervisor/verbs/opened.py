"""What every verb that looks into the store begins with: the settings, the store, and this host's names."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import config, hosts, journal, records, shown, storeformat, tombstones, whereabouts
from supervisor.exitcodes import CONFIG, INTERNAL, USAGE
from supervisor.hostfacts import facts_of
from supervisor.layout import Layout

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from supervisor.hostfacts import HostFacts
    from supervisor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """An open store with the settings that led to it."""

    settings: Settings
    layout: Layout
    facts: HostFacts

    def is_served(self, now: float) -> bool:
        """Say whether any supervisor of the fleet was heard of lately; clocks of a fleet may differ a little."""
        lately = hosts.heard_within(self.settings.lock.beat)
        return any(beat.state != "stopped" and now - beat.time < lately for beat in hosts.all_beats(self.layout))

    def why_not(self, now: float) -> Callable[[str, str, str], str]:
        """Return what says why no host takes runs of an instrument, a software and an RB; "" where one does.

        Hosts speak by their heartbeats; where none is heard of, only the configuration does.
        """
        from supervisor.disabling import DisabledInstruments
        from supervisor.hosting import needs_of, why_not

        disabled = DisabledInstruments(self.layout)
        disabled.look()

        lately = now - hosts.heard_within(self.settings.lock.beat)
        beats = [beat for beat in hosts.all_beats(self.layout) if beat.state != "stopped" and beat.time > lately]
        known: dict[tuple[str, str, str], str] = {}

        def ask(instrument: str, software: str, rb: str) -> str:
            if instrument in disabled:
                return disabled.sentence(instrument)
            if not self.settings.instrument_for(instrument).enabled:
                return f"instrument {instrument} is disabled by the configuration of this host"
            needs = needs_of(self.settings, instrument, software, rb)
            reasons = [why_not(beat, needs) for beat in beats]
            return "" if not reasons or "" in reasons else reasons[0]

        def remember(instrument: str, software: str, rb: str) -> str:
            key = (instrument, software, rb if rb in self.settings.limits.rb else "")
            if key not in known:  # asked for each of ten thousand jobs
                known[key] = ask(*key)
            return known[key]

        return remember

    def rooms(self, now: float) -> dict[str, str]:
        """Return why jobs wait for room on the hosts that could run them, as far as these say so."""
        lately = now - hosts.heard_within(self.settings.lock.beat)
        found: dict[str, str] = {}
        for beat in hosts.all_beats(self.layout):
            if beat.state != "stopped" and beat.time > lately:
                found |= {job: f"on {beat.host}: {why}" for job, why in beat.waits.items() if job not in found}
        return found


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--config`."""
    whereabouts.arguments(parser)


def settings(args: argparse.Namespace) -> Settings | int:
    """Return the settings, or the exit status after every problem was printed."""
    whole = configuration(args)
    return whole if isinstance(whole, int) else whole.settings


def configuration(args: argparse.Namespace) -> config.Configuration | int:
    """Return the configuration, or the exit status after every problem was printed."""
    try:
        return config.load_whole(args.config)
    except config.ConfigProblems as found:
        print(found, file=sys.stderr)
        return CONFIG


def store(args: argparse.Namespace, *, create: bool = False, write: bool = True) -> OpenStore | int:
    """Return the open store, or the exit status after its problem was printed."""
    known = settings(args)
    if isinstance(known, int):
        return known
    layout = Layout(os.path.abspath(known.store.path))
    try:
        # What root writes into the store of another user, that user's supervisor could not work with.
        if write and os.geteuid() == 0 and known.service.user:
            return _refused(layout, known.service.user)
        journal.open_store(layout, create=create)
        owner = os.stat(layout.waiting).st_uid
        if write and (not os.access(layout.waiting, os.W_OK) or (os.geteuid() == 0 and owner != 0)):
            return _refused(layout, f"#{owner}")
    except storeformat.UnknownStore as wrong:
        print(wrong, file=sys.stderr)
        return CONFIG
    except (OSError, records.CorruptRecord) as trouble:
        print(f"cannot use the store: {trouble}", file=sys.stderr)
        return INTERNAL
    return OpenStore(settings=known, layout=layout, facts=facts_of(known))


def _refused(layout: Layout, user: str) -> int:
    remedy = f"say it as the service user: sudo -u '{user}' autoreduce-supervisor ..."
    print(f'cannot write the store "{layout.root}" as uid {os.geteuid()}; {remedy}', file=sys.stderr)
    return INTERNAL


def job(store: OpenStore, text: str) -> records.Request | int:
    """Return the request of the job `text`, or the exit status after it was said that there is none.

    Raises:
        CorruptRecord, OSError: it cannot be read.
    """
    found = journal.read_request(store.layout.job(text))
    if found is not None:
        return found
    stone = tombstones.find(store.layout, text)
    if stone is not None:
        when = time.strftime("%Y-%m-%d", time.gmtime(stone.pruned))
        told = f'job "{shown.line(text, 200)}" was pruned on {when}, and its message is no longer kept'
        shown.complain(f"{told}; send the run again under a new id")
        return USAGE
    shown.complain(f'no job "{shown.line(text, 200)}" is known in the store "{store.layout.root}"; look at runs')
    return USAGE


def carefully(what: str, verb: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Do `verb`; a store that cannot be used, or a record that cannot be read, is told in one sentence."""
    try:
        return verb(args)
    except BrokenPipeError:
        raise  # the reader of our output is gone: the command says nothing more
    except (OSError, records.CorruptRecord) as trouble:
        shown.complain(f"cannot {what}: {shown.line(trouble)}")
        return INTERNAL


def count(text: str) -> int:
    """Return a count of at least one from the command line."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
