"""How the store does, as one supervisor meets it: which of its tasks fail, since when, why, and when each is due again.

Each task stands for itself: a full disk refuses what is written while everything can be read, and one RB whose lock
cannot be beaten keeps no message from being taken. What fails is tried again ever more rarely, up to `_LONGEST`. Pure
but for its own memory; time is handed in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from supervisor.storecall import reason

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Beats that may pass until a call that has not returned counts as hanging: 30 s by default (DESIGN §3).
HANGING_BEATS = 3
#: Seconds before a task that failed is tried again: the first time, and the longest.
_FIRST = 1.0
_LONGEST = 10.0
#: Seconds after which a failure that nothing has repeated is forgotten: nobody does that task any more.
_FORGOTTEN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps a task from being done; stands in `status` and in the heartbeat."""

    #: Which call failed on which path, and with what.
    why: str
    #: When it began, and when it was over (0: it lasts), seconds since 1970.
    since: float
    until: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Failing:
    trouble: Trouble
    errno: int | None
    tries: int
    #: When it may be tried again, and when it failed last, by the monotonic clock.
    due: float
    last: float


class StoreHealth:
    """The tasks of one poller that fail."""

    def __init__(self) -> None:
        self._failing: dict[str, _Failing] = {}
        #: When the first of those that fail now began, also where that one is done again; seconds since 1970.
        self._began = 0.0
        #: The last trouble that is over; it stays in the heartbeat, where it can be read by then.
        self.last: Trouble | None = None

    def failed(self, task: str, error: OSError, monotonic: float, now: float) -> float:
        """Note that `task` failed at `now` (seconds since 1970); return for how many seconds it is to be left."""
        known = self._failing.get(task)
        tries = 1 if known is None else known.tries + 1
        pause = min(_LONGEST, _FIRST * 2.0 ** min(tries - 1, 10))
        if not self._failing:
            self._began = now
        trouble = Trouble(why=reason(error), since=now)
        if known is not None:
            same = known.errno == error.errno  # other messages have other paths: one sentence for one trouble
            trouble = known.trouble if same else Trouble(why=reason(error), since=known.trouble.since)
        self._failing[task] = _Failing(trouble, error.errno, tries, monotonic + pause, monotonic)
        return pause

    def well(self, task: str, now: float) -> None:
        """Note that `task` was done."""
        known = self._failing.pop(task, None)
        if known is not None:
            self._over(known, now)

    def _over(self, known: _Failing, now: float) -> None:
        if not self._failing:
            self.last = Trouble(why=known.trouble.why, since=self._began, until=now)

    def hung(self, call: str, lasted: float, now: float) -> None:
        """Note that a call has returned at last, after `lasted` seconds."""
        self.last = Trouble(why=f"no answer to {call}", since=now - lasted, until=now)

    def forget(self, monotonic: float, now: float) -> None:
        """Forget failures of tasks that nobody does any more, such as the claim of a run that is gone."""
        for task, known in list(self._failing.items()):
            if monotonic - known.last > _FORGOTTEN + _LONGEST:
                del self._failing[task]
                self._over(known, now)

    def is_due(self, task: str, monotonic: float) -> bool:
        """Say whether `task` may be tried now."""
        return self.due_at(task) <= monotonic

    def due_at(self, task: str) -> float:
        """When `task` may be tried, by the monotonic clock; 0 where it does not fail."""
        known = self._failing.get(task)
        return 0.0 if known is None else known.due

    @property
    def trouble(self) -> Trouble | None:
        """What has failed for the longest time, or None where everything works."""
        if not self._failing:
            return None
        return min((known.trouble for known in self._failing.values()), key=lambda trouble: trouble.since)


def trouble_of(record: Mapping[str, Any]) -> Trouble | None:
    """Return the trouble of a heartbeat or a note, or None where it tells of none."""
    why, since, until = record.get("why"), record.get("since"), record.get("until", 0.0)
    if not isinstance(why, str) or not isinstance(since, int | float) or not isinstance(until, int | float):
        return None
    return Trouble(why=why, since=float(since), until=float(until))
