"""What the box and the store cost: paired figures in milliseconds and ratios, a table and one JSON line.

Each box run stands beside a bare start of the same interpreter in the same second, in turn, so that a busy machine
slows both. The medians are compared; the spread is the middle half. Times inside scripts are of CLOCK_MONOTONIC, which
all processes of a host share.

    python bench/overhead.py
    python bench/overhead.py --only idle --idle-seconds 60
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests", "support")]

from embedded import Embedded  # noqa: E402  # the tests' own site: one supervisor on an embedded store

from sandbox import box, handoff, harness  # noqa: E402

PARTS = ("box", "latency", "rate", "idle")
AIMS = {
    "box_overhead_ms": ("<=", 150.0),
    "accepted_to_first_line_ms": ("<=", 150.0),
    "jobs_per_second": (">=", 10.0),
    "idle_cpu_percent": ("<=", 0.2),
    "idle_rss_mb": ("<=", 60.0),
}
TRIVIAL = b"def main(input_file, output_dir):\n    return ''\n"
#: Its first line notes the time; nothing of it is ours before that.
CLOCKED = """\
import time; FIRST = time.monotonic()
import os
def main(input_file, output_dir):
    with open(os.path.join(output_dir, "first"), "w") as file:
        file.write(repr(FIRST))
