"""Small stores for tests: requests, layouts, and children that act in a process of their own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor import journal
from supervisor.layout import Layout
from supervisor.records import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_store(folder: Path) -> Layout:
    """An empty store below `folder`."""
    layout = Layout(str(folder / "store"))
    journal.open_store(layout, create=True)
    return layout


def request(job: str = "101", **changes: Any) -> Request:
    """A request of instrument ENGINX, RB 1, whose run bears the name of its job."""
    fields: dict[str, Any] = {
        "job": job,
        "body": "{}",
        "digest": "d",
        "headers": {},
        "family": "isis2016",
        "instrument": "ENGINX",
        "facility": "ISIS",
        "rb": "1",
        "run": job,
        "run_raw": job,
        "version": 0,
        "data": ["/data/run.nxs"],
        "priority": 4,
        "time_ms": 1000,
        "sequence": 0,
    }
    return Request(**fields | changes)


def in_child(call: Callable[[], int]) -> int:
    """Fork, return the exit status of a child that calls `call`; the child ends without any clean-up of pytest's."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = call()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
