"""What every verb that looks into the store begins with: the settings, the store, and this host's names."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import config, journal, records
from supervisor.exitcodes import CONFIG, INTERNAL
from supervisor.layout import Layout

if TYPE_CHECKING:
    import argparse

    from supervisor.plans import HostFacts
    from supervisor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """An open store with the settings that led to it."""

    settings: Settings
    layout: Layout
    facts: HostFacts


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--config`."""
    parser.add_argument("--config", metavar="FILE", help="the configuration (default: /etc/autoreduce/supervisor.toml)")


def settings(args: argparse.Namespace) -> Settings | int:
    """Return the settings, or the exit status after every problem was printed."""
    try:
        return config.load(args.config)
    except config.ConfigProblems as found:
        print(found, file=sys.stderr)
        return CONFIG


def store(args: argparse.Namespace, *, create: bool = False, write: bool = True) -> OpenStore | int:
    """Return the open store, or the exit status after its problem was printed."""
    from supervisor.service import facts_of

    known = settings(args)
    if isinstance(known, int):
        return known
    layout = Layout(os.path.abspath(known.store.path))
    try:
        journal.open_store(layout, create=create)
        if write and not os.access(layout.waiting, os.W_OK):
            owner = os.stat(layout.waiting).st_uid
            remedy = f"say it as the service user: sudo -u '#{owner}' autoreduce-supervisor ..."
            print(f'cannot write the store "{layout.root}" as uid {os.geteuid()}; {remedy}', file=sys.stderr)
            return INTERNAL
    except journal.UnknownStore as wrong:
        print(wrong, file=sys.stderr)
        return CONFIG
    except (OSError, records.CorruptRecord) as trouble:
        print(f"cannot use the store: {trouble}", file=sys.stderr)
        return INTERNAL
    return OpenStore(settings=known, layout=layout, facts=facts_of(known))
