"""The evidence of one run: what our own processes inside have reported, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.linux.proctree import Identity
from sandbox.verdict import SetupFailure


@dataclass(slots=True)
class Evidence:
    """Starts empty and only ever gains; a report that is no report is left out."""

    setup: SetupFailure | None = None
    script: Identity | None = None
    init: Identity | None = None
    #: The script's pid in the box's own pid namespace; None where the box has none.
    inside: int | None = None
    #: Monotonic second of the script's fork.
    began: float | None = None
    #: Whether a signal of ours was sent while the script lived.
    signalled: bool = False
    #: Whether the init ended the tree because it had not heard of the shepherd for too long.
    mute: bool = False
    #: Raw wait status of the script's main process.
    status: int | None = None
    #: `handoff.mark` at that moment; None when nobody could look.
    claim: tuple[int, ...] | None = None
    #: Whether that status is an answer to our signal.
    landed: bool = False
    #: From the fork of the main process to its end, seconds.
    wall: float | None = None
    #: Processor time of everything that was reaped, seconds.
    cpu: float | None = None
    #: Largest resident size of one process, bytes; up to `floor` it may be the init's own, from before the exec.
    peak: int = 0
    floor: int = 0
    #: Bytes read and written by everything that was reaped.
    io: tuple[int, int] | None = None
    #: Whether the tree is proven empty.
    empty: bool = False
    #: Processes that lived on after the main process and were killed.
    leftovers: int = 0

    def note(self, record: dict[str, Any]) -> None:
        """Takes one record of the report pipe.

        Args:
            record: see `sandbox.reports`; it is ours, but a script that may trace us (level none) could have forged it,
                so nothing of it is trusted to have the right type.
        """
        try:
            self._note(record)
        except (TypeError, ValueError, KeyError, OverflowError):
            return

    def _note(self, record: dict[str, Any]) -> None:
        if "stage" in record and self.setup is None:
            self.setup = SetupFailure(
                stage=str(record["stage"]), errno=int(record["errno"]), detail=str(record["detail"])
            )
        elif "inside" in record and self.init is None:
            self.init = _identity(record["init"])
        elif "script" in record and self.script is None:
            self.began = float(record["at"])
            self.floor = int(record["floor"])
            self.script = _identity(record["script"])
            if self.init is None:
                self.init = _identity(record["init"])
            else:
                # Both count their own pids; the builder has told the init's as the host knows it.
                self.inside = self.script.pid
        elif "signalled" in record:
            self.signalled = True
            self.mute = self.mute or record.get("mute") is True
        elif "status" in record and self.status is None:
            self.wall, self.cpu = float(record["wall"]), float(record["cpu"])
            self.peak = max(self.peak, int(record["peak"]))
            self.landed = bool(record["landed"])
            if "claim" in record:
                self.claim = tuple(int(number) for number in record["claim"])
            self.status = int(record["status"])
        elif "empty" in record:
            self.empty = True
            self.leftovers += int(record["leftovers"])
            if "cpu" in record:
                self.cpu = max(self.cpu or 0.0, float(record["cpu"]))
                self.peak = max(self.peak, int(record["peak"]))
                read, written = record["io"]
                self.io = int(read), int(written)


def _identity(pair: Any) -> Identity:
    pid, start = pair
    return Identity(int(pid), int(start))
