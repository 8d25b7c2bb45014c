"""The host's clock: whether something keeps it at the right time (adjtimex(2))."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from sandbox.linux import libc

#: Offsets in struct timex on a 64-bit kernel: `esterror` in microseconds, and `status`.
_ERROR_AT: Final = 32
_STATUS_AT: Final = 40
_STA_UNSYNC: Final = 0x40
#: What adjtimex(2) answers where the clock is not synchronised.
_TIME_ERROR: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """What the kernel knows of its clock."""

    synchronised: bool
    #: Estimated error, seconds; worth something only where it is synchronised.
    error: float


def state() -> ClockState:
    """Asks the kernel.

    Raises:
        OSError: it does not say, as in some containers.
    """
    answer, timex = libc.adjtimex()
    (error,) = struct.unpack_from("@q", timex, _ERROR_AT)
    (status,) = struct.unpack_from("@i", timex, _STATUS_AT)
    return ClockState(synchronised=answer != _TIME_ERROR and not status & _STA_UNSYNC, error=error / 1e6)
