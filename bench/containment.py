"""What a closed box costs beside its opponents, how soon it ends what must end, and how well it measures.

Every round starts each program bare, in the box, under bubblewrap and under runexec, one after the other, so that a
busy machine slows all of them; differences are taken within a round. The box has three figures:

    go      from the word to go to the proven-empty tree: what a run of the service waits for. Its builder is forked
            when the RB lock is held, and makes the box while the shepherd writes records and looks at the archive; it
            gets AHEAD seconds here, less than that took for any run of `make demo`.
    chain   from the fork of its builder to the proven-empty tree, the word following at once: all that bubblewrap and
            a bare fork+exec do, too, and what `run` waits for.
    whole   from `prepare` to the end of `close`, without a pause: also the scratch folders, the script's file, the
            order, log spools, the outcome with its verdict, and the removal of it all.

With control groups the making, reading and removing of the groups is added to the first two.

The box is at level contained with Landlock and the filter of system calls. Bubblewrap gets the very same tree, as its
argument list, and neither Landlock, nor a filter, nor limits; its /proc, its mounts of devices and its tmpfs lack what
it has no words for (read-only devices, a limit of inodes). The runexec API (benchexec, from PyPI, in a virtual
environment of its own) runs in a process that has imported it already.

    python bench/containment.py
    python bench/containment.py --only start --rounds 100
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests", "support")]

from boxes import closure_here  # noqa: E402

from sandbox import blueprint, box, builder, enclosure  # noqa: E402
from sandbox.limits import Limits  # noqa: E402
from sandbox.tree import HOSTNAME, Bind, Tmpfs, parts, resolved  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.init import Plan
    from sandbox.running import Running
    from sandbox.tree import Tree

PARTS = ("start", "end", "measure")
OPPONENT = os.path.join(ROOT, ".bench", "benchexec", "bin", "python")
PROGRAMS = {
    "true": ("/bin/true",),
    "python": (sys.executable, "-I", "-S", "-c", ""),
    "numpy": (sys.executable, "-c", "import numpy"),
}
WAYS = {
    "bare": "bare fork+exec (posix_spawn)",
    "box": "box, no groups: go",
    "box_chain": "box, no groups: chain",
    "box_whole": "box, no groups: whole",
    "groups": "box, groups: go",
    "groups_chain": "box, groups: chain",
    "groups_whole": "box, groups: whole",
    "bwrap": "bubblewrap, same tree",
    "runexec": "runexec API",
}
#: Seconds that a builder has before the word to go; in `make demo` shepherds took 0.05 to 0.1 s (docs/evidence.md).
AHEAD = 0.04
#: Three hundred children, each in a session of its own; none of them heeds SIGTERM, nor does their parent, which notes
#: when it came.
STUBBORN = b"""\
import os, signal, sys, time
def noted(*_):
    with open("came", "w") as file:
        file.write(repr(time.monotonic()))
signal.signal(signal.SIGTERM, noted)
for _ in range(300):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
with open("stand", "w") as file:
    file.write(repr(time.monotonic()))
while True:
    time.sleep(60)
"""
#: Work and memory of two processes: a child and its parent, one after the other, 1.1 s and 240 MB each.
CLOCKED = """\
import os, time
def work():
    held = bytearray(240_000_000)
    held[::4096] = bytes([1]) * len(held[::4096])
    while time.process_time() < 1.1:
        sum(range(10000))
child = os.fork()
if not child:
    work()
    os._exit(0)
