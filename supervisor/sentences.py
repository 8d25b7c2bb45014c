"""The sentences of runs that end outside a box: before it, instead of it, or after it (pure, standard library only).

What happened inside a box is told by `sandbox.sentence`; together they are every sentence that a reply, `runs` or `why`
can show, and one golden file holds them all.
"""

from __future__ import annotations

from typing import Final

from sandbox.limits import format_duration
from sandbox.sentence import plain

#: A cancel that came while the run waited, or while its shepherd looked at the site.
CANCELLED: Final = "cancelled before it began"


def gave_up(tries: int) -> str:
    """Return the sentence of a job whose shepherd vanished `tries` times without a reason of ours."""
    times = "once" if tries == 1 else f"{tries} times"
    return f"given up: its shepherd vanished {times} while it ran; look at why, then resubmit"


def refused(why: str) -> str:
    """Return the sentence of a run that no host of the site can do, or may."""
    return f"refused: {plain(why, 1000)}"


def switched_off(instrument: str, path: str) -> str:
    """Return the sentence of a run whose instrument has no script on disk, which means: do not reduce."""
    return f'skipped: reduction of {instrument} is switched off: "{plain(path, 1000)}" is not there'


def script_line(line: int, script_name: str, why: str) -> str:
    """Return the sentence of a script that was not run for what stands at one of its lines."""
    return f"script error at line {line} of {plain(script_name, 100)}: {plain(why)}"


def foreign(why: str) -> str:
    """Return the sentence of a result whose place holds the result of another RB."""
    return f"result refused: {plain(why, 1000)}"


def rejected(why: str) -> str:
    """Return the sentence of outputs that changed, or turned out unfit, while they were copied."""
    return f"output rejected: {plain(why)}"


def unavailable(trouble: str, *, by: str, tries: int, again: float) -> str:
    """Return the sentence of a run that the site kept from starting or from being filed.

    Args:
        trouble: what could not be had, and why.
        by: who tries again: "supervisor" or "producer".
        tries: how often it was tried.
        again: seconds after which a producer is to send it again.
    """
    if by == "producer":
        return f"{plain(trouble, 1000)}; to be sent again after {format_duration(again)}"
    return f"{plain(trouble, 1000)}; given up after {tries} {'try' if tries == 1 else 'tries'}"
