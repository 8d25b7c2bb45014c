"""Good scripts, each unchanged in closed boxes: every one completes, says no more than it should, and its results are right.

What docs/reference/inside-the-box.md says of the inside of a box is held here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boxes
import corpus
import pytest

from sandbox.box import Box, start
from sandbox.limits import GiB, Limits, MiB
from sandbox.linux import proctree
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "inside-the-box.md"
FOLDER = Path(__file__).parent / "goodscripts"
#: Hostile needs a control group.
LEVELS = ["contained", "hostile"] if corpus.boxes_have_groups() else ["contained"]
levels = pytest.mark.parametrize("level", LEVELS)
ROOT = os.geteuid() == 0

#: Makes two HDF5 files; in a process of its own, because numpy brings threads and whoever makes a box has one.
MAKE = """
import h5py, numpy, sys
for number in 75512, 75513:
    with h5py.File(f"{sys.argv[1]}/ENGINX{number:08d}.nxs", "w") as file:
        entry = file.create_group("raw_data_1")
        entry.attrs["title"] = f"ceria {number}"
        entry["counts"] = numpy.arange(1000, dtype="i4")
"""
IN_DATA = ["ENGINX00075512.nxs", "ENGINX00075513.log", "ENGINX00075513.nxs", "Röhre №4.txt", "latest.nxs", "logs"]
UNICODE = [
    *("-dash.txt", ".hidden", "Röhre №4.txt", "a" * 255, "e\u0301.txt", 'it\'s "quoted".txt', "neutron 🧪.txt"),
    *("Å and ° and μ.txt", "é.txt", "漢字.txt"),
]
UNICODE_AS_MADE = [UNICODE[at] for at in (2, 9, 7, 6, 5, 0, 1, 3, 4, 8)]
NO_NAME, NO_NETWORK = "Name or service not known", "Network is unreachable"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Make the data folder of a cycle, and return the file that is reduced."""
    base = tmp_path_factory.mktemp("isis")
    folder = base / "cycle_15_1"
    (folder / "logs" / "deep").mkdir(parents=True)
    (base / "another cycle").mkdir()
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True)
    (folder / "ENGINX00075513.log").write_text("beam on\n")
    (folder / "logs" / "deep" / "a.txt").write_text("a")
    (folder / "Röhre №4.txt").write_text("beside", encoding="utf-8")
    (folder / "latest.nxs").symlink_to("ENGINX00075512.nxs")
    return folder / "ENGINX00075513.nxs"


@dataclass(frozen=True, kw_only=True)
class Good:
    """A script with what must come of it."""

    name: str
    #: What it writes to values.json; a callable gets the path of the data file.
    values: Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]
    #: The files that it leaves besides that.
    files: tuple[str, ...] = ()
    #: What it prints; nothing else may stand in the log.
    says: str = ""
    variant: str = ""
    box: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Came:
    """What came of a script."""

    outcome: Any
    values: dict[str, Any]
    files: dict[str, bytes]
    log: str


def on_host(code: str) -> Any:
    """Ask the interpreter of the scripts outside of a box."""
    command = [sys.executable, "-c", f"import json; {code}"]
    return json.loads(subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout)


def run(
    name: str, *, level: str, data: Path, spool: Path, limits: Mapping[str, Any] | None = None, **changes: Any
) -> Came:
    """Run a good script to its end, see that nothing of it is left, and return what came of it."""
    box = Box(
        interpreter=(sys.executable,),
        script=(FOLDER / f"{name}.py").read_bytes(),
        input_files=(str(data),),
        spool=str(spool),
        limits=Limits(**{"grace": 1.0, "wall": 60.0, **(limits or {})}),
        level=level,
        closure=boxes.closure_here(),
        sample_every=0.05,
    )
    with start(replace(box, **changes)) as running:
        boxes.drive(running)
        outcome = running.outcome()
        log = (running.logs.stdout.text() + b"\n" + running.logs.stderr.text()).decode()
        files = {}
        for output in outcome.outputs:
            with open(os.open(output.path, os.O_RDONLY, dir_fd=running.out_fd), "rb") as file:
                files[output.path] = file.read()
        token = running.token
    assert proctree.carriers(token) == []
    assert os.listdir(spool) == []
    assert outcome.verdict is Verdict.completed, f"{outcome.sentence}\n{outcome.traceback}\n{log}"
    return Came(outcome=outcome, values=json.loads(files.pop("values.json")), files=files, log=log.strip())


