"""The gates of a box that is not let go yet: builder, init and script each wait at one, and hear the same words there.

The shepherd speaks to the builder by the life pipe, the builder to the init by a pipe of their own, and the init to the
script's process by another. The end of a pipe means that whoever holds the other end cannot go on: the one that waits
ends. Words before `GO`:

    S   stands: what can be made before the box is let go is made (builder to init, init to script)
    P   another program is to be run; its length and JSON follow
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox import enclosure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.init import Plan

GO: Final = b"G"
STANDS: Final = b"S"
_AMEND: Final = b"P"
_LENGTH: Final = struct.Struct("<I")


def amendment(argv: Sequence[str], env: Mapping[str, str], shown: Mapping[str, Any] | None) -> bytes:
    """Returns what is said at a gate so that another program is run.

    Args:
        argv: its arguments.
        env: its environment.
        shown: what it needs to see (`enclosure.amendment`); None in a box that is not closed.
    """
    told = {"argv": argv, "env": dict(env), "enclosure": shown}
    body = json.dumps(told).encode()
    return _AMEND + _LENGTH.pack(len(body)) + body


def stands(fd: int) -> bool:
    """Waits until the box stands; False when nobody can say so any more."""
    return os.read(fd, 1) == STANDS


def wait(fd: int, plan: Plan) -> Plan | None:
    """Waits for the word to go.

    Args:
        fd: the gate.
        plan: what is to be run unless something else is told.

    Returns:
        The plan that is to be run; None when the box was given up.

    Raises:
        OSError: the end of the gate in the middle of a plan.
    """
    word = os.read(fd, 1)
    while word == _AMEND:
        plan = _amended(plan, fd)
        word = os.read(fd, 1)
    return plan if word == GO else None


def say(fd: int, words: bytes) -> None:
    """Says words to whoever waits; one that is gone has told why by other ways."""
    with contextlib.suppress(BrokenPipeError):
        while words:
            words = words[os.write(fd, words) :]


def pass_on(fd: int, plan: Plan, known: Plan) -> None:
    """Lets the next one go, with the plan unless that is the one it knows."""
    made = plan.enclosure
    shown = enclosure.amendment(made.interpreter, made.links) if made else None
    say(fd, GO if plan is known else amendment(plan.argv, plan.env, shown) + GO)
    os.close(fd)


def _amended(plan: Plan, fd: int) -> Plan:
    (length,) = _LENGTH.unpack(_read_exactly(fd, _LENGTH.size))
    told = json.loads(_read_exactly(fd, length))
    plan = replace(plan, argv=tuple(told["argv"]), env=told["env"])
    if plan.enclosure and told["enclosure"]:
        plan = replace(plan, enclosure=replace(plan.enclosure, **plan.enclosure.amended(told["enclosure"])))
    return plan


def _read_exactly(fd: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = os.read(fd, count - len(data))
        if not piece:
            raise OSError(errno.EPIPE, "whoever said the plan is gone")
        data += piece
    return data
