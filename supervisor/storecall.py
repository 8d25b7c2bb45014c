"""Calls into the store by their names: which one is under way in a thread, and which one failed, where and how.

`durable` and `flock` make each of their calls inside a `call`. While it lasts, any thread can ask what another one is
waiting for: a call that hangs can tell nothing itself. An `OSError` leaves it with the whole path, since the calls
themselves are made by names below a descriptor; `reason` makes the sentence for people of it.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

#: What is under way, by thread: the call, the path, and when it began by the monotonic clock.
_under_way: dict[int, tuple[str, str, float]] = {}
#: The longest call of each thread since it asked last, where one took longer than `_SLOW` seconds.
_slowest: dict[int, tuple[str, str, float]] = {}
_SLOW = 1.0
#: How a call is said to people, by the label of its fail-point up to the first blank, or by its own name.
_VERBS = {
    "store.fsync": "fsync",
    "store.fsync-folder": "fsync the folder of",
    "store.link": "link",
    "store.rename": "rename into place",
    "store.touch": "make",
    "store.mkdir": "make the folder",
    "store.unlink": "remove",
    "store.move": "move the folder",
    "store.remove-tree": "remove the folder",
    "store.rmdir": "remove the folder",
    "store.list": "list",
    "store.read": "read",
    "store.look": "look at",
    "store.write": "write",
    "lock.flock": "lock",
    "lock.beat": "beat the lock",
}


class call:  # noqa: N801  # reads as a statement: `with call("store.list", path):`
    """One call into the store, or a few that belong together, about `path`."""

    __slots__ = ("_before", "_name", "_path", "_thread")

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._before = _under_way.get(self._thread)
        _under_way[self._thread] = (self._name, self._path, time.monotonic())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lasted = time.monotonic() - _under_way[self._thread][2]
        if lasted > max(_SLOW, _slowest.get(self._thread, ("", "", 0.0))[2]):
            _slowest[self._thread] = (self._name, self._path, lasted)
        if self._before is None:
            _under_way.pop(self._thread, None)
        else:
            _under_way[self._thread] = self._before
        if isinstance(error, OSError):
            _place(error, self._name, self._path)


def _place(error: OSError, name: str, path: str) -> None:
    """Have an error say the whole path, and which call it was where no fail-point has said so."""
    if error.filename2 is not None:
        del error.filename2  # our temporary file: nobody knows it
    if not isinstance(error.filename, str) or not os.path.isabs(error.filename):
        error.filename = path
    if not getattr(error, "__notes__", None):
        error.add_note(name)


def reason(error: OSError) -> str:
    """Return which call failed, on which path, and with what: `cannot fsync "/store/x": No space ... (ENOSPC)`."""
    notes = getattr(error, "__notes__", None) or [""]
    verb = _VERBS.get(str(notes[0]).partition(" ")[0], "use")
    what = f' "{error.filename}"' if error.filename is not None else " the store" if verb == "use" else ""
    if error.errno is None:
        return f"cannot {verb}{what}: {error}"
    return f"cannot {verb}{what}: {os.strerror(error.errno)} ({errno.errorcode.get(error.errno, error.errno)})"


def under_way(thread: int) -> tuple[str, float]:
    """Return the call that a thread waits for, or "", and for how many seconds it has."""
    known = _under_way.get(thread)
    if known is None:
        return "", 0.0
    name, path, began = known
    return f'{_VERBS.get(name, "use")} "{path}"', time.monotonic() - began


def take_slowest() -> tuple[str, float]:
    """Return the longest call of this thread since it asked last, and its seconds; "" and 0 where all were quick."""
    name, path, lasted = _slowest.pop(threading.get_ident(), ("", "", 0.0))
    return (f'{_VERBS.get(name, "use")} "{path}"', lasted) if lasted else ("", 0.0)