os.waitpid(child, 0)
work()
"""
#: An overhead below this, milliseconds, is not told from none: ratios of overheads take it for that.
LEAST_OVER = 0.5


@dataclass
class Row:
    """One figure that has an aim, or belongs beside one."""

    key: str
    what: str
    value: float
    unit: str
    aim: tuple[str, float] | None = None
    note: str = ""

    def judged(self) -> str:
        if self.aim is None:
            return ""
        sense, bound = self.aim
        met = self.value <= bound if sense == "<=" else self.value >= bound
        return f"{sense} {bound:g} {self.unit}: {'met' if met else 'MISSED'}"


@dataclass
class Samples:
    """Milliseconds of each way of starting one program, by round."""

    ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, took: float) -> None:
        self.ms.setdefault(way, []).append(took)

    def over(self, way: str, base: str = "bare") -> list[float]:
        return [one - other for one, other in zip(self.ms[way], self.ms[base], strict=True)]


def p10(values: list[float]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[0]


def middle(values: list[float]) -> str:
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.1f} .. {high:.1f}"


# --- the ways to start a program --------------------------------------------------------------------------------------


def spawn(argv: list[str], env: dict[str, str], files: tuple[str, ...] = ()) -> float:
    """Fork, exec and wait, the cheapest way there is; milliseconds. `files` are opened as descriptors 10, 11, ..."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    actions += [(os.POSIX_SPAWN_OPEN, fd, path, os.O_RDONLY, 0) for fd, path in enumerate(files, 10)]
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - began) * 1000
    assert status == 0, f"{argv} ended with {status}"
    return took


def turn(running: Running) -> None:
    """The loop of a shepherd."""
    while not running.ended:
        running.pump(time.monotonic())
        running.wait()


@contextlib.contextmanager
def instead(argv: tuple[str, ...], env: dict[str, str]) -> Iterator[dict[str, float]]:
    """Lets `prepare` plan another program than the harness, and notes when it forks the builder and makes groups."""
    marks: dict[str, float] = {}
    plan_of, build, group = blueprint.plan_of, builder.build, box._group

    def planned(*given: object) -> Plan:
        return replace(plan_of(*given), argv=argv, env=env)

    def built(*given: object) -> int:
        marks["fork"] = time.perf_counter()
        return build(*given)

    def grouped(*given: object) -> object:
        began = time.perf_counter()
        made = group(*given)
        marks["groups"] = time.perf_counter() - began
        return made

    blueprint.plan_of, builder.build, box._group = planned, built, grouped
    try:
        yield marks
    finally:
        blueprint.plan_of, builder.build, box._group = plan_of, build, group


def a_box(spool: str, data: str, cgroup: str, **more: object) -> box.Box:
    return box.Box(
        interpreter=(sys.executable,),
        script=more.pop("script", b""),
        spool=spool,
        mode="program",
        input_files=(data,),
        level="contained",
        closure=closure_here(),
        cgroup=cgroup,
        **more,
    )


def boxed(
    made: box.Box, argv: tuple[str, ...], env: dict[str, str], ahead: float = 0.0
) -> tuple[dict[str, float], Running, object]:
    """Runs a program in a box as a shepherd does, its builder being some seconds ahead; milliseconds by figure."""
    clock = time.perf_counter
    began = clock()
    with instead(argv, env) as marks:
        prepared = box.prepare(made)
    while (left := began + ahead - clock()) > 0 and select.select([prepared.fileno()], [], [], left)[0]:
        prepared.listen()
    let_go = clock()
    running = prepared.release()
    turn(running)
    ended = clock()
    outcome = running.outcome()
    removing = clock()
    running._group.remove()  # `close` finds it removed
    removed = clock()
    running.close()
    closed = clock()
    evidence = running._evidence
    assert evidence.status == 0, outcome.sentence
    groups = marks["groups"] + removed - removing if made.cgroup == "auto" else 0.0
    # CLOCK_MONOTONIC is what both of Python's clocks read on Linux.
    spans = {
        "go": ended - let_go + groups,
        "chain": ended - marks["fork"] + groups,
        "whole": closed - began,
        "to_program": evidence.began - let_go,
        "program": evidence.wall,
        "to_proof": ended - evidence.began - evidence.wall,
        "groups": groups,
    }
    return {name: seconds * 1000 for name, seconds in spans.items()}, running, outcome


