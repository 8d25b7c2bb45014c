"""What a message asks for, as a value of one shape for all families; the readers of each family make it.

What a producer sent is kept as it was for the echo, except the keys that only a reply may say: a resent error message
must not turn the next success into an error (defect D7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supervisor.runkey import CancelKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.family import Family

#: Keys that only a reply may say; on the way in they are dropped from the echo.
REPLY_KEYS = frozenset(
    {"information", "reduction_data", "message", "reduction_log", "admin_log", "retry_in", "error", "supervisor"}
)


class BadRequest(ValueError):
    """A message cannot be read as a run or a cancel; `text` is for its sender, `body` for the echo of the reply."""

    def __init__(self, key: str, text: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        #: The key at fault, ``body`` for the message as a whole, or the name of a header.
        self.key = key
        self.text = text
        #: As much of the message as could be read; None when nothing could.
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One message, decoded."""

    #: Who speaks.
    family: Family
    #: Facility, upper case; empty in a cancel that names none.
    facility: str
    #: Instrument, upper case.
    instrument: str
    #: RB number (experiment; the IPTS of SNS) as text, stripped and upper case; empty in a cancel that names none.
    rb: str
    #: Run number by value, as text: ``75513`` for ``"00075513"``, 75513 and 75513.0; ``batch-<first>-<last>`` for a
    #: list of runs, the name that ISIS files such a result under.
    run: str
    #: Each run by value; one unless the message has a list.
    runs: tuple[str, ...]
    #: Run number as it was sent.
    run_raw: int | float | str | list[Any]
    #: Version of the run, 0 if none was sent.
    version: int
    #: Whether the message named a version; a cancel that does not means every version.
    version_given: bool
    #: Paths of the data files as they were sent; empty in a cancel that names none.
    data: tuple[str, ...]
    #: The message has a list of data files, so the script is given a list, be it of one.
    batch: bool
    #: Text of the script; empty in a cancel that names none. None: the instrument's own script on disk.
    script: str | None
    #: ``reduction_arguments.standard_vars``; keys are any text, values any JSON.
    standard_vars: Mapping[str, Any]
    #: ``reduction_arguments.advanced_vars``.
    advanced_vars: Mapping[str, Any]
    #: Software that the run asks for, ``Mantid 6.2.0``; empty if it asks for none.
    software: str
    #: What a person wrote about the run; empty if nothing.
    description: str
    #: The result goes into the run's own folder, not into one of its version (``flat_output``).
    flat: bool
    #: The message asks to cancel a run instead of running one.
    cancel: bool
    #: JMS priority, 0 to 9.
    priority: int
    #: The message as received.
    body: dict[str, Any]
    #: What replies echo: `body` without the keys that only a reply may say.
    reply_body: dict[str, Any]

    @property
    def cancel_key(self) -> CancelKey:
        """The key under which cancels and runs find each other; a batch is one run under its batch name."""
        version = None if self.cancel and not self.version_given else self.version
        return CancelKey(instrument=self.instrument, run=self.run, version=version)


def echo(message: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a message that replies repeat."""
    return {key: value for key, value in message.items() if key not in REPLY_KEYS}
