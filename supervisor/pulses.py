"""Watching for signs of life, for verbs: what moves within so many seconds of our own monotonic clock.

No file system tells another host's changes (inotify(7) sees local ones only), so a watch looks again and again; it ends
as soon as something has moved that it was to wait for. Wall clocks take no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.takeover import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Looks per beat: a host that lives is seen to move within one beat and this part of another.
_LOOKS = 10
_SHORTEST = 0.05
_LONGEST = 1.0


def step_of(beat: float) -> float:
    """Return the pause between two looks, in seconds, where a host beats each `beat` seconds (pure)."""
    return min(_LONGEST, max(_SHORTEST, beat / _LOOKS))


def watch(
    look: Callable[[], Mapping[str, object]],
    seconds: float,
    *,
    step: float,
    monotonic: Callable[[], float],
    wait: Callable[[float], object],
    until_moved: bool = False,
) -> dict[str, float]:
    """Watch counters for `seconds`; return for how many seconds each of them has stood still at the end.

    Args:
        look: the counters as they stand now, by fresh looks.
        seconds: how long; less than one `step` means one look.
        step: pause between two looks, seconds.
        monotonic: this host's monotonic clock, seconds.
        wait: waits for so many seconds.
        until_moved: end as soon as one has moved; it is then at 0.

    Raises:
        OSError: the store cannot be used.
    """
    seen = Watch()
    began = monotonic()
    still = {key: seen.unmoved(key, value, began) for key, value in look().items()}
    known = set(still)
    while (left := began + seconds - monotonic()) > 0:
        wait(min(step, left))
        now = monotonic()
        still = {key: seen.unmoved(key, value, now) for key, value in look().items()}
        if until_moved and any(key in known and at == 0.0 for key, at in still.items()):
            return still
        known |= set(still)
    return still
