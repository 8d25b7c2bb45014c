"""What `doctor` says of time: whether something keeps this host's clock, and whether the store's agrees with it.

Clocks decide nothing in the protocol; they shift when a postponed run is tried again, which of two cancels is the later
one, and what people read.
"""

from __future__ import annotations

from typing import Final

from sandbox.limits import format_duration
from sandbox.linux import hostclock
from supervisor.checkstore import file_time
from supervisor.checkup import Finding, caution, failed, passed

_AREA: Final = "clock"
_REMEDY: Final = "systemctl enable --now chronyd (or systemd-timesyncd)"
#: Seconds: of a clock that is kept, and what heartbeats of a fleet may differ by before a host seems silent.
APART: Final = 2.0
FAR_APART: Final = 30.0


def host() -> Finding:
    """Ask the kernel whether the clock is synchronised."""
    try:
        state = hostclock.state()
    except OSError as error:
        return caution(_AREA, "host", f"the kernel does not say whether it is synchronised: {error.strerror}", _REMEDY)
    if not state.synchronised:
        return caution(_AREA, "host", "nothing synchronises it", _REMEDY)
    return passed(_AREA, "host", f"synchronised, to about {format_duration(state.error)}")


def store(path: str) -> list[Finding]:
    """Compare the time of a file that is made in the store with the host's; a store that is not there has none."""
    try:
        return [judged(file_time(path))]
    except FileNotFoundError:
        return []
    except OSError as error:
        return [caution(_AREA, "store", f"no file can be made to compare with: {error.strerror}")]


def judged(ahead: float) -> Finding:
    """Return what a difference means (pure).

    Args:
        ahead: seconds by which the store's clock is ahead of the host's.
    """
    if abs(ahead) <= APART:
        return passed(_AREA, "store", "files are stamped with this host's time")
    apart = f"the store's clock is {format_duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this host's"
    return (failed if abs(ahead) > FAR_APART else caution)(_AREA, "store", apart, _REMEDY)