def multiplied(size: int) -> tuple[int, int]:
    """Return sum and last element of the product that numpy_threads.py makes, in whole numbers."""
    columns = [sum((row * size + column) % 7 for row in range(size)) for column in range(size)]
    rows = [sum((row * size + column) % 11 for column in range(size)) for row in range(size)]
    last = sum(((size - 1) * size + k) % 7 * ((k * size + size - 1) % 11) for k in range(size))
    return sum(a * b for a, b in zip(columns, rows, strict=True)), last


def threads(count: int) -> dict[str, Any]:
    total, corner = multiplied(600)
    told = [str(count)] * 4
    return {
        "sum": total,
        "corner": corner,
        "solved": 99.5,
        "singular": 3.0,
        "threads": count,
        "told": told,
        "processors": count,
    }


MULTIPROCESSING = {
    "squares": [number * number for number in range(20)],
    "later": 144,
    "unordered": [0, 1, 4, 9, 16],
    "failure": "bank 3",
    "told": [0, 1],
    "total": 200,
    "shared": [[0, 0], [1, 10]],
    "listed": [1, 2, 3],
    "exits": [0, 0],
}
#: Whether the kernel speaks it at all.
IPV6 = ("IPv6",) if os.path.exists("/proc/net/if_inet6") else ()
HERE = len(os.sched_getaffinity(0))

