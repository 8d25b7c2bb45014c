"""Time between two hosts: how far their clocks are apart, with bounds, and how long a durable record takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import format_duration
from supervisor import checkclock
from supervisor.probestage import Offset, bad, good, odd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from supervisor.checkup import Finding
    from supervisor.probestage import Pair, Stage

_ROUNDS: Final = 8
#: Seconds for a durable record, beyond which intake is felt to be slow (as `doctor` says of one host).
_SLOW: Final = 1.0
#: Bytes of a record; a heartbeat has some 500.
_RECORD: Final = 512
_KEEP: Final = "systemctl enable --now chronyd (or systemd-timesyncd) on both"


def clocks(stage: Stage) -> dict[str, Any]:
    """Exchange times: b asks, a answers (as RFC 5905 does, with bounds instead of filters)."""
    meeting, clock = stage.meeting, stage.clock
    times = []
    for number in range(_ROUNDS):
        if stage.side == "b":
            asked = clock.wall()
            meeting.post(f"ping.{number}")
            answer = meeting.wait(f"pong.{number}")
            times.append([asked, answer["received"], answer["sent"], clock.wall()])
        else:
            meeting.wait(f"ping.{number}")
            received = clock.wall()
            meeting.post(f"pong.{number}", received=received, sent=clock.wall())
    return {"times": times}


def offset(times: Sequence[Sequence[float]]) -> Offset:
    """Return how far b is ahead of a (pure).

    Args:
        times: of each exchange: asked by b, received by a, sent by a, had by b; no message arrives before it was sent.
    """
    least = max(asked - received for asked, received, _, _ in times)
    most = min(had - sent for _, _, sent, had in times)
    return Offset(least, most)


def judge_clocks(pair: Pair) -> Iterator[Finding]:
    """Say how far the clocks are apart."""
    name = "clocks"
    ahead = pair.offset
    a, b = pair.hosts["a"], pair.hosts["b"]
    if ahead.least > ahead.most:
        yield odd(name, f"a clock was set while {a} and {b} compared theirs", _KEEP)
        return
    fast, slow = (b, a) if ahead.middle >= 0 else (a, b)
    text = (
        f"{fast} is {format_duration(abs(ahead.middle))} ahead of {slow}, give or take {format_duration(ahead.error)}"
    )
    surely = max(0.0, ahead.least, -ahead.most)
    if surely > checkclock.FAR_APART:
        yield bad(name, text, _KEEP)
    else:
        yield (odd(name, text, _KEEP) if surely > checkclock.APART else good(name, text))


def writes(stage: Stage) -> dict[str, Any]:
    """Time durable records, on both sides at once."""
    meeting, clock = stage.meeting, stage.clock
    path = meeting.work(f"writes.{stage.side}", "record")
    meeting.together("writes")
    lasted: list[float] = []
    until = clock.steady() + stage.terms.bound
    while len(lasted) < stage.terms.writes and (not lasted or clock.steady() < until):
        meeting.presence.beat()
        begun = clock.steady()
        stage.tools.replace(path, (b"%d" % len(lasted)).ljust(_RECORD))
        lasted.append(clock.steady() - begun)
    meeting.together("writes over")
    lasted.sort()
    return {
        "count": len(lasted),
        "p50": lasted[len(lasted) // 2],
        "p99": lasted[min(len(lasted) - 1, len(lasted) * 99 // 100)],
        "max": lasted[-1],
    }


def judge_writes(pair: Pair) -> Iterator[Finding]:
    """Say how long a durable record takes on each host."""
    for side in ("a", "b"):
        seen = pair.of(side)
        name = f"durable records of {pair.hosts[side]}"
        text = (
            f"{seen['count']} written and fsynced: {format_duration(seen['p50'])} in the middle, "
            f"{format_duration(seen['p99'])} for 99 of 100, {format_duration(seen['max'])} at most"
        )
        beat = pair.terms.times.beat
        if seen["p99"] > beat:
            yield bad(name, f"{text}; heartbeats of {format_duration(beat)} would be late", "use a faster file system")
        elif seen["p99"] > _SLOW:
            yield odd(name, f"{text}, which is slow", "see what else the server does")
        else:
            yield good(name, text)
