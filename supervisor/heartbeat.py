"""What monitors are told of this host: a heartbeat every so often, and the same to those who ping (pure).

The form is that of SNS's agent (`reference/peers.md` §2.1): `src_name`, `role`, `status` and `pid` as text; a ping with
`reply_to` gets these laid over its own keys. What is ours stands under `supervisor`. A ping is a stranger's: it is read
up to a size, answered at a bounded rate, and never answered on a queue that has a meaning of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from supervisor import strictjson
from supervisor.stompframe import FrameError, destination

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: Longest ping that is read, bytes, and longest name that is answered, characters.
LONGEST_PING: Final = 4096
LONGEST_NAME: Final = 200
#: Answers at once, and seconds in which one more may be given.
BURST: Final = 10
_REFILL: Final = 1.0
#: What is taken over from the state as it stands there, where it is known.
_TOLD: Final = ("broker", "undeliverable", "held", "draining", "memory")
#: Times in a row that the broker may end the connection on a heartbeat until no more is sent.
SUSPICIONS: Final = 3


class BadPing(ValueError):
    """A ping that is not answered; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sign:
    """A message that is sent once, and not again."""

    queue: str
    body: str
    headers: dict[str, str]


def body(hostname: str, pid: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the heartbeat of a host.

    Args:
        hostname: what the machine is called.
        pid: of the supervisor.
        facts: what stands under `supervisor`; plain JSON.
    """
    return {
        "src_name": hostname,
        "role": "postprocessing",
        "status": "0",
        "pid": str(pid),
        "supervisor": dict(facts),
    }


def facts(
    own: Mapping[str, Any], state: Mapping[str, Any], *, oldest: float, now: float, published: int
) -> dict[str, Any]:
    """Return what stands under `supervisor`: what the host is, and how it does.

    Args:
        own: what does not change: host, version, level, limits.
        state: what `status` shows; empty before there is anything to show.
        oldest: when the first that waits here was sent, seconds since 1970; 0 for none.
        now: seconds since 1970.
        published: runs that were told to the end since the start.
    """
    running = state.get("running")
    since = state.get("store_since")
    told = {name: state[name] for name in _TOLD if name in state}
    return {
        **own,
        "slots": state.get("slots", 0),
        "running": len(running) if isinstance(running, list) else 0,
        "waiting": state.get("waiting", 0),
        "oldest_waiting_seconds": _age(oldest, now),
        "published": published,
        "store": state.get("store", "not looked at yet"),
        "store_trouble_seconds": _age(since, now),
        "disabled": sorted(state.get("disabled", {})),
        **told,
    }


def _age(since: object, now: float) -> float | None:
    return round(max(0.0, now - since), 1) if isinstance(since, int | float) and since > 0 else None


def asked(ping: bytes, forbidden: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Return where a ping wants its answer, as a STOMP destination, and its own keys.

    Args:
        ping: the body as it came.
        forbidden: names of queues that mean something else.

    Raises:
        BadPing: it is too long, no JSON object, or asks for an answer where there is none to be sent.
    """
    if len(ping) > LONGEST_PING:
        raise BadPing(f"it has {len(ping)} bytes, and {LONGEST_PING} are read")
    try:
        asking = strictjson.read_object(ping)
    except strictjson.NotStrict as error:
        raise BadPing(str(error)) from error
    wanted = asking.get("reply_to")
    if not isinstance(wanted, str):
        raise BadPing("it has no text reply_to")
    if len(wanted) > LONGEST_NAME or not wanted.isprintable() or " " in wanted:
        raise BadPing(f"reply_to is no plain name of at most {LONGEST_NAME} characters")
    try:
        where = destination(wanted)
        taken = {destination(name) for name in forbidden}
    except FrameError as error:
        raise BadPing(f"reply_to cannot be sent to: {error}") from error
    if where in taken:
        raise BadPing(f"reply_to is {where}, which has a meaning of its own")
    return where, asking


class Signs:
    """When a heartbeat is due, and which pings are answered."""

    def __init__(self, *, queue: str, every: float, forbidden: Collection[str]) -> None:
        """Send heartbeats to `queue` ("" for none) each `every` seconds; `forbidden` as of `asked`."""
        self._queue = queue
        self._every = every
        self._forbidden = frozenset(forbidden)
        self._next = 0.0
        self._left = float(BURST)
        self._filled = 0.0
        self._suspicions = 0

    def due(self, now: float) -> bool:
        """Say whether a heartbeat is due, by the monotonic clock; it counts as sent."""
        if not self._queue or self._suspicions >= SUSPICIONS or now < self._next:
            return False
        self._next = now + self._every
        return True

    def sign(self, content: Mapping[str, Any], wall: float) -> Sign:
        """Return the heartbeat with `content`; it expires at the broker when two more should have come.

        Args:
            content: as of `body`.
            wall: seconds since 1970.
        """
        return self._made(self._queue, content, wall)

    def answer(self, ping: bytes, content: Mapping[str, Any], *, now: float, wall: float) -> Sign:
        """Return the answer to a ping.

        Args:
            ping: its body as it came.
            content: as of `body`.
            now: seconds of the monotonic clock.
            wall: seconds since 1970.

        Raises:
            BadPing: it is not answered.
        """
        where, asking = asked(ping, self._forbidden)
        self._left = min(float(BURST), self._left + (now - self._filled) / _REFILL)
        self._filled = now
        if self._left < 1.0:
            raise BadPing("too many pings came; one is answered in each second")
        self._left -= 1.0
        return self._made(where, {**asking, **content}, wall)

    def refused(self, *, suspect: bool) -> bool:
        """Note that the broker refused a heartbeat; return whether it was the last to be sent.

        Args:
            suspect: it closed the connection over it, which would go on for ever.
        """
        self._suspicions = self._suspicions + 1 if suspect else SUSPICIONS
        return self._suspicions == SUSPICIONS

    def accepted(self) -> None:
        """Note that the broker took one."""
        self._suspicions = 0

    def _made(self, queue: str, content: Mapping[str, Any], wall: float) -> Sign:
        # Neither stored nor kept where nobody reads: what is late is worth nothing.
        expires = str(int((wall + 3 * self._every) * 1000))
        return Sign(queue=queue, body=json.dumps(content), headers={"persistent": "false", "expires": expires})