"""


@dataclass
class Row:
    """One line of the table."""

    key: str
    what: str
    value: float
    unit: str
    note: str = ""

    def aim(self) -> str:
        sense, bound = AIMS.get(self.key, ("", 0.0))
        if not sense:
            return ""
        met = self.value <= bound if sense == "<=" else self.value >= bound
        return f"{sense} {bound:g} {self.unit}: {'met' if met else 'MISSED'}"


def middle(values: list[float]) -> str:
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.1f} .. {high:.1f}"


# --- bare against boxed -----------------------------------------------------------------------------------------------


def spawn(argv: list[str], env: dict[str, str]) -> float:
    """Fork, exec and wait, the cheapest way there is; milliseconds."""
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env)
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - began) * 1000
    assert status == 0, f"{argv} ended with {status}"
    return took


def boxed(spool: str) -> dict[str, float]:
    """Run the trivial script in a box as a shepherd does; milliseconds of each stretch."""
    made = box.Box(interpreter=(sys.executable,), script=TRIVIAL, spool=spool, input_files=(__file__,))
    marks = [time.perf_counter()]
    prepared = box.prepare(made)
    marks.append(time.perf_counter())
    running = prepared.release()
    exited = None
    while not running.ended:
        running.pump(time.monotonic())
        if exited is None and running.facts()["status"] is not None:
            exited = time.perf_counter()
        running.wait()
    marks.append(time.perf_counter())
    outcome = running.outcome()
    marks.append(time.perf_counter())
    running.close()
    marks.append(time.perf_counter())
    assert outcome.verdict == "completed", outcome.sentence
    names = ("prepare", "released_to_ended", "outcome", "close")
    parts = {name: (b - a) * 1000 for name, a, b in zip(names, marks, marks[1:], strict=False)}
    parts["status_to_ended"] = (marks[2] - (exited or marks[2])) * 1000
    return parts | {"total": (marks[2] - marks[0]) * 1000}


def bench_box(folder: str, pairs: int) -> list[Row]:
    spool, bare = os.path.join(folder, "spool"), os.path.join(folder, "bare")
    for made in (spool, bare, os.path.join(bare, "out")):
        os.mkdir(made)
    script = os.path.join(bare, "reduce.py")
    with open(script, "wb") as file:
        file.write(TRIVIAL)
    order = handoff.HandoffIn(
        input_files=(__file__,),
        output_dir=os.path.join(bare, "out"),
        script=script,
        script_sha256=hashlib.sha256(TRIVIAL).hexdigest(),
        mode="module",
        reduce_vars={},
        facts={},
        batch=False,
        default_vars=None,
        skip_anywhere=False,
        script_args=(),
    )
    env = {"PATH": os.defpath, "HOME": bare, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
    empty, harnessed, boxes = [], [], []
    handoff_fd = os.open(bare, os.O_RDONLY | os.O_DIRECTORY)
    for turn in range(pairs + 3):
        handoff.write(handoff_fd, order)
        one = spawn([sys.executable, "-I", "-S", "-c", "pass"], env)
        two = spawn([sys.executable, harness.__file__, bare], env)
        three = boxed(spool)
        if turn >= 3:  # the first warm the caches
            empty.append(one)
            harnessed.append(two)
            boxes.append(three)
    os.close(handoff_fd)
    total = [b["total"] for b in boxes]
    over = [b - h for b, h in zip(total, harnessed, strict=True)]
    rows = [
        Row("bare_ms", "bare python -I -S -c pass", statistics.median(empty), "ms", middle(empty)),
        Row("harness_ms", "bare python harness.py", statistics.median(harnessed), "ms", middle(harnessed)),
        Row("box_ms", "box, prepare to ended", statistics.median(total), "ms", middle(total)),
        Row("box_overhead_ms", "box above bare harness, paired", statistics.median(over), "ms", middle(over)),
        Row(
            "box_to_bare", "box / bare python",
            statistics.median(b / e for b, e in zip(total, empty, strict=True)), "x",
        ),
        Row(
            "box_to_harness", "box / bare harness",
            statistics.median(b / h for b, h in zip(total, harnessed, strict=True)), "x",
        ),
    ]  # fmt: skip
    for part in ("prepare", "released_to_ended", "status_to_ended", "outcome", "close"):
        values = [b[part] for b in boxes]
        name = part.replace("_", " ")
        rows.append(Row(f"box_{part}_ms", f"  of it: {name}", statistics.median(values), "ms", middle(values)))
    return rows


# --- the supervisor -------------------------------------------------------------------------------------------------


def wait_all(site: Embedded, timeout: float) -> None:
    """Wait until every job has been told of; one listing is one look."""
    deadline = time.monotonic() + timeout
    while os.listdir(site.layout.waiting):
        assert time.monotonic() < deadline, f"jobs still wait after {timeout:g} s:\n{site.log_text()[-2000:]}"
        assert site.process is not None, "the supervisor was not started"
        assert site.process.poll() is None, site.log_text()[-2000:]
        time.sleep(0.01)


def bench_latency(folder: str, runs: int) -> list[Row]:
    with Embedded(folder, store={"poll": "10 ms"}, host={"slots": 2}, isolation={"require": "contained"}) as site:
        site.start()
        took = []
        for number in range(runs + 3):
            message = site.message(CLOCKED, run=1000 + number, rb=1510111 + number % 4)
            site.submit(message)
            accepted = time.monotonic()
            wait_all(site, 60.0)
            path = site.result("first", run=1000 + number, rb=1510111 + number % 4)
            with open(path, encoding="ascii") as file:
                took.append((float(file.read()) - accepted) * 1000)
        site.stop()
    took = took[3:]
    return [
        Row("accepted_to_first_line_ms", "accepted to first user line", statistics.median(took), "ms", middle(took)),
        Row("accepted_to_first_line_max_ms", "  slowest", max(took), "ms"),
    ]


def bench_rate(folder: str, jobs: int, rbs: int) -> list[Row]:
    with Embedded(folder, store={"poll": "10 ms"}, host={"slots": 2}, isolation={"require": "contained"}) as site:
        site.start()
        script = TRIVIAL.decode()
        site.submit(site.message(script, run=1, rb=1510000))
        wait_all(site, 60.0)
        nursery, supervisor = site.nursery(), site.process.pid
        used = spent(nursery, supervisor)
        messages = [site.message(script, run=1000 + n, rb=1520000 + n % rbs) for n in range(jobs)]
        began = time.monotonic()
        for message in messages:
            site.submit(message)
        journaled = time.monotonic() - began
        wait_all(site, 600.0)
        took = time.monotonic() - began
        used = spent(nursery, supervisor) - used
        site.stop()
    return [
        Row(
            "jobs_per_second",
            f"trivial jobs, {rbs} RBs, 2 slots, durable",
            jobs / took,
            "/s",
            f"{jobs} in {took:.1f} s",
        ),
        Row("job_cpu_ms", "  cpu of one, all processes", used / jobs * 1000, "ms"),
        Row("journal_ms", "  journal() of one", journaled / jobs * 1000, "ms"),
    ]


def spent(nursery: int, supervisor: int) -> float:
    """Processor time so far of the supervisor, the nursery, and every process that the nursery has reaped."""
    with open(f"/proc/{nursery}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()  # from the third on: proc_pid_stat(5)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + cpu_seconds(supervisor)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    return schedstat(pid, 0) / 1e9


def wakes(pid: int) -> int:
    """How often the threads of a process were given a processor so far."""
    return schedstat(pid, 2)


def schedstat(pid: int, column: int) -> int:
    """Sum of a column of /proc/<pid>/task/<tid>/schedstat over all threads: nanoseconds run, waited, and turns."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f,
        ):
            total += int(f.read().split()[column])
    return total


