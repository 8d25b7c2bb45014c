"""The opponent's side of `containment.py`: benchexec's runexec API, in process, in a virtual environment of its own.

Reads one order a line (JSON: argv, env) and answers with one line: milliseconds of `execute_run`, and what it measured.
The interpreter and the imports are paid once, before the first order.
"""

import json
import logging
import os
import sys
import tempfile
import time

from benchexec import __version__, container
from benchexec.runexecutor import RunExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main() -> int:
    logging.basicConfig(level=logging.ERROR)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever benchexec prints is no answer
    modes = {"/": container.DIR_READ_ONLY, "/tmp": container.DIR_HIDDEN, "/run": container.DIR_HIDDEN}
    if ROOT.startswith(("/tmp/", "/run/")):
        modes[ROOT] = container.DIR_READ_ONLY  # a clone there has its interpreter in what is hidden
    executor = RunExecutor(use_namespaces=True, dir_modes=modes, network_access=False)
    had = sorted(map(str, executor.cgroups.subsystems))
    print(json.dumps({"version": __version__, "cgroups": had}), file=answers, flush=True)
    with tempfile.TemporaryDirectory(prefix="autoreduce-bench-") as folder:
        for line in sys.stdin:
            order = json.loads(line)
            log = os.path.join(folder, "log")
            began = time.perf_counter()
            result = executor.execute_run(
                args=order["argv"],
                output_filename=log,
                environments={"keepEnv": {}, "newEnv": order["env"]},
                workingDir="/",
            )
            took = (time.perf_counter() - began) * 1000
            ended = result.get("exitcode")
            answer = {
                "ms": took,
                "status": None if ended is None else ended.raw,
                "cpu": result.get("cputime"),
                "memory": result.get("memory"),
                "reason": result.get("terminationreason"),
            }
            print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
