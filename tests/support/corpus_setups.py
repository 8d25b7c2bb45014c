"""What cases of the hostile corpus need outside of their boxes; `tests/host/corpus/README.md` says how one is written.

Group by group: each author adds below the heading of the group.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boxes
from corpus import FOLDER, Stage, place_of, setup

from sandbox.box import start
from sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


# processes


@setup
def victim(stage: Stage) -> Iterator[None]:
    """A process of the same user outside of the box, in a group of its own; it stands for the shepherd."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE, process_group=0
    ) as other:
        stage.vars["victim"] = other.pid
        yield
        if other.poll() is not None:
            stage.problems.append(f"the process outside has ended: {other.returncode}")
        other.kill()


@setup
def share_of_processors(stage: Stage) -> Iterator[None]:
    """Looks at the processor time: the quota of the group holds, without one the processors that the script may use."""
    yield
    if stage.outcome is None or not stage.outcome.usage.wall.value:
        return
    used = (stage.outcome.usage.cpu.value or 0) / stage.outcome.usage.wall.value
    # A quota is given anew every 100 ms, and the first one is there at the start.
    most = 0.6 if stage.outcome.guards.facts.get("cpu", "").startswith("cgroup") else 1.1
    if not 0.02 < used < most:
        stage.problems.append(f"{used:.2f} processors were used, of at most {most}")


# memory


@setup
def big_input(stage: Stage) -> Iterator[None]:
    """A sibling of the data, four times as large as the memory."""
    path = os.path.join(stage.data, "ENGINX00075511.nxs")
    with Path(path).open("wb") as file:
        file.truncate(256 << 20)
    stage.vars["big"] = path
    yield
    os.unlink(path)


# disk


@setup
def copied_results(stage: Stage) -> Iterator[None]:
    """The results are copied out as for an archive, and each is what the script wrote."""
    stage.copy = True
    yield
    for found in stage.outcome.outputs if stage.outcome else ():
        copied = os.path.join(stage.results, found.path)
        if not os.path.isfile(copied) or os.path.islink(copied) or os.path.getsize(copied) != found.size:
            stage.problems.append(f"{found.path} was not copied")


@setup
def project_folder(stage: Stage) -> Iterator[None]:
    """A file of this project, beside the interpreter's environment."""
    stage.vars["project"] = str(FOLDER / "README.md")
    yield


_NEIGHBOUR = """
import os, sys, time
for path in ("/dev/shm/of_the_other", "/tmp/of_the_other"):
    with open(path, "w") as file:
        file.write("of the other")
print("ready", flush=True)
time.sleep(60)
"""


@setup
def other_run(stage: Stage) -> Iterator[None]:
    """Another box that runs beside this one, with its input and its results, in the same spool."""
    data = os.path.join(stage.folder, "RB2", "ENGINX00099999.nxs")
    os.mkdir(os.path.dirname(data))
    Path(data).write_bytes(b"of the other")
    spool = os.path.join(stage.folder, "spool_of_the_other")
    os.mkdir(spool)
    made = boxes.box(
        spool,
        _NEIGHBOUR,
        input_files=(data,),
        limits=Limits(memory=128 << 20, wall=60, grace=0.3),
        **place_of(stage),
    )
    with start(made) as other:
        boxes.drive(other, boxes.says("ready", known=True))
        script = other.facts()["script"].pid  # type: ignore[attr-defined]
        stage.vars |= {"other_input": data, "other_output": f"{other.scratch}/out", "other_box": other.scratch}
        stage.vars["other_pid"] = script
        yield
        if not os.path.exists(f"/proc/{script}"):
            stage.problems.append("the other run has ended")