def waking(often: float, seconds: float) -> float:
    """Percent of a core that a Python takes which wakes so often a second and does nothing: the floor of a machine.

    On a virtual machine a wake from idleness may cost more than all that is done then.
    """
    text = f"import time\nwhile True: time.sleep({1 / max(often, 0.1)})"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", text])
    try:
        time.sleep(1.0)
        before, began = cpu_seconds(child.pid), time.monotonic()
        time.sleep(seconds)
        return (cpu_seconds(child.pid) - before) / (time.monotonic() - began) * 100
    finally:
        child.kill()
        child.wait()


def memory(pid: int) -> dict[str, float]:
    """VmRSS and Pss of a process in MB (10**6 bytes)."""
    found = {}
    for name, path in (("VmRSS", "status"), ("Pss", "smaps_rollup")):
        with open(f"/proc/{pid}/{path}", encoding="ascii", errors="replace") as file:
            line = next(line for line in file if line.startswith(f"{name}:"))
        found[name] = int(line.split()[1]) * 1024 / 1e6
    return found


def bench_idle(folder: str, seconds: float) -> list[Row]:
    with Embedded(folder, store={"poll": "1 s"}) as site:  # the default
        site.start()
        site.submit(site.message())
        wait_all(site, 60.0)
        nursery = site.nursery()
        supervisor = site.process.pid
        time.sleep(3.0)  # the run's own echo is over
        before, woken = {pid: cpu_seconds(pid) for pid in (supervisor, nursery)}, wakes(supervisor)
        began = time.monotonic()
        time.sleep(seconds)
        lasted = time.monotonic() - began
        used = {pid: (cpu_seconds(pid) - before[pid]) / lasted * 100 for pid in before}
        often = (wakes(supervisor) - woken) / lasted
        mem = memory(supervisor)
        beside = memory(nursery)
        site.stop()
    return [
        Row("idle_cpu_percent", f"idle supervisor, cpu of a core, {lasted:.0f} s", used[supervisor], "%"),
        Row("idle_least_percent", f"  a bare Python that wakes as often, {often:.1f} /s", waking(often, seconds), "%"),
        Row("idle_rss_mb", "idle supervisor, RSS", mem["VmRSS"], "MB", f"Pss {mem['Pss']:.1f} MB"),
        Row("idle_nursery_cpu_percent", "idle nursery, cpu of a core", used[nursery], "%"),
        Row("idle_nursery_rss_mb", "idle nursery, RSS", beside["VmRSS"], "MB", f"Pss {beside['Pss']:.1f} MB"),
    ]


# --- the command ------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40, help="paired runs, and runs of the latency (default 40)")
    parser.add_argument("--jobs", type=int, default=100, help="jobs of the throughput (default 100)")
    parser.add_argument("--rbs", type=int, default=20, help="RBs they belong to (default 20)")
    parser.add_argument("--idle-seconds", type=float, default=20.0, help="how long idleness is watched (default 20)")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part alone; may be given again")
    parser.add_argument("--folder", help="where the store and the scratch lie (default: the temporary folder)")
    options = parser.parse_args()
    if options.pairs < 2 or options.jobs < 1 or options.rbs < 1:
        parser.error("--pairs must be at least 2, --jobs and --rbs at least 1")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="autoreduce-bench-", dir=options.folder) as folder:
        for part in options.only or PARTS:
            place = os.path.join(folder, part)
            os.mkdir(place)
            print(f"measuring: {part}", file=sys.stderr, flush=True)
            if part == "box":
                rows += bench_box(place, options.pairs)
            elif part == "latency":
                rows += bench_latency(place, options.pairs)
            elif part == "rate":
                rows += bench_rate(place, options.jobs, options.rbs)
            else:
                rows += bench_idle(place, options.idle_seconds)
    print(f"{'':46}{'median':>14}  {'middle half':<18}aim")
    for row in rows:
        print(f"{row.what:<46}{row.value:>10.2f} {row.unit:<3}  {row.note:<18}{row.aim()}".rstrip())
    load = os.getloadavg()[0]  # of the last minute, our own part of about one included
    cpus = len(os.sched_getaffinity(0))
    if load > cpus + 1:
        print(f"note: load {load:.1f} on {cpus} cores: others use this machine, and the aims are for one of our own")
    host = {"python": sys.version.split()[0], "cpus": cpus, "load": round(load, 1), "kernel": os.uname().release}
    print(json.dumps({"host": host, "pairs": options.pairs, **{row.key: round(row.value, 3) for row in rows}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
