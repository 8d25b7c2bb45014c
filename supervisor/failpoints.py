"""Fail-points: named places before and after every effect, where a test can stop or kill the process that stands there.

The effect adapters (`durable`, `rblock`, `archive`, `nurserylink`, `broker`, the shepherd's box calls) wrap each call
in `effect(label)`; nobody places a point by hand. Without the variable `AUTOREDUCE_FAILPOINTS` and without a hook a
point costs one comparison.

The variable names a folder. `trace` in it, when it exists, receives one line `process label` for each point reached:
that is how the list of points is generated. `armed` in it holds one such line and an action; the process that
reaches it removes the file first, so that a point is hit once even by a nursery that lives on, and then kills or
stops itself. `standing` holds orders that stay, for processes that are named by their kind, their pid or not at all:
a call is answered by an error instead of being made (a lost lock, an archive that takes nothing), or the thread that
would make it hangs at the FIFO `gate` until somebody opens that for writing (a server that is cut off), while the other
threads of its process go on.

Each host of a test has a folder of its own, so that its processes stand and fall alone.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: The variable that names the folder of `armed` and `trace`.
VARIABLE = "AUTOREDUCE_FAILPOINTS"

_folder: str | None = os.environ.get(VARIABLE)
_process = "supervisor"
_hook: Callable[[str], None] | None = None


def enter_process(name: str) -> None:
    """Say which process this is from now on: `supervisor`, `nursery` or `shepherd`."""
    global _process  # noqa: PLW0603  # the identity of a process is the one thing that is global to it
    _process = name


def set_hook(hook: Callable[[str], None] | None) -> None:
    """Call `hook` with every label reached in this process; used by tests that interleave threads."""
    global _hook  # noqa: PLW0603  # a seam of the tests, None in production
    _hook = hook


def point(label: str) -> None:
    """Reach the point `label`: trace it, and do what is armed for it."""
    if _hook is not None:
        _hook(label)
    if _folder is not None:
        _reach(_folder, label)


def _reach(folder: str, label: str) -> None:
    line = f"{_process} {label}\n"
    try:
        trace = os.open(os.path.join(folder, "trace"), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        trace = -1
    if trace >= 0:
        os.write(trace, line.encode())
        os.close(trace)
    if label.endswith(" before"):
        while _obey(folder, label):
            continue  # it hung: what holds now may be another answer
    armed = os.path.join(folder, "armed")
    order = _read(armed, {})
    if order.get("process") != _process or order.get("label") != label:
        return
    try:
        os.unlink(armed)
    except FileNotFoundError:
        return  # another process of the same kind was first
    action = order.get("action", "kill")
    if action == "stop":
        signal.raise_signal(signal.SIGSTOP)  # to this thread: sent to the process, it may let us run on a little
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _obey(folder: str, label: str) -> bool:
    """Do what the standing orders say of the call that `label` stands before; say whether this thread hung for one.

    Raises:
        OSError: of the number that is ordered; the call is not made.
    """
    for order in _read(os.path.join(folder, "standing"), []):
        who = order.get("process") in (None, _process) and order.get("pid") in (None, os.getpid())
        if not who or not label.startswith(tuple(order["labels"])):
            continue
        if "error" in order:
            raise OSError(order["error"], os.strerror(order["error"]))
        os.close(os.open(os.path.join(folder, "gate"), os.O_RDONLY | os.O_CLOEXEC))
        return True
    return False


def _read(path: str, default: Any) -> Any:
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except (FileNotFoundError, ValueError):
        return default


class effect:  # noqa: N801  # reads as a statement: `with effect("store.link outcome"):`
    """Stand between `before` and `after` of one call of an effect adapter."""

    __slots__ = ("_label",)

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> None:
        if _hook is not None or _folder is not None:
            point(self._label + " before")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (_hook is not None or _folder is not None):
            point(self._label + " after")
