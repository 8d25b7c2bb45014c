"""Runs compared by value: the key under which a cancel finds its run, whatever form the producers gave the number.

The end-of-run monitor sends ``"00075513"``, the web application ``75513``, a spreadsheet ``75513.0``; all three are one
run. A cancel that compares raw JSON values never matches and later kills an innocent run (`reference/peers.md` D11).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

#: A whole number as producers write it: a sign, digits, and perhaps a fraction of zeros. ASCII digits only.
_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?", re.ASCII)


def run_value(value: object) -> str:
    """Returns the text under which a run number is compared, filed and shown.

    Whole numbers lose padding, a plus sign and a zero fraction; any other text is only stripped. Digits are handled as
    text, so that a number of any length costs nothing and never meets the interpreter's limit for long integers.

    Args:
        value: What stood under ``run_number`` in a message: an int, a float or a text.

    Raises:
        ValueError: The value is neither a number nor a text, or it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"a run number is a number or a text, not {type(value).__name__}")  # noqa: TRY004  one error type for one question
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a run number is finite, not {value}")
        text = str(int(value)) if value.is_integer() else str(value)
    else:
        text = _decimal(value) if isinstance(value, int) else value.strip()
    match = _WHOLE.fullmatch(text)
    if match is None:
        return text
    sign, digits = match.groups()
    return f"-{digits}" if sign == "-" and digits != "0" else digits


def is_whole(text: str) -> bool:
    """Returns whether a text made by `run_value` is a whole number."""
    return _WHOLE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelKey:
    """What a cancel names: one run of one instrument, in one version or in every version."""

    #: Name of the instrument, upper case. Part of the key: two instruments may both have a run 75513.
    instrument: str
    #: The run as `run_value` gives it.
    run: str
    #: The version of the run; None in a cancel means every version.
    version: int | None = None

    def matches(self, other: CancelKey) -> bool:
        """Returns whether both keys speak of the same run; a missing version on either side matches every version."""
        same_run = self.instrument == other.instrument and self.run == other.run
        return same_run and (self.version is None or other.version is None or self.version == other.version)


def _decimal(value: int) -> str:
    """Writes an integer; one beyond the interpreter's limit of digits stays a ValueError that says so."""
    try:
        return str(value)
    except ValueError:
        raise ValueError("a run number of more than 4000 digits is no run number") from None
