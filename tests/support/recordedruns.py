"""Scripts that record when they ran, and the reading of what they recorded: one file for each time a script began.

Level `none` only: behind walls a script can write nowhere but into its own result. Every clock is the kernel's
monotonic one, which all hosts of a test share; `to_wall` makes seconds since 1970 of it, in which the store speaks.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Between two signs of life of a script that waits, seconds.
TICK = 0.02

_SCRIPT = """
import os, time
from reduce_vars import standard_vars as v
def main(input_file, output_dir):
    began = time.monotonic()
    path = os.path.join(v["seen"], "%s %d %d" % (v["job"], time.monotonic_ns(), os.getpid()))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def say(word):
        os.write(fd, b"%s %d\\n" % (word, time.monotonic_ns()))
    os.write(fd, b"in " + os.environ["HOME"].encode() + b"\\n")
    say(b"begin")
    while time.monotonic() < began + v["seconds"] or (v["gate"] and not os.path.exists(v["gate"])):
        time.sleep(v["tick"])
        say(b"tick")
    os.makedirs(os.path.join(output_dir, "sub"), exist_ok=True)
    for name in ("value.txt", "sub/part.txt"):
        with open(os.path.join(output_dir, name), "w") as file:
            file.write((v["job"] + " " + name + " ") * 20)
    if v["fails"]:
        say(b"end")
        raise ValueError("no counts in bank 2")
    say(b"end")
    return ""
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """One time that a script ran, seconds of the monotonic clock."""

    job: str
    host: str
    pid: int
    begin: float
    #: Its last sign of life.
    last: float
    #: It came to its end; else it was killed after `last`.
    ended: bool


def script() -> str:
    """The text of a script that records itself; its variables are those of `variables`."""
    return _SCRIPT


def variables(
    job: str, seen: Path, *, seconds: float = 0.0, gate: Path | None = None, fails: bool = False, tick: float = TICK
) -> dict[str, object]:
    """What such a script is told: who it is, where to record, how long to take, and which file to wait for."""
    said = {"job": job, "seen": str(seen), "seconds": seconds, "gate": str(gate or ""), "fails": fails, "tick": tick}
    return dict(said)


def result_of(job: str) -> dict[str, bytes]:
    """The complete result of such a script."""
    return {name: f"{job} {name} ".encode() * 20 for name in ("value.txt", "sub/part.txt")}


def read(seen: Path, hosts: dict[str, str]) -> list[RecordedRun]:
    """Everything that was recorded below `seen`, in the order of the beginnings.

    Args:
        seen: the folder that the scripts were told.
        hosts: the scratch folder of each host: its path, and the host's id.
    """
    found = []
    for name in os.listdir(seen):
        job, _, pid = name.rsplit(" ", 2)
        where, times, ended = "", [], False
        for line in (seen / name).read_text().splitlines():
            word, _, value = line.partition(" ")
            if word == "in":
                where = value
            else:
                times.append(int(value) / 1e9)
                ended = ended or word == "end"
        if not times:
            continue  # killed before it could say that it had begun
        host = next((host for path, host in hosts.items() if where.startswith(f"{path}/")), "")
        found.append(RecordedRun(job=job, host=host, pid=int(pid), begin=times[0], last=times[-1], ended=ended))
    return sorted(found, key=lambda run: run.begin)


def to_wall() -> float:
    """What makes seconds since 1970 of a monotonic time of this machine."""
    return time.time() - time.monotonic()
