"""Things of the host for a box to reach for while its guards are proven: none of them may be had from inside.

They stand for what a host really has: a file, a port, a socket, shared memory, keys, a process, a variable. All of them
are made for the moment, worth nothing, and gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.linux import keyring, proctree, sharedmemory, syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: A variable of the prover that no box may see.
VARIABLE: Final = "AUTOREDUCE_NOT_FOR_BOXES"
_NAMESPACES: Final = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
_CALLS: Final = ("keyctl", "io_uring_setup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bait:
    """What the acts are aimed at, as plain JSON."""

    aim: Mapping[str, Any]


@contextlib.contextmanager
def laid_out(spool: str) -> Iterator[Bait]:
    """Lays everything out, and takes it away again.

    Args:
        spool: an existing folder, in which a file is made.

    Raises:
        OSError: something could not be made.
    """
    mark = secrets.token_hex(8)
    with contextlib.ExitStack() as laid:
        marker = os.path.join(os.path.abspath(spool), f"bait-{mark}")
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        laid.callback(os.unlink, marker)
        port = laid.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        abstract = laid.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind("")  # a name of the kernel's choice (unix(7), autobind)
        abstract.listen(1)
        key = _segment(laid)
        os.environ[VARIABLE] = mark
        laid.callback(os.environ.pop, VARIABLE)
        me = proctree.identity(os.getpid())
        yield Bait(
            aim={
                "mark": mark,
                "marker": marker,
                "port": port,
                "abstract": abstract.getsockname().hex(),
                "shared_memory": key,
                "session": _session(),
                "variables": [VARIABLE],
                "process": [os.getpid(), me.start if me else 0],
                "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES},
                "calls": {name: syscalls.number_here(name) for name in _CALLS},
            }
        )


def _segment(laid: contextlib.ExitStack) -> int:
    """Makes shared memory and returns its key; 0 on a host that has none to be found."""
    try:
        return laid.enter_context(sharedmemory.segment())
    except OSError:
        return 0


def _session() -> int:
    """Names our session keyring; 0 on a host that keeps its keys from us as well."""
    try:
        return keyring.session()
    except OSError:
        return 0
