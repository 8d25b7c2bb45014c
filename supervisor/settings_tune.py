"""Settings of `tune`: what it may suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import StrictInt  # noqa: TC002  # the model reads its annotations when it is built

from sandbox.limits import Limits
from supervisor.settingtypes import LimitText, Section, setting

if TYPE_CHECKING:
    from collections.abc import Iterator


class TuneBounds(Section):
    """Bounds of what `tune` suggests, by the name of the limit."""

    def values(self) -> dict[str, float]:
        """Returns the bounds in bytes, seconds and counts; those that are "none" are left out."""
        written: dict[str, Any] = self.model_dump()
        read = Limits().replace_from(written).to_json()
        return {key: value for key in written if (value := read[key]) is not None}


class TuneLeast(TuneBounds):
    """Limits below which `tune` never suggests one."""

    memory: LimitText = setting("512 MiB", "Least memory.")
    wall: LimitText = setting("10 min", "Least time by the clock.")
    cpu: LimitText = setting("10 min", "Least processor time.")
    output: LimitText = setting("1 GiB", "Least size of all output.")
    files: LimitText = setting(1000, "Least number of files and folders in the output.")


class TuneMost(TuneBounds):
    """Limits above which `tune` never suggests one; "none" for no bound.

    For memory, what the smallest host can give to one run is a good value.
    """

    memory: LimitText = setting("none", "Most memory.")
    wall: LimitText = setting("none", "Most time by the clock.")
    cpu: LimitText = setting("none", "Most processor time.")
    output: LimitText = setting("none", "Largest size of all output.")
    files: LimitText = setting("none", "Most files and folders in the output.")


class Tune(Section):
    """What `tune` suggests from the runs of the past; it changes nothing by itself."""

    runs: StrictInt = setting(
        50,
        "Completed runs of an instrument that it takes to lower a limit; a limit at which runs were killed is raised "
        "at once.",
        ge=1,
        le=1_000_000,
    )
    least: TuneLeast = TuneLeast()
    most: TuneMost = TuneMost()

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        most = self.most.values()
        for key, least in self.least.values().items():
            if key in most and most[key] < least:
                written, bound = getattr(self.least, key), getattr(self.most, key)
                yield f"least.{key} ({written}) is above most.{key} ({bound}); write a smaller one"
