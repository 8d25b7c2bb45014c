"""Scripts in the shapes of the field, and how each of them ends: the table behind docs/reference/scripts.md.

The texts stand in tests/fieldscripts, byte for byte as a message would carry them: with byte order marks, CRLF, tabs,
Python 2, other codings. The line in which a script ends says so itself ("# ends here"), so that a line number in this
table cannot be a copy of what the harness said.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boxes

from sandbox.box import Box, start
from sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.levels import Level
    from sandbox.outcome import Outcome

FOLDER = Path(__file__).resolve().parents[1] / "fieldscripts"
#: What the data file and its neighbour hold.
COUNTS = "counts 7 5 3 2 1 0 4 9"
#: Stands for whatever differs from run to run in a sentence: times, sizes.
ANYTHING = "…"
#: Stands for the folder of the site in variables and results.
SITE = "{site}"


@dataclass(frozen=True, kw_only=True)
class FieldScript:
    """One script, the run it is given, and how that ends."""

    #: Name of its file in tests/fieldscripts, without ".py".
    name: str
    #: What scripts of this shape do, in a few words.
    shape: str
    verdict: str
    #: What the sentence says, in this order, with `ANYTHING` between.
    sentence: str
    mode: str = "module"
    #: Line of reduce.py in which it ends; None where no line of it takes part.
    line: int | None = None
    #: Results and what each holds; None for what is not compared.
    outputs: Mapping[str, str | None] = field(default_factory=dict)
    standard: Mapping[str, Any] = field(default_factory=dict)
    advanced: Mapping[str, Any] = field(default_factory=dict)
    #: Text of the instrument's own reduce_vars.py.
    defaults: str | None = None
    #: Texts that the log has to hold.
    said: tuple[str, ...] = ()
    #: Further folders that are taken.
    extra_dirs: tuple[str, ...] = ()
    #: What the outcome's message holds.
    message: str = ""
    batch: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    #: A package beyond the standard library that it needs.
    needs: str = ""

    @property
    def text(self) -> bytes:
        """The script, as a message carries it."""
        return (FOLDER / f"{self.name}.py").read_bytes()

    def marked_line(self) -> int | None:
        """Return the line that says that the script ends there."""
        lines = re.split(rb"\r\n|\r|\n", self.text)
        marked = [number for number, line in enumerate(lines, 1) if b"# ends here" in line]
        return marked[0] if marked else None


def _script(name: str, shape: str, verdict: str, sentence: str, **parts: Any) -> FieldScript:
    return FieldScript(name=name, shape=shape, verdict=verdict, sentence=sentence, **parts)


def _done(name: str, shape: str, remark: str = "", **parts: Any) -> FieldScript:
    return _script(name, shape, "completed", f"completed after {ANYTHING}" + (f"; {remark}" if remark else ""), **parts)


def _error(name: str, shape: str, line: int | None, what: str, **parts: Any) -> FieldScript:
    place = "reduce.py" if line is None else f"line {line} of reduce.py"
    return _script(name, shape, "script_error", f"script error at {place}: {what}", line=line, **parts)


NO_MAIN = "the script has no main; it ran when it was imported"

SCRIPTS: tuple[FieldScript, ...] = (
    # how variables are taken and used
    _done(
        "alf_defaults_of_none",
        "byte order mark, CRLF; `main(input_file=None, output_dir=None)`; reads a neighbour of its input, returns `''`",
        standard={"file ending": ".raw"},
        outputs={"alf.txt": "31\n"},
    ),
    _done(
        "let_wrapper_class",
        "byte order mark, CRLF; wrapper class around `main` that takes the whole module: `LETReduction(web_var)`",
        standard={"sample_run": [75513, 75514], "incident_energy": "Auto"},
        advanced={"wb_run": 28093},
        outputs={"LET00075513.nxspe": "ei 'Auto' wb 28093\n", "LET00075514.nxspe": None},
    ),
    _done(
        "merlin_paths_joined_in_place",
        "changes its variables in place and clears them",
        standard={"sample_run": 1},
        advanced={"hard_mask_file": "hard.xml", "det_cal_file": "det.dat", "vanadium-mass": 7.85},
        outputs={
            "paths.txt": "det_cal_file /archive/masks/det.dat\nhard_mask_file /archive/masks/hard.xml\n"
            "vanadium-mass 7.85\n"
        },
    ),
    _done(
        "maps_ordered_defaults",
        "tabs, CRLF; the instrument's own `reduce_vars.py` holds an `OrderedDict` with an empty list",
        standard={"energy_bins": [2, 0.5], "sample mass": 10},
        defaults="from collections import OrderedDict\r\nstandard_vars = OrderedDict()\r\n"
        "standard_vars['monovan'] = '236516'\r\nstandard_vars['sum_runs'] = []\r\n"
        "standard_vars['energy_bins'] = [-0.5, 1]\r\nstandard_vars['sample mass'] = 1.5\r\nadvanced_vars = {}\r\n",
        outputs={"maps.txt": "monovan='236516'\nsum_runs=[]\nenergy_bins=[2, 0.5]\nsample mass=10\n"},
    ),
    _done(
        "osiris_other_instruments_path",
        "puts the folder of another instrument, with a `reduce_vars.py` of its own, first on `sys.path`",
        standard={"Minimum Extents": "-3,-5", "d-range": [2, 0.5]},
        outputs={"osiris.txt": "Minimum Extents: '-3,-5'\nd-range: [2, 0.5]\n"},
    ),
    _error(
        "enginx_none_as_text",
        "the text `None` means none: `_cast_string_to_None`",
        13,
        "RuntimeError: neither a ceria nor a vanadium run was given",
        standard={"ceria_run": "None", "vanadium_run": "None"},
        advanced={"force_cal": False},
    ),
    _done(
        "empty_reduce_vars",
        "variables are imported and there are none",
        said=("['advanced_vars', 'standard_vars']", "{} {}"),
    ),
    _error(
        "gem_without_advanced_vars",
        "CRLF; the message has no `advanced_vars`",
        7,
        "IndexError: list index out of range",
        standard={"crop": [0, 7]},
    ),
    _done(
        "second_reduction_by_import",
        "reloads its variables and imports itself again",
        standard={"scale": 2.5},
        said=("2.5",),
    ),
    # what is called, and with what
    _error(
        "test_own_argument_names",
        "CRLF; `main(*args, **kwargs)` that expects the names `data` and `output`",
        6,
        "KeyError: 'data'",
        standard={"arg1": "x"},
        said=("arg1 is x",),
    ),
    _done("main_is_not_a_function", "an object with `__call__` stands under `main`", outputs={"calls.txt": "1"}),
    _error("decorated_main", "decorators around `main`", 21, "KeyError: 'south'", said=("took True\ntook True\n",)),
    _error(
        "main_of_three",
        "`main` wants three arguments",
        4,
        "TypeError: main(input_file, output_dir, calibration) cannot be called with input_file and output_dir",
    ),
    _done("coroutine_main", "`async def main`", "main is a coroutine, which was not run"),
    _done("batch_of_files", "a batch: `main` gets the list of files", batch=True, outputs={"batch.txt": "2 files 62"}),
    _done(
        "returns_folders",
        "returns a list of folders, one of them outside the allowed roots",
        advanced={"cache": f"{SITE}/cache"},
        extra_dirs=(f"{SITE}/cache/ENGINX/75513",),
        message="returned folders outside the allowed roots are left out: '/nowhere/at/all'",
    ),
    _done(
        "returns_a_tuple",
        "returns a tuple of folders",
        advanced={"cache": f"{SITE}/cache"},
        extra_dirs=(f"{SITE}/cache", f"{SITE}/cache/more"),
    ),
    _done("returns_a_number", "returns a number", "main returned a int, which is no folder"),
    # no main
    _done(
        "hrpd_flat",
        "flat, on `sys.argv` and `__file__`",
        NO_MAIN,
        outputs={"ENGINX00075513_focussed.txt": COUNTS},
        said=("script folder is importable: True",),
    ),
    _error(
        "fia_placeholder",
        "flat, a placeholder of one line",
        1,
        "Exception: script not implemented",
    ),
    _done(
        "fia_output_list",
        "flat, assignments that somebody rewrites, leaves a list `output`",
        NO_MAIN,
        outputs={"MAR75513_reduced.txt": COUNTS},
    ),
    _done("pass_only", "`pass` and nothing else", NO_MAIN),
    _done("no_main", "only an assignment", NO_MAIN),
    _done("no_text_at_all", "an empty text", NO_MAIN),
    _done("only_a_comment", "byte order mark and a comment", NO_MAIN),
    # the text itself
    _error(
        "test_python_2_print",
        "Python 2: `print` as a statement",
        5,
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean",
    ),
    _error("syntax_error", "a colon is missing", 5, "SyntaxError: "),
    _error("indentation_error", "indented too far", 3, "IndentationError: unexpected indent"),
    _error("tabs_and_spaces", "tabs and spaces mixed", 3, "TabError: inconsistent use of tabs and spaces"),
    _error("carriage_returns_only", "lines that end in CR alone", 4, "ValueError: old macintosh"),
    _error("null_byte", "a null byte in the text", 2, "SyntaxError: the text contains null bytes"),
    _done(
        "wish_future_import_first",
        "`from __future__` in its first line, no variables",
        outputs={"WISH75513.gss": "0.333\n"},
        said=("panel 10 of run 75513",),
    ),
    _error(
        "special_characters",
        "characters of many languages in text, output and file names",
        9,
        "KeyError: 'Röhre №4'",
        said=("中子",),
    ),
    _done("latin_1_with_cookie", "coding latin-1, declared", outputs={"unit.txt": "Å"}),
    _error("latin_1_without_cookie", "coding latin-1, not declared", 5, "SyntaxError: (unicode error) 'utf-8' codec"),
    _error("unknown_coding", "a coding that nobody knows", None, "SyntaxError: unknown encoding: klingon"),
    _error(
        "fifty_kilobytes",
        "50 kB of functions",
        1431,
        "ArithmeticError: nothing is left after correct_bank_",
    ),
    _done("forty_kilobytes_of_crlf", "42 kB with CRLF", standard={"charge": 180.0}, outputs={"bank.txt": None}),
    # what is done at import
    _done(
        "matplotlib_at_import",
        "`matplotlib.use('Agg')` at import, a picture and `plt.show()`",
        outputs={"counts.png": None},
        needs="matplotlib",
    ),
    _error(
        "mari_download_at_import",
        "downloads the newest scripts at import; no network",
        10,
        f"urllib.error.URLError: {ANYTHING}Connection refused",
    ),
    _done(
        "merlin_download_that_may_fail",
        "downloads at import, goes on without",
        outputs={"merlin.txt": "installed"},
        said=("going on with what is installed: ConnectionRefusedError",),
    ),
    _error(
        "mantid_is_not_there",
        "CRLF; a framework that this Python has not",
        7,
        "ModuleNotFoundError: No module named 'mantid_of_nowhere'",
    ),
    _done(
        "environ_deletions",
        "deletes variables of the environment, then all of them, and starts a child",
        outputs={"environ.txt": "True\n"},
    ),
    _error(
        "warnings_as_errors",
        "turns warnings into errors",
        6,
        "RuntimeWarning: normalisation by zero charge",
    ),
    # programs beside it
    _done(
        "loq_help_and_wget",
        "`print(help(...))`, `os.system('rm ~/temp.xml')`, `wget` to `$HOME`, then a copy from beside the data",
        outputs={"loq.txt": "<mask/>"},
        said=("Subtract the background and average", "no mask from the network"),
    ),
    _error(
        "sans2d_wget_without_a_check",
        "CRLF; `wget` to `$HOME` unchecked, then reads what is not there",
        12,
        f"FileNotFoundError: {ANYTHING}MASK_SANS2D.txt",
    ),
    _script(
        "zoom_wget_for_ever",
        "repeats `wget` until it works",
        "wall_limit",
        f"wall limit 3 s reached after {ANYTHING}; raise limits.wall for ENGINX",
        limits={"wall": 3.0},
    ),
    _done("subprocess_pipeline", "pipelines of programs", outputs={"pipeline.txt": "most 9\n"}),
    _error(
        "pipeline_that_fails",
        "a pipeline that ends in an error",
        6,
        f"subprocess.CalledProcessError: {ANYTHING}returned non-zero exit status 1",
    ),
    _done(
        "output_past_python",
        "output by descriptor, child and C library",
        said=("by descriptor\n", "by a child\n", "complaint of a child\n", "by the C library\n", "by Python"),
    ),
    _done(
        "child_left_behind",
        "leaves a child running",
        message="1 process that the script left behind was killed",
        said=("started the live view",),
    ),
    _done(
        "daemon_left_behind",
        "leaves a daemon with a session of its own",
        message="1 process that the script left behind was killed",
    ),
    _done("threads_left_behind", "leaves threads waiting, one has failed", outputs={"threads.txt": "1"}),
    _done(
        "multiprocessing_pool",
        "a pool of forked workers",
        standard={"scale": 2},
        outputs={"pool.txt": "[2, 4, 6]"},
    ),
    # files
    _done(
        "polref_copies_its_input", "CRLF; `shutil.copy(input_file, output_dir)`", outputs={"ENGINX00075513.nxs": COUNTS}
    ),
    _done(
        "inter_earlier_results",
        "reads results of earlier runs",
        standard={"transmission runs": [34221, 34222]},
        advanced={"path": f"{SITE}/RB1510188/autoreduced/{{}}/T.dat"},
        outputs={"IvsQ.dat": "0.63\n"},
    ),
    _script(
        "inter_no_earlier_result",
        "an earlier result is missing, so it raises `Skip: ...`",
        "skipped",
        f"skipped by the script after {ANYTHING}: Skip: the transmission run is not reduced yet",
        line=8,
        advanced={"path": f"{SITE}/RB1510188/autoreduced/{{}}/T.dat"},
    ),
    _done("relative_paths", "writes to the working folder, `$HOME` and `$TMPDIR`", outputs={"bank 1/deep/a.txt": "1"}),
    _script(
        "link_to_the_data",
        "leaves a symbolic link among its results",
        "output_rejected",
        f"output rejected: {ANYTHING}raw.nxs{ANYTHING}symbolic link",
    ),
    _script(
        "more_output_than_allowed",
        "writes more than it may",
        "output_limit",
        f"output limit 8 MiB reached{ANYTHING}raise limits.output for ENGINX",
        limits={"output": 8 * 1024**2},
    ),
    _error(
        "writes_where_it_may_not",
        "writes to a path that was left in",
        6,
        "NotADirectoryError: [Errno 20] Not a directory",
    ),
    # ways to end
    _script(
        "skip_runs",
        "`SKIP_RUNS` names the run, as a number",
        "skipped",
        f"skipped by the script after {ANYTHING}: run 00075513 is in SKIP_RUNS of the script",
    ),
    _script(
        "skip_by_exception",
        "an exception that begins with `SKIP`",
        "skipped",
        f"skipped by the script after {ANYTHING}: SKIPPED: only 5 good frames",
        line=4,
    ),
    _error("skip_in_the_middle", "an exception with `skip` further on", 2, "Exception: cannot skip the header"),
    _error(
        "exit_with_text",
        "`sys.exit` with a text",
        7,
        "sys.exit with status 1: no log file beside ENGINX00075513.nxs",
    ),
    _error("exit_in_finally", "`sys.exit(256)` in a `finally`", 8, "sys.exit with status 1"),
    _done("exit_zero_at_import", "`sys.exit(0)` at import", "the script ended itself by sys.exit(0) at line 4", line=4),
    _script(
        "os_exit_zero",
        "`os._exit(0)`",
        "handoff_error",
        f"script ended with exit status 0 after {ANYTHING} without a valid report: handoff.out.json is missing",
        outputs={"half.txt": "half"},
    ),
    _script(
        "os_exit_seven",
        "`os._exit(7)`",
        "script_error",
        f"script error: reduce.py ended with exit status 7 after {ANYTHING}",
    ),
    _script(
        "segmentation_fault",
        "a wild pointer",
        "crash",
        "script crashed with signal 11 (SIGSEGV)",
        said=("line 6 in main",),
    ),
    _script("abort_in_a_library", "a library aborts", "crash", "script crashed with signal 6 (SIGABRT)"),
    _script(
        "ends_itself_by_signal",
        "sends itself SIGTERM",
        "killed_external",
        f"script killed from outside by signal 15 (SIGTERM) after {ANYTHING}; no limit of ours was reached",
    ),
    _error("keyboard_interrupt", "`KeyboardInterrupt`", 2, "KeyboardInterrupt"),
    _error("chained_exceptions", "an exception raised from another", 8, "RuntimeError: calibration is unreadable"),
    _error(
        "unprintable_exception",
        "an exception whose text cannot be made",
        7,
        "DetectorError: <unprintable DetectorError>",
    ),
    _error("recursion_without_end", "endless recursion", 2, "RecursionError: maximum recursion depth exceeded"),
    _error(
        "failure_in_a_library",
        "fails inside a library",
        5,
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    ),
    _error("asks_a_person", "asks for input", 2, "EOFError: EOF when reading a line"),
    # what is broken on the way
    _error("stdout_closed", "closes its output", 10, "OSError: still told"),
    _error(
        "modules_cleared",
        "leaves its folder, clears `sys.modules`, breaks `os` and `json`",
        11,
        "ValueError: after the flood",
    ),
    _error("removes_itself", "removes its own text", 6, "ValueError: the line is shown all the same"),
    # programs
    _done(
        "eqsans_program",
        "`script data_file output_dir/`; names made by `outdir + name`; a line `CONDA_ENV=`",
        mode="program",
        outputs={"EQSANS_ENGINX00075513_log.txt": "events from data\n"},
    ),
    _done(
        "sns_missing_file_bare_exit",
        "bare `sys.exit()` when the file is missing",
        "the script ended itself by sys.exit(0) at line 10",
        mode="program",
        line=10,
        said=("not found",),
    ),
    _done(
        "hys_second_python",
        "a second Python by `shell=True`, whose status nobody looks at",
        mode="program",
        outputs={"experiment_summary.csv": None},
        said=("second python says 2",),
    ),
    _done(
        "mandi_entry_point",
        "an entry point that starts another environment",
        "the script ended itself by sys.exit(0) at line 11",
        mode="program",
        line=11,
        outputs={"mandi.json": "mandi"},
    ),
    _error("usans_json", "writes JSON, fails later", 13, "IndexError: list index out of range", mode="program"),
    _error(
        "program_with_guard_and_error",
        "a class below the `__main__` guard",
        11,
        "ZeroDivisionError: division by zero",
        mode="program",
    ),
)


def lay_out(folder: Path) -> Path:
    """Make a site: data with neighbours, earlier results, and another instrument's folder."""
    files = {
        "data/ENGINX00075513.nxs": COUNTS,
        "data/ENGINX00075513.raw": COUNTS.removeprefix("counts "),
        "data/ENGINX00075514.nxs": COUNTS,
        "data/mask.xml": "<mask/>",
        "RB1510188/autoreduced/34221/T.dat": "0.7",
        "RB1510188/autoreduced/34222/T.dat": "0.9",
        "NDXMUSR/user/scripts/autoreduction/reduce_vars.py": "standard_vars = {'of': 'MUSR'}\nadvanced_vars = {}\n",
        "cache/ENGINX/75513/kept.txt": "kept",
        "cache/more/kept.txt": "kept",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _in_place(value: Any, site: Path) -> Any:
    return value.replace(SITE, str(site)) if isinstance(value, str) else value


def box_of(script: FieldScript, *, site: Path, spool: Path, python: str = sys.executable, level: Level = "none") -> Box:
    """Make the box that a run of this script gets; behind a tree it sees the site, read-only."""
    files = ["data/ENGINX00075513.nxs", "data/ENGINX00075514.nxs"][: 2 if script.batch else 1]
    groups = {"standard_vars": script.standard, "advanced_vars": script.advanced}
    program = script.mode == "program"
    return Box(
        interpreter=(python,),
        script=script.text,
        mode="program" if program else "module",
        input_files=tuple(str(site / name) for name in files),
        output_slash=program,
        reduce_vars={
            group: {key: _in_place(value, site) for key, value in values.items()}
            for group, values in groups.items()
            if values or group == "standard_vars"
        },
        facts={"run_number": "00075513"},
        env={"FIELD_SITE": str(site)},
        spool=str(spool),
        limits=Limits(**{"grace": 1.0, **script.limits}),
        subject="ENGINX",
        defaults=None if script.defaults is None else script.defaults.encode(),
        batch=script.batch,
        allowed_roots=(str(site),),
        sample_every=0.05,
        level=level,
        readable=(str(site),),
        closure=boxes.closure_here(),
    )


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What is seen of a run: the outcome, its results by name, and the log."""

    outcome: Outcome
    results: Mapping[str, bytes]
    log: str


def run(box: Box) -> Ran:
    """Run a box to its end and keep what came out."""
    with start(box) as running:
        boxes.drive(running)
        outcome = running.outcome()
        logs = running.logs.stdout.text() + b"\n" + running.logs.stderr.text()
        results = {result.path: _read(running.out_fd, result.path) for result in outcome.outputs}
    return Ran(outcome=outcome, results=results, log=logs.decode(errors="replace"))


def _read(folder: int, path: str) -> bytes:
    with open(path, "rb", opener=functools.partial(os.open, dir_fd=folder)) as file:
        return file.read()


def agrees(sentence: str, wanted: str) -> bool:
    """Tell whether a sentence says what is wanted, with anything where `ANYTHING` stands.

    A completed run ends in what was measured, so a remark that nobody expects shows as a semicolon.
    """
    pattern = ".*".join(re.escape(part) for part in wanted.split(ANYTHING))
    if not wanted.startswith("completed"):
        return re.match(pattern, sentence) is not None
    return re.fullmatch(pattern, sentence) is not None and sentence.count(";") == len(re.findall(";", wanted))


def differences(script: FieldScript, ran: Ran, *, site: Path) -> list[str]:
    """Return in which points a run ended otherwise than the table says."""
    outcome = ran.outcome
    found: list[tuple[str, object, object]] = [("verdict", str(outcome.verdict), script.verdict)]
    if not agrees(outcome.sentence, script.sentence):
        found.append(("sentence", outcome.sentence, script.sentence))
    wanted = {name: _in_place(text, site) for name, text in script.outputs.items()}
    got = {
        name: None if wanted.get(name, "") is None else data.decode(errors="replace")
        for name, data in ran.results.items()
    }
    found += [
        ("outputs", got, wanted),
        ("extra folders", outcome.extra_dirs, tuple(_in_place(path, site) for path in script.extra_dirs)),
        ("remark", script.message in outcome.message, True),
        ("log", [text for text in script.said if text not in ran.log], []),
        ("lines of ours in the traceback", "harness.py" in outcome.traceback, False),
    ]
    raised = script.line is not None and not re.search("sys.exit with|cannot be called with", script.sentence)
    if script.verdict == "script_error" and raised:
        shown = f", line {script.line}" in outcome.traceback
        found.append(("line in the traceback", shown, True))
    report = [f"{script.name}: {what}: {is_!r} and not {should!r}" for what, is_, should in found if is_ != should]
    return report + ([f"{script.name}: log: {ran.log[-2000:]}"] if report else [])


def under(python: str, scripts: tuple[FieldScript, ...], folder: Path, level: Level = "none") -> list[str]:
    """Run scripts one after the other, each in its own box, and return all differences."""
    site = lay_out(folder / "site")
    report: list[str] = []
    for script in scripts:
        spool = folder / script.name
        os.mkdir(spool)
        report += differences(
            script, run(box_of(script, site=site, spool=spool, python=python, level=level)), site=site
        )
    return report
