"""Which instruments a host may serve: a run gets at least the isolation that the configuration asks for, or waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from supervisor.settings_runs import LEVELS

if TYPE_CHECKING:
    from supervisor.settings import Settings

#: Highest level that this version proves on any host.
PROVEN: Final = "none"


def enough(floor: str, proven: str) -> bool:
    """Says whether a host that proves one level may take runs that need another."""
    return LEVELS.index(proven) >= LEVELS.index(floor)


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
            f'write "{proven}" if you trust all scripts, or serve from a host that proves more'
        )
    for name, own in settings.instrument.items():
        if own.require and own.require != floor and not enough(own.require, proven):
            found.append(
                f'instrument.{name}.require: this host proves level "{proven}" only and leaves runs of {name}, which '
                f'need "{own.require}", to others; serve them from a host that proves more, or remove the key'
            )
    return found