def bubblewrap(tree: Tree, plan: Plan, folder: str) -> tuple[list[str], tuple[str, ...]]:
    """Returns the arguments by which bubblewrap shows the same tree, and the files that it copies into it."""
    program = shutil.which("bwrap") or "bwrap"
    argv = [program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    argv += ["--hostname", HOSTNAME, "--cap-drop", "ALL"]
    for name, value in plan.env.items():
        argv += ["--setenv", name, value]
    bound = [one.target for one in tree.binds]
    steps: list[tuple[str, object]] = [(resolved(one.target, tree.links), one) for one in (*tree.tmpfs, *tree.binds)]
    steps += [
        (path, text)
        for path, text in tree.links.items()
        # What lies in something that is bound came along with it.
        if not any(resolved(os.path.dirname(path), tree.links).startswith(top + "/") for top in bound)
        and resolved(os.path.dirname(path), tree.links) not in bound
    ]
    steps.sort(key=lambda step: (len(parts(step[0])), step[0]))
    files = []
    argv += ["--proc", "/proc"]
    for place, text in tree.files.items():
        copy = os.path.join(folder, os.path.basename(place))
        with open(copy, "w", encoding="utf-8") as file:
            file.write(text)
        argv += ["--file", str(10 + len(files)), place]
        files.append(copy)
    for place, what in steps:
        if isinstance(what, Tmpfs):
            argv += ["--perms", f"{what.mode:04o}", "--size", str(what.size), "--tmpfs", place]
        elif isinstance(what, Bind):
            how = "--dev-bind" if what.devices else "--bind" if what.writable else "--ro-bind"
            argv += [how, str(what.source), place]
        else:
            argv += ["--symlink", str(what), place]
    return [*argv, "--remount-ro", "/", "--chdir", plan.cwd, "--"], tuple(files)


class Opponent:
    """The process in which the runexec API is called."""

    def __init__(self) -> None:
        side = os.path.join(ROOT, "bench", "runexec_side.py")
        self.process = subprocess.Popen(
            [OPPONENT, side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.had = self.answer()

    def answer(self) -> dict[str, object]:
        line = self.process.stdout.readline()
        assert line, "the process of the runexec API has ended"
        return json.loads(line)

    def run(self, argv: tuple[str, ...], env: dict[str, str]) -> dict[str, float]:
        self.process.stdin.write(json.dumps({"argv": argv, "env": dict(env)}) + "\n")
        found = self.answer()
        assert found["status"] == 0, f"runexec: {argv} ended with {found}"
        return found

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@contextlib.contextmanager
def opposed() -> Iterator[Opponent | None]:
    """The runexec API, or None with a word why not."""
    if not os.path.exists(OPPONENT):
        print("NOT RUN: runexec; `make bench` installs benchexec below .bench/", file=sys.stderr)
        yield None
        return
    opponent = Opponent()
    try:
        yield opponent
    finally:
        opponent.close()


# --- start: fork to proven empty --------------------------------------------------------------------------------------


def bench_start(folder: str, rounds: int, programs: list[str], opponent: Opponent | None) -> tuple[list[Row], dict]:
    spool, data = places(folder)
    with instead(("/bin/true",), {}):
        prepared = box.prepare(a_box(spool, data, "off"))
    try:
        plan = blueprint.plan_of(prepared._box, prepared._scratch, prepared._running._group)
        tree = enclosure.draw_whole(plan.enclosure).ground
        env = {name: value for name, value in plan.env.items() if name != "AUTOREDUCE_BOX"}
        wrap = bubblewrap(tree, replace(plan, env=env), folder) if shutil.which("bwrap") else None
        if wrap is None:
            print("NOT RUN: bubblewrap; as root: apt-get install -y bubblewrap", file=sys.stderr)
        found = {name: rounds_of(PROGRAMS[name], rounds, env, (spool, data), wrap, opponent) for name in programs}
    finally:
        prepared.abandon()
    rows: list[Row] = []
    for name, (samples, spans) in found.items():
        print_samples(name, samples, spans)
        rows += rows_of(name, samples)
    raw = {
        name: {way: [round(statistics.median(ms), 3), round(p10(ms), 3)] for way, ms in samples.ms.items()}
        for name, (samples, _) in found.items()
    }
    return rows, {"start_ms_median_p10": raw, "mounts": len(tree.binds) + len(tree.tmpfs)}


def rounds_of(
    argv: tuple[str, ...],
    rounds: int,
    env: dict[str, str],
    where: tuple[str, str],
    wrap: tuple[list[str], tuple[str, ...]] | None,
    opponent: Opponent | None,
) -> tuple[Samples, dict[str, list[float]]]:
    samples, spans = Samples(), {}
    for number in range(rounds + 2):
        took = {"bare": spawn(list(argv), env)}
        for way, cgroup in (("box", "off"), ("groups", "auto")):
            at_once, _, _ = boxed(a_box(*where, cgroup), argv, env)
            took[f"{way}_chain"], took[f"{way}_whole"] = at_once["chain"], at_once["whole"]
            parts_of, _, _ = boxed(a_box(*where, cgroup), argv, env, AHEAD)
            took[way] = parts_of["go"]
            if number >= 2:
                for name in ("to_program", "program", "to_proof", "groups"):
                    spans.setdefault(f"{way} {name}", []).append(parts_of[name])
        if wrap:
            took["bwrap"] = spawn([*wrap[0], *argv], {}, wrap[1])
        if opponent:
            took["runexec"] = opponent.run(argv, env)["ms"]
        if number >= 2:  # the first warm the caches
            for way, ms in took.items():
                samples.add(way, ms)
    return samples, spans


def print_samples(name: str, samples: Samples, spans: dict[str, list[float]]) -> None:
    head = f"{name}: {' '.join(PROGRAMS[name][1:]) or PROGRAMS[name][0]}"
    print(f"\n{head:<36}{'median':>9}{'p10':>9}  {'middle half':<18}{'over bare':>10}{'p10':>8}{'ratio p10':>11}")
    bare = samples.ms["bare"]
    for way, what in WAYS.items():
        if way not in samples.ms:
            continue
        ms = samples.ms[way]
        over = "" if way == "bare" else f"{statistics.median(samples.over(way)):>+10.2f}{p10(ms) - p10(bare):>+8.2f}"
        ratio = "" if way == "bare" else f"{p10(ms) / p10(bare):>11.3f}"
        print(f"{what:<36}{statistics.median(ms):>9.2f}{p10(ms):>9.2f}  {middle(ms):<18}{over}{ratio}".rstrip())
    words = {"to_program": "word to go .. program", "program": "program", "to_proof": "its end .. proof"}
    words["groups"] = "groups made and removed"
    for span, values in spans.items():
        way, _, part = span.partition(" ")
        if part != "groups" or way == "groups":
            what = f"  of {way}: {words[part]}"
            print(f"{what:<36}{statistics.median(values):>9.2f}{p10(values):>9.2f}  {middle(values)}")


def rows_of(name: str, samples: Samples) -> list[Row]:
    rows = []
    bare = samples.ms["bare"]
    if name == "numpy":
        for way in ("box", "groups", "box_chain", "groups_chain", "bwrap"):
            if way in samples.ms:
                ratio = p10(samples.ms[way]) / p10(bare)
                aim = ("<=", 1.10) if way in {"box", "groups"} else None
                rows.append(Row(f"numpy_{way}_ratio_p10", f"numpy, {WAYS[way]} / bare, p10", ratio, "x", aim))
        return rows
    for way, bound in (("box", 8.0), ("groups", 12.0)):
        over = samples.over(way)
        low = f"p10 {p10(samples.ms[way]) - p10(bare):+.2f}"
        rows.append(
            Row(
                f"{name}_{way}_ms", f"{name}, {WAYS[way]}, over bare", statistics.median(over), "ms", ("<=", bound), low
            )
        )
    if "runexec" in samples.ms:
        theirs = statistics.median(samples.over("runexec"))
        for way in ("box", "groups", "box_chain", "groups_chain", "box_whole", "groups_whole"):
            less = theirs / max(LEAST_OVER, statistics.median(samples.over(way)))
            what = f"{name}, overhead of runexec / {WAYS[way]}"
            aim = (">=", 10.0) if way in {"box", "groups"} else None
            rows.append(Row(f"{name}_{way}_less", what, less, "x", aim))
    for way in ("box_chain", "groups_chain", "bwrap"):
        if way in samples.ms:
            over = samples.over(way)
            rows.append(Row(f"{name}_{way}_ms", f"{name}, {WAYS[way]}, over bare", statistics.median(over), "ms"))
    return rows


# --- end: how soon what must end has ended ----------------------------------------------------------------------------


def bench_end(folder: str, rounds: int) -> list[Row]:
    spool, data = places(folder)
    wall, grace = 3.0, 0.5
    rows = []
    for cgroup, way in (("off", "no groups"), ("auto", "groups")):
        signals, proofs = [], []
        for _ in range(rounds):
            limits = Limits(wall=wall, grace=grace, processes=1000)
            running = box.prepare(a_box(spool, data, cgroup, script=STUBBORN, limits=limits)).release()
            turn(running)
            ended = time.monotonic()
            outcome = running.outcome()
            assert outcome.verdict == "wall_limit", outcome.sentence
            stand, came = (float(said(running, name)) for name in ("stand", "came"))
            due = running._evidence.began + wall
            assert stand < due, "three hundred processes took longer to start than the wall limit is"
            running.close()
            signals.append(came - due)
            proofs.append(ended - due)
        key = "groups" if cgroup == "auto" else "box"
        note = f"median {statistics.median(signals):.3f}"
        rows.append(
            Row(f"{key}_signal_s", f"wall limit .. signal seen, {way}, slowest", max(signals), "s", ("<=", 0.2), note)
        )
        note = f"median {statistics.median(proofs):.3f}"
        what = f"wall limit .. 300 proven gone, {way}, slowest"
        rows.append(Row(f"{key}_gone_s", what, max(proofs), "s", ("<=", grace + 2.0), note))
    return rows


def said(running: Running, name: str) -> str:
    fd = os.open(name, os.O_RDONLY, dir_fd=running.out_fd)
    with open(fd, encoding="ascii") as file:
        return file.read()


# --- measure: the same program under both ---------------------------------------------------------------------------


def fixed_work(seconds: float) -> str:
    """Returns a program of two processes that does as often what takes this machine so many seconds now."""
    loops, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        sum(range(10000))
        loops += 1
    return CLOCKED.replace("while time.process_time() < 1.1:", f"for _ in range({loops}):")


def bench_measure(folder: str, measures: int, rounds: int, opponent: Opponent | None) -> list[Row]:
    """Compare what both say of the same program, in pairs, turn about which goes first.

    By the program's own clock both should read the same, whatever the machine does. The processor time of fixed work is
    no constant of a machine whose cores others share, it varies by a quarter from run to run: that takes more pairs.
    """
    if opponent is None:
        return []
    spool, data = places(folder)
    env = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    rows = []
    for key, text, what, count in (
        ("clocked", CLOCKED, "2.2 s by its own clock", measures),
        ("fixed", fixed_work(1.1), "fixed work", rounds),
    ):
        argv = (sys.executable, "-I", "-S", "-c", text)
        ours: dict[str, list[float]] = {"cpu": [], "memory": []}
        theirs: dict[str, list[float]] = {"cpu": [], "memory": []}
        for number in range(count):
            for turn in (number, number + 1):
                if turn % 2:
                    told = opponent.run(argv, env)
                    for name, values in theirs.items():
                        values.append(told[name])
                else:
                    _, _, outcome = boxed(a_box(spool, data, "auto"), argv, env)
                    usage = outcome.usage
                    ours["cpu"].append(usage.cpu.value)
                    ours["memory"].append(usage.peak_memory.value)
                    sources = f"{usage.cpu.source}, {usage.peak_memory.source}"
        for name, bound, scale, unit in (("cpu", 2.0, 1.0, "s"), ("memory", 5.0, 1e-6, "MB")):
            mine, other = (statistics.median(of[name]) * scale for of in (ours, theirs))
            off = [(a / b - 1) * 100 for a, b in zip(ours[name], theirs[name], strict=True)]
            note = f"{mine:.3f} to {other:.3f} {unit}; worst {max(off, key=abs):+.2f}"
            value = abs(statistics.median(off))
            rows.append(Row(f"{key}_{name}_off", f"{name} off runexec's, {what}", value, "%", ("<=", bound), note))
    print(f"\nmeasured by: {sources}", file=sys.stderr)
    return rows


# --- the command ------------------------------------------------------------------------------------------------------


def places(folder: str) -> tuple[str, str]:
    """Makes a spool, and a data file in a folder of its own."""
    spool, data = os.path.join(folder, "spool"), os.path.join(folder, "data")
    for made in (spool, data):
        os.mkdir(made)
    path = os.path.join(data, "RUN00001.nxs")
    with open(path, "wb"):
        pass
    return spool, path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each program (default 40)")
    parser.add_argument("--kills", type=int, default=5, help="trees that are ended, each way (default 5)")
    parser.add_argument("--measures", type=int, default=7, help="pairs measured by their own clock (default 7)")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part alone; may be given again")
    parser.add_argument("--program", choices=tuple(PROGRAMS), action="append", help="one program alone; ditto")
    parser.add_argument("--folder", help="where the scratch lies (default: the temporary folder)")
    options = parser.parse_args()
    if min(options.rounds, options.kills, options.measures) < 2:
        parser.error("--rounds, --kills and --measures must be at least 2")
    rows: list[Row] = []
    told: dict[str, object] = {"rounds": options.rounds}
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="autoreduce-bench-", dir=options.folder) as folder, opposed() as opponent:
        if opponent:
            told["runexec"] = opponent.had
        works: dict[str, Callable[[str], list[Row]]] = {
            "end": lambda place: bench_end(place, options.kills),
            "measure": lambda place: bench_measure(place, options.measures, options.rounds, opponent),
        }
        for part in options.only or PARTS:
            place = os.path.join(folder, part)
            os.mkdir(place)
            print(f"measuring: {part}", file=sys.stderr, flush=True)
            if part == "start":
                made, raw = bench_start(place, options.rounds, options.program or list(PROGRAMS), opponent)
                rows += made
                told |= raw
            else:
                rows += works[part](place)
    print(f"\n{'':60}{'figure':>10}      {'beside':<38}aim")
    for row in rows:
        print(f"{row.what:<60}{row.value:>10.2f} {row.unit:<3}  {row.note:<38}{row.judged()}".rstrip())
    loads.append(os.getloadavg()[0])
    cpus = len(os.sched_getaffinity(0))
    if max(loads) > cpus:
        print(f"note: load {max(loads):.1f} on {cpus} cores: others use this machine, the aims are for one of our own")
    if opponent:
        print(f"runexec: benchexec {opponent.had['version']}, groups {', '.join(opponent.had['cgroups'])}")
    host = {"python": sys.version.split()[0], "cpus": cpus, "load": max(loads), "kernel": os.uname().release}
    print(json.dumps({"host": host, **told, **{row.key: round(row.value, 4) for row in rows}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
