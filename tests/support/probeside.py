"""One side of a probe as a process of its own, on a file system that may be broken as the test wants it.

    left = ProbeSide(store, host="a", faults=["lock_grants"], steps=["exclusion"])
    right = ProbeSide(store, host="b")
    report = left.told()["report"]

A fault takes the place of one call of `supervisor.probetools` by which the service would meet it. `python probeside.py
JSON` is the process: it prints what came of the probe as JSON.
"""

from __future__ import annotations

import errno
import json
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path

from supervisor import durable, records, storeground
from supervisor.checkup import Status
from supervisor.layout import Layout
from supervisor.meeting import OtherGone
from supervisor.mounted import Mount
from supervisor.mountrules import LockTimes
from supervisor.peerprobe import STEPS, BrokenProbe, Prober
from supervisor.probestage import Terms
from supervisor.probetools import Clock, Tools
from supervisor.rblock import RbLock
from supervisor.rendezvous import NobodyCame, SameHost

ROOT = Path(__file__).resolve().parents[2]
NFS = "rw,vers=4.2,hard,local_lock=none"
#: Seconds for which a stale look repeats its last answer.
STALE = 0.7


class Broken(Tools):
    """A file system with faults."""

    def __init__(self, faults):
        self._faults = frozenset(faults)
        self._cache = {}

    def _has(self, fault):
        return fault in self._faults

    def _stale(self, fault, key, look):
        """Answer a look as a cache would that nobody invalidates."""
        if not self._has(fault):
            return look()
        at, answer = self._cache.get((fault, key), (float("-inf"), None))
        if time.monotonic() - at > STALE:
            at, answer = time.monotonic(), look()
            self._cache[fault, key] = (at, answer)
        return answer

    def lock(self, path):
        if self._has("lock_unsupported"):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), path)
        if self._has("lock_refuses"):
            return None
        if self._has("lock_grants"):
            return RbLock(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660))
        return super().lock(path)

    def link(self, path, data):
        if self._has("link_replaces"):
            durable.replace(path, data, "probe")
            return True
        if self._has("link_refuses") and "cells" in path:
            super().link(path, data)
            return False
        return super().link(path, data)

    def exists(self, path):
        return self._stale("stale_names", path, lambda: super(Broken, self).exists(path))

    def read(self, path):
        return self._stale("stale_reads", path, lambda: super(Broken, self).read(path))

    def counter(self, path):
        return self._stale("stale_counters", path, lambda: super(Broken, self).counter(path))

    def epoch(self, path):
        return self._stale("stale_folders", path, lambda: super(Broken, self).epoch(path))

    def owner(self, path):
        facts = super().owner(path)
        return facts | {"uid": 65534, "gid": 65534} if self._has("squashed") else facts

    def remove(self, path):
        if self._has("sticky") and "owner" in path:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        super().remove(path)

    def replace(self, path, data):
        if self._has("slow") and "writes" in path:
            time.sleep(0.3)
        if self._has("dies") and "writes" in path:
            os._exit(9)
        super().replace(path, data)


class Ahead(Clock):
    """A wall clock that is not right."""

    def __init__(self, seconds):
        self._seconds = seconds

    def wall(self):
        return super().wall() + self._seconds


def ground(kind="nfs4", options=NFS, source="server:/export"):
    """What the store of a side lies on, by its word."""
    return storeground.of(Mount(point="/s", kind=kind, source=source, options=frozenset(options.split(","))))


def prober(store, *, host, boot="", faults=(), steps=None, cells=30, ahead=0.0, mount=None, **changes):
    """Return one side with short terms."""
    terms = {"times": LockTimes(**changes.pop("times", {})), "cells": cells, "holds": 20, "rounds": 3, "writes": 5}
    return Prober(
        layout=Layout(str(store)),
        host=host,
        boot=boot or f"boot of {host}",
        version=changes.pop("version", "1"),
        ground=ground(**(mount or {})),
        terms=Terms(**terms, bound=changes.pop("bound", 5.0), cached=0.3),
        same_machine=changes.pop("same_machine", False),
        rng=random.Random(host),
        token=lambda: secrets.token_hex(8),
        tell=lambda text: print(text, file=sys.stderr, flush=True),
        tools=Broken(faults),
        clock=Ahead(ahead),
        steps=[step for step in STEPS if steps is None or step.name in {"clocks", *steps}],
        **changes,
    )


class ProbeSide:
    """A side in a process of its own."""

    def __init__(self, store, *, wait=60.0, **order):
        order = {"store": str(store), "wait": wait, **order}
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(order)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def told(self, patience=100.0):
        """What came of it; the process has ended."""
        try:
            out, err = self.process.communicate(timeout=patience)
        finally:
            self.end()
        assert out, err
        return json.loads(out)

    def end(self):
        """Kill it, wherever it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()


def main(order):
    """Probe, and say what came of it."""
    store, wait = order.pop("store"), order.pop("wait")
    try:
        report = prober(store, **order).run(wait)
    except (NobodyCame, SameHost, OtherGone, BrokenProbe, OSError, records.CorruptRecord) as end:
        return {"end": type(end).__name__, "why": str(end)}
    assert report.status in Status
    return {"report": report.to_json(), "lines": report.lines()}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