GOOD = (
    *(
        Good(
            name="multiprocessing_all",
            variant=method,
            values=MULTIPROCESSING,
            box={"mode": "program", "output_slash": True, "script_args": (method,)},
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    *(
        Good(
            name="multiprocessing_in_main",
            variant=method,
            values={"scaled": [3, 6, 9]},
            box={"reduce_vars": {"standard_vars": {"method": method}}},
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    Good(
        name="process_pool",
        values={
            "sums": [sum(range(bank * 1000)) for bank in range(7)],
            "elsewhere": True,
            "failure": "KeyError('bank 7 is masked')",
            "lengths": [1, 2, 3],
        },
    ),
    Good(name="fork_pool", values={"heard": list(b"\x89HDF\r\n"), "exits": [0, 1, 2, 3, 4, 5], "ended": -15}),
    Good(
        name="shared_memory",
        values={
            "total": 2.5e6,
            "listed": ["a", 2, 3.5, None],
            "raw": 2.5,
            "before": [],
            "during": True,
            "after": [],
        },
    ),
    Good(name="numpy_threads", variant="all processors", values=lambda _: threads(HERE)),
    Good(name="numpy_threads", variant="one processor", values=lambda _: threads(1), limits={"cpus": 1.0}),
    Good(
        name="h5py_files",
        values={
            "counts": 499_500,
            "locked": 3,
            "refused": "OSError",
            "title": "ceria 75513",
            "doubled": 999_000,
            "tail": 199,
            "through": 5,
            "in memory": 1,
        },
        files=("reduced.nxs",),
    ),
    Good(
        name="matplotlib_pictures",
        values={"backend": "agg", "shape": [200, 300, 4], "cache below home": True, "fonts kept": True},
        files=("picture.pdf", "picture.png", "picture.svg"),
    ),
    Good(
        name="pipelines",
        values={
            "sorted": "1 2 3 ",
            "awk": "5050\n",
            "status": 5,
            "bash": "1\n",
            "process substitution": "1,3\n2,4\n",
            "here document": "neutrons\n",
            "python": True,
            "os.system": 3,
            "popen": "popen\n",
            "found": 3,
            "clean environment": "A=1\n",
            "unpacked": "000001111122222",
            "copied": IN_DATA,
            "counted": 5_000_000,
            "first": 0,
        },
        files=("bank.tar.gz",),
    ),
    Good(name="threads", values={"total": 499_500, "items": 1000, "rang": True, "named": True}),
    Good(
        name="asyncio_loopback",
        values={
            **dict.fromkeys(("IPv4", *IPV6, "by name", "unix"), "COUNTS"),
            "child": "42",
            "thread": 6,
            "timeout": "yes",
            "pair": "pair",
            "datagram": "datagram",
            "abstract": "connected",
        },
    ),
    Good(
        name="tempfile_forms",
        values={
            "folder": True,
            "unnamed": "unnamed",
            "named": "named",
            "rename out of tmp": "EXDEV",
            "spooled": 100,
            "inside": ["a"],
            "gone": True,
            "left in tmp": [],
            "by the shell": "made\n",
        },
        files=("kept.txt", "named.txt"),
    ),
    Good(
        name="sqlite_store",
        values={
            **{f"{place} journal": "wal" for place in ("out", "home", "tmp")},
            **{f"{place} lock": "database is locked" for place in ("out", "home", "tmp")},
            **{place: [1000, 249_750.0] for place in ("out", "home", "tmp")},
            "files": ["runs.db"],
        },
        files=("runs.db",),
    ),
    Good(
        name="logging_files",
        values={
            "rotated": ["reduction.log", "reduction.log.1", "reduction.log.2"],
            "lines": 100,
            "warned": True,
            "last": ["099", "of", "Röhre"],
        },
        files=("reduction.log", "reduction.log.1", "reduction.log.2"),
    ),
    Good(
        name="locale_and_time",
        values=lambda _: {
            "locale": "C.UTF-8",
            "encodings": ["UTF-8", "utf-8", "utf-8"],
            "zone": on_host("import time; print(json.dumps(time.tzname))"),
            "offset": -on_host("import time; print(time.timezone)"),
            "now": True,
            "london": "2026-07-01T13:00:00+01:00",
            "oak ridge": "2026-07-01T08:00:00-04:00",
            "zones": True,
            "month": "January",
            "tzset": 13,
        },
    ),
    Good(
        name="who_and_where",
        values={
            "user": "reduce",
            "uid": [os.geteuid()] * 2,
            "gid": [os.getegid()] * 2,
            "person": ["reduce", "/home/reduce", os.geteuid()],
            "group": "reduce",
            "home": ["/home/reduce"] * 3,
            "whoami": "reduce",
            "host": ["box"] * 3,
            "localhost": "127.0.0.1",
            "own name": "127.0.0.1",
            "known names": True,
            "working folder": "/work",
            "output": "/out/result",
            "tmp": "/tmp",
            "terminal": False,
            "input": "",
            "system": ["Linux", True],
            "run number": "00075513",
            "processes": True,
        },
    ),
    Good(
        name="environment",
        values=lambda _: {
            "PATH": os.path.dirname(sys.executable) + ":/usr/local/bin:/usr/bin:/bin",
            "HOME": "/home/reduce",
            "TMPDIR": "/tmp",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": "/home/reduce/.config/matplotlib",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "HDF5_USE_FILE_LOCKING": "FALSE",
            **{f"{library}_NUM_THREADS": str(HERE) for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
            "MANTIDPROPERTIES": "/etc/gem.properties",
            "AUTOREDUCE_HANDOFF": "/run/handoff",
            "at home": [],
            "own": "1\n",
            "token": True,
            "mask": "0o27",
            "path": ["/work", "/run/script"],
            "descriptors": [0, 1, 2],
        },
        box={"env": {"MANTIDPROPERTIES": "/etc/gem.properties"}},
    ),
    Good(
        name="processors",
        values={
            "affinity": 1,
            "nproc": 1,
            "all": [os.cpu_count()] * 3,
            "psutil": 1,
            "load": 3,
            "configured": os.cpu_count(),
            "narrowed": 1,
        },
        limits={"cpus": 1.0},
    ),
    Good(
        name="neighbours",
        values={
            "before": True,
            "log": "beam on\n",
            "list": IN_DATA,
            "glob": ["ENGINX00075512.nxs", "ENGINX00075513.nxs", "latest.nxs"],
            "walk": [*IN_DATA[:-1], "logs/deep/a.txt"],
            "rglob": 8,
            "scan": ["logs"],
            "link": True,
            "real": "ENGINX00075512.nxs",
            "readable": True,
            "writable": False,
            "newer": True,
        },
    ),
    Good(
        name="downloads_at_import",
        values={
            "http by name": ["URLError", NO_NAME],
            "https by name": ["URLError", NO_NAME],
            "http by number": ["URLError", NO_NETWORK],
            "retrieve": ["URLError", NO_NETWORK],
            "client": ["OSError", NO_NETWORK],
            **{name: ["OSError", NO_NETWORK] for name in IPV6},
            "metadata of a cloud": ["OSError", NO_NETWORK],
            "nobody on the loopback": ["ConnectionRefusedError", "Connection refused"],
            "ftp": ["OSError", NO_NETWORK],
            "datagram": ["OSError", NO_NETWORK],
            "name": ["gaierror", NO_NAME],
            "slower than a second": [],
        },
    ),
    Good(
        name="large_virtual",
        values={"virtual": True, "resident": True, "small": True, "touched": [1, 0, 2], "sum": 32.0},
        limits={"memory": 8 * GiB},
    ),
    Good(
        name="mapped_files",
        values={
            "signature": "HDF",
            "size": True,
            "copy": "mine",
            "mapped": 499_500,
            "loaded": 1000.0,
            "shared": "child",
        },
        files=("mapped.bin",),
    ),
    Good(
        name="own_locks",
        values={
            **{f"{place} {kind}": "held" for place in ("out", "work", "home", "tmp") for kind in ("flock", "lockf")},
            "filelock": True,
            "input": "shared",
            "command": 0,
        },
    ),
    Good(
        name="renames",
        values={"across": "EXDEV", "read": "2", "piped": "through", "copied": "from home"},
        files=("2.dat", "bank1/1.dat", "copy/deep/file", "done/0.dat", "here", "moved"),
    ),
    Good(
        name="many_files",
        values=lambda _: {
            "digest": hashlib.sha256(
                b"".join(b"%d %d\n" % (folder, number) for folder in range(20) for number in range(100))
            ).hexdigest(),
            "count": 2000,
            "gone": True,
        },
        files=tuple(f"spectra/{number}.txt" for number in range(200)),
    ),
    Good(
        name="unicode_names",
        values={
            "names": sorted([*UNICODE, "d"]),
            "bytes": True,
            "latin": [b"R\xf6hre.txt".hex()],
            "child": "Röhre №4.txt",
            "beside": "beside",
        },
        files=(*UNICODE, "d/" * 30 + "ü"),
        says=" ".join(UNICODE_AS_MADE),
    ),
    Good(
        name="signals_and_timers",
        values={
            "usr1": 2,
            "alarm": "came",
            "left": 0,
            "child": -15,
            "stopped": True,
            "pidfd": 1,
            "killed": -9,
            "waited": True,
            "timer": True,
            "eventfd": [1, 3],
            "memfd": 5,
            "timeout": "came",
            "interrupt": "seen",
        },
    ),
    Good(name="faults_told", values={"on": True, "stack": True, "child": -11, "said": True, "cores": []}),
    Good(
        name="ctypes_calls",
        values={
            "pid": True,
            "cos": 1.0,
            "sorted": [1, 3, 5, 7, 9],
            "segment": "070707",
            "errno": [-1, 9],
            "library": "libc.so.6",
        },
    ),
    Good(
        name="readings_of_proc",
        values={
            "work": sum(number * number for number in range(200_000)),
            **dict.fromkeys(("memory", "full", "times", "threads", "maps", "started", "folder", "descriptors"), True),
            **dict.fromkeys(("children", "few", "parent", "total", "swap", "disk", "cpu", "counters", "usage"), True),
            **dict.fromkeys(("numpy", "status", "cpuinfo", "meminfo"), True),
            "percent": [True, True],
            "command": ["harness.py", "handoff"],
            "open": [],
            "user": "reduce",
            "all": 1,
            "limits": [1024, boxes.NO_CORE],
            "interfaces": ["lo"],
        },
    ),
    Good(
        name="secure_sockets",
        values=lambda data: {
            "authorities": on_host(
                "import ssl; print(json.dumps([len(ssl.create_default_context().get_ca_certs()),"
                " *ssl.get_default_verify_paths()[:2]]))"
            ),
            "checks": True,
            "hello": True,
            "digest": hashlib.sha256(data.read_bytes()).hexdigest(),
            "random": 4,
            "getrandom": 16,
            "seeded": 331,
            "scrypt": hashlib.scrypt(b"a", salt=b"b", n=16, r=1, p=1, dklen=4).hex(),
        },
    ),
    Good(
        name="modules_of_its_own",
        values={
            "module": 17,
            "package": [1, 2],
            "reloaded": 1234,
            "helper": 2.5,
            "run": 1234,
            "program": "from a program of its own ok\n",
            "compiled": [],
            "itself": "reduce.py",
            "text": True,
        },
        files=("lib/helpers.py",),
    ),
    Good(
        name="permissions",
        values={
            "mask": "0o640",
            "folder": "0o777",
            "600": "0o600",
            "644": "0o644",
            "777": "0o777",
            "400": "0o400",
            "copied times": True,
            "times": 2000.0,
            "mine": "reduce",
            "chmod": 0,
            "shell": "0o740",
            "touch": 0,
        },
        files=("by mask.txt", "copy.nxs"),
    ),
    Good(
        name="room_on_disk",
        values={
            **{place: [True, 255, place != "data"] for place in ("out", "work", "home", "tmp", "data", "shm")},
            "free": True,
            "df": 0,
            "preallocated": 1 << 20,
            "sent": True,
        },
        files=("preallocated",),
    ),
    Good(
        name="archives",
        values={
            "round": [True] * 3,
            "zip": True,
            "gztar": True,
            "xztar": True,
            "crc": None,
            "theirs": "abc",
        },
        files=("all.zip",),
    ),
    Good(
        name="own_limits",
        values={
            "files": 150,
            "address space": True,
            "nicer by": 2,
            "shell": ["0", "unlimited"],
            "recursion": 20_000,
        },
    ),
)
IDS = [f"{good.name}-{good.variant}" if good.variant else good.name for good in GOOD]


@levels
@pytest.mark.parametrize("good", GOOD, ids=IDS)
def test_a_good_script_completes_unchanged_and_its_results_are_right(good, level, data, tmp_path):
    came = run(good.name, level=level, data=data, spool=tmp_path, limits=good.limits, **good.box)

    assert came.values == (good.values(data) if callable(good.values) else good.values)
    assert sorted(came.files) == sorted(good.files)
    # matplotlib says so on a slow machine; a warning of anything else, such as the resource tracker, would stand here.
    lines = [line for line in came.log.splitlines() if "building the font cache" not in line]
    assert "\n".join(lines) == good.says
    assert came.outcome.message == ""
    assert came.outcome.ceilings_hit == ()
    assert came.outcome.guards.facts["level"] == level


@levels
def test_large_virtual_memory_is_not_counted_as_used(level, data, tmp_path):
    came = run("large_virtual", level=level, data=data, spool=tmp_path, limits={"memory": 1 * GiB})
    peak = came.outcome.usage.peak_memory.value
    assert 200 * MiB <= peak < 1 * GiB


@levels
def test_forgotten_shared_memory_ends_with_the_box(level, data, tmp_path):
    before = set(os.listdir("/dev/shm"))
    came = run("forgotten_memory", level=level, data=data, spool=tmp_path)
    assert came.values == {"there": 2}
    assert "by hand" not in os.listdir("/dev/shm")
    assert "forgotten" not in set(os.listdir("/dev/shm")) - before


def roots(paths: tuple[str, ...]) -> set[str]:
    return {path.split("/")[1] for path in paths}


def test_at_level_none_a_script_is_on_the_host(data, tmp_path):
    came = run("who_and_where", level="none", data=data, spool=tmp_path)
    user, host = on_host("import getpass, socket; print(json.dumps([getpass.getuser(), socket.gethostname()]))")
    assert (came.values["user"], came.values["host"]) == (user, [host] * 3)
    for name, folder in (("working folder", "work"), ("tmp", "tmp"), ("output", "out/result")):
        path = Path(came.values[name])
        assert path.is_relative_to(tmp_path)
        assert str(path.relative_to(tmp_path).relative_to(path.relative_to(tmp_path).parts[0])) == folder


@pytest.mark.parametrize(("length", "verdict"), [(54, "completed"), (55, "script_error")])
def test_at_level_none_a_long_spool_leaves_no_room_for_sockets_of_multiprocessing(length, verdict, data):
    """A socket's path holds 107 bytes (unix(7)); behind a tree TMPDIR is always short."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s" * (length - len("/tmp/") - 8)) as spool:
        assert len(spool) == length
        text = "import multiprocessing as m; m.get_context('fork').Manager().shutdown()"
        outcome = boxes.outcome_of(boxes.box(spool, text, input_files=(str(data),)))
    assert outcome.verdict == verdict, outcome.sentence


@levels
def test_what_is_not_declared_does_not_exist(level, data, tmp_path):
    came = run("what_is_not_there", level=level, data=data, spool=tmp_path)
    told = came.values
    closure = boxes.closure_here()
    shown = roots((*closure.folders, *closure.links, str(data)))
    system = {name for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") if os.path.isdir(f"/{name}")}
    assert set(told["/"]) == {"dev", "etc", "home", "out", "proc", "run", "sys", "tmp", "usr", "work"} | system | shown
    assert [path for path in told["there"] if path.split("/")[1] not in shown] == []
    assert told["/dev"] == ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
    assert told["/run"] == ["handoff", "harness.py", "script"]
    assert told["/sys/devices/system"] == ["cpu"]
    assert told["/home"] == ["reduce"]
    assert told["beside the data"] is False
    assert set(told["write"].values()) == {"EROFS"}
    assert told["read of a secret"] == "ENOENT"
    assert (told["other processes"], told["first's environment"]) == (1, "EACCES")
    assert told["terminal"] == "ENOENT"


@levels
def test_declared_paths_are_there_under_their_own_names_and_read_only(level, data, tmp_path):
    site, spool = tmp_path / "site", tmp_path / "spool"
    spool.mkdir()
    paths = {}
    for name in ("masks", "framework", "undeclared"):
        (site / name).mkdir(parents=True)
        (site / name / f"{name}.xml").write_text(name)
        paths[name] = str(site / name / f"{name}.xml")
    single = site / "single.txt"
    single.write_text("single")
    closure = boxes.closure_here()
    came = run(
        "declared_paths",
        level=level,
        data=data,
        spool=spool,
        reduce_vars={"standard_vars": {**paths, "single": str(single)}},
        readable=(str(site / "masks"), str(single)),
        closure=replace(closure, folders=(*closure.folders, str(site / "framework"))),
    )
    assert came.values == {
        "masks": ["masks", ["masks.xml"], "EROFS"],
        "framework": ["framework", ["framework.xml"], "EROFS"],
        "undeclared": ["ENOENT", "ENOENT", "ENOENT"],
        "single": ["single", ["framework", "masks", "single.txt"], "EROFS"],
    }


@levels
def test_ceilings_come_as_errors_that_a_script_can_handle(level, data, tmp_path):
    if level == "contained" and level == LEVELS[-1] and ROOT:
        pytest.fail(
            "root without a control group has no limit of processes; run this as an ordinary user, or with groups"
        )
    limits = {"open_files": 100, "processes": 30, "tmp": 1 * MiB}
    came = run("limits_as_errors", level=level, data=data, spool=tmp_path, limits=limits)
    assert came.values == {"open files": "EMFILE", "processes": "EAGAIN", "tmp": "ENOSPC"}


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
@levels
def test_as_root_files_of_other_users_are_nobodys(level, tmp_path):
    folder, spool = tmp_path / "cycle", tmp_path / "spool"
    folder.mkdir()
    spool.mkdir()
    for name, mode in (("run.nxs", 0o644), ("theirs.txt", 0o644), ("secret.txt", 0o600)):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
        os.chown(folder / name, 1234, 1234)
    came = run("owners", level=level, data=folder / "run.nxs", spool=spool)
    assert came.values == {
        "text": "theirs.txt",
        "owner": 65534,
        "secret": "EACCES",
        "cp": 0,
        "cp -p": [1, True, True],
        "tar x": 2,
        "tar x --no-same-owner": 0,
    }


@pytest.mark.skipif(ROOT, reason="root's copies keep owners")
def test_as_an_ordinary_user_owners_are_not_kept_and_that_is_no_error(tmp_path):
    text = """
        import os, subprocess
        subprocess.check_call(["cp", "-p", "/usr/bin/env", "kept"])
        subprocess.check_call(["tar", "cf", "theirs.tar", "--owner=1234", "--group=1234", "kept"])
        subprocess.check_call(["tar", "xf", "theirs.tar", "-C", "/tmp"])
        print(os.stat("/usr/bin/env").st_uid, os.stat("kept").st_uid, os.stat("/tmp/kept").st_uid)
        """
    outcome, said = boxes.outcome_and_logs(boxes.box(tmp_path, text, level="contained"))
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.split() == [b"65534", b"%d" % os.geteuid(), b"%d" % os.geteuid()]


@pytest.mark.skipif("hostile" not in LEVELS, reason="hostile needs a control group")
def test_results_at_hostile_are_as_large_as_their_limit_and_count_as_memory(tmp_path):
    text = """
        import os, shutil
        print(*(shutil.disk_usage(place).total for place in ("/out/result", "/work", os.environ["HOME"])), flush=True)
        with open("/out/result/big", "wb") as file:
            for _ in range(150):
                file.write(bytes(1 << 20))
        """
    made = boxes.box(tmp_path, text, level="hostile", output=200 * MiB, memory=100 * MiB)
    outcome, said = boxes.outcome_and_logs(made)
    assert said.split() == [b"%d" % (200 * MiB)] * 3
    assert outcome.verdict is Verdict.memory_limit, outcome.sentence


def test_calls_that_take_from_the_whole_host_are_denied(tmp_path):
    text = """
        import ctypes, errno, fcntl, mmap, os, platform
        libc = ctypes.CDLL(None, use_errno=True)
        def said(answer):
            return errno.errorcode[ctypes.get_errno()] if answer == -1 else "done"
        try:
            fcntl.fcntl(os.open("own", os.O_RDONLY | os.O_CREAT), fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            print(errno.errorcode[error.errno])
        io_setup, memfd_secret = {"x86_64": (206, 447), "aarch64": (0, 447)}[platform.machine()]
        context = ctypes.c_ulong(0)
        print(said(libc.syscall(memfd_secret, 0)), said(libc.syscall(io_setup, 1, ctypes.byref(context))))
        try:
            mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
        except OSError as error:
            print(errno.errorcode[error.errno])
        """
    outcome, said = boxes.outcome_and_logs(boxes.box(tmp_path, text, level="contained"))
    assert said.split() == [b"EPERM", b"ENOSYS", b"ENOSYS", b"ENOMEM"]
    assert outcome.verdict is Verdict.completed, outcome.sentence


def test_the_network_of_the_host_comes_with_its_names(data, tmp_path):
    came = run("what_is_not_there", level="contained", data=data, spool=tmp_path, network=True)
    resolver = {"/etc/resolv.conf"} if os.path.exists("/etc/resolv.conf") else set()
    assert resolver <= set(came.values["there"])
    assert came.outcome.guards.facts["network"] == "host"


def test_each_claim_of_the_page_names_a_test_that_is_there():
    page = PAGE.read_text(encoding="utf-8")
    texts = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")}
    held = re.findall(r"\[(\w+)\]\[\w+\]", page)
    assert len(held) > 40
    unknown = {
        name
        for name in held
        if not (FOLDER / f"{name}.py").exists() and not any(f"def {name}(" in text for text in texts.values())
    }
    assert unknown == set()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.endswith("| held by |")]
    assert [line for line in rows if not re.search(r"\]\[\w+\] \|$", line)] == []


def test_the_page_tells_of_every_good_script():
    page = PAGE.read_text(encoding="utf-8")
    assert [good.name for good in GOOD if f"[{good.name}]" not in page] == []


def test_the_table_has_every_text():
    others = {"forgotten_memory", "what_is_not_there", "declared_paths", "limits_as_errors", "owners"}
    assert {good.name for good in GOOD} | others == {path.stem for path in FOLDER.glob("*.py")}
    assert len(set(IDS)) == len(IDS)
