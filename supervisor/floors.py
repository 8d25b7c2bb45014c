"""Which instruments a host may serve: a run gets at least the isolation that the configuration asks for, or waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.levels import LEVELS

if TYPE_CHECKING:
    from supervisor.settings import Settings


def enough(floor: str, proven: str) -> bool:
    """Says whether a host that proves one level may take runs that need another."""
    return LEVELS.index(proven) >= LEVELS.index(floor)


def highest(settings: Settings) -> str:
    """Returns the highest level that any run of the site must get."""
    floors = (settings.isolation.require, *(own.require or "none" for own in settings.instrument.values()))
    return max(floors, key=LEVELS.index)


def attainable(proven: str, *, as_root: bool) -> str:
    """Returns the level that counts: who keeps user id 0 owns the host's files, and is never closed off as `hostile`.

    Args:
        proven: what the guards prove.
        as_root: whether scripts run as user 0 of the host, within a user namespace (DESIGN §6, "One identity").
    """
    return "contained" if as_root and proven == "hostile" else proven


def problems(settings: Settings, proven: str) -> list[str]:
    """Returns a sentence for each floor above what a host proves.

    Args:
        settings: The configuration.
        proven: "none", "contained" or "hostile".
    """
    found = []
    floor = settings.isolation.require
    if not enough(floor, proven):
        found.append(
            f'isolation.require: this host proves level "{proven}" only and may take no run that needs "{floor}"; '
            "ask `autoreduce-supervisor doctor` what it lacks, or serve from a host that proves more"
        )
    for name, own in settings.instrument.items():
        if own.require and own.require != floor and not enough(own.require, proven):
            found.append(
                f'instrument.{name}.require: this host proves level "{proven}" only and leaves runs of {name}, which '
                f'need "{own.require}", to others; serve them from a host that proves more, or remove the key'
            )
    return found
