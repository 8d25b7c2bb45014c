"""The harness: runs one reduction script the way facilities' scripts expect, and reports how it ended.

It is started inside the box as `python harness.py HANDOFF_DIR` by whatever interpreter the instrument uses, Python 3.8
or newer, and is therefore one file of the standard library only. It reads `handoff.json`, prepares what scripts in
production rely on (DESIGN section 7), runs the script, and writes `handoff.out.json` by rename before it ends.

It stands outside the trust boundary: script and harness share one process, so what it writes is a claim. It still takes
care that a script cannot spoil the report by accident: everything needed after the script has run is bound before it
starts, and the functions here see a private copy of the builtins.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # The interpreter put this file's folder first: nothing of ours may be importable, or hide a module of the script.
    del sys.path[0]

import builtins
import collections
import copy
import errno
import faulthandler
import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import io
import itertools
import json
import linecache
import operator
import os
import tokenize
import traceback
import types
from typing import Any, Callable, Iterable

# Functions defined below look their builtins up here, so that `builtins.open = None` in a script does not reach them.
globals()["__builtins__"] = dict(vars(builtins))

VERSION = 1
IN_NAME = "handoff.json"
OUT_NAME = "handoff.out.json"

#: Bytes kept of the traceback, of all returned folders together, and of each other text. JSON may need six bytes to
#: say one, and all of it has to stay below the reader's cap of 1 MiB.
TRACEBACK_CAP = 64 * 1024
DIRS_CAP = 64 * 1024
TEXT_CAP = 4096
#: Folders that `main` may return, and the bytes of each (PATH_MAX of linux/limits.h).
DIRS_COUNT_CAP = 1000
PATH_CAP = 4096
#: Packages that are listed at most, and the characters of each name and version.
PACKAGES_CAP = 200
VERSION_CAP = 100
#: Frames of a traceback that are formatted; a script may have raised its recursion limit to a million.
FRAMES_CAP = 2000

#: Name under which a script is imported; scripts have seen it since 2016.
SCRIPT_MODULE = "reducescript"
VARS_MODULE = "reduce_vars"
#: The two dictionaries every script may expect in `reduce_vars`.
GROUPS = ("standard_vars", "advanced_vars")
#: How processes that multiprocessing starts by "spawn" or "forkserver" find the modules of the run again.
HANDOFF_VARIABLE = "AUTOREDUCE_HANDOFF"

_open, _write, _close, _fchmod = os.open, os.write, os.close, os.fchmod
_rename, _getpid, _abspath = os.rename, os.getpid, os.path.abspath
_quote, _TracebackException = json.encoder.encode_basestring, traceback.TracebackException
_islice, _deque = itertools.islice, collections.deque
# The dictionary and not its name in `sys`, which a script may bind anew; the slot and not the attribute, whose reading
# loads a lazy module.
_modules, _ModuleType = sys.modules, types.ModuleType
_names_of: Callable[[Any], dict[str, Any]] = vars(types.ModuleType)["__dict__"].__get__
_python, _executable = sys.version.split()[0], sys.executable
_implementation = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)
# Python tells the names of its own modules from 3.10 on; these are the ones with a version in 3.8 and 3.9.
_OLD = (
    "argparse cgi csv ctypes decimal distutils imaplib ipaddress json logging optparse platform pyexpat re smtpd "
    "socketserver tabnanny zlib"
)
_no_packages = {SCRIPT_MODULE, VARS_MODULE, *getattr(sys, "stdlib_module_names", _OLD.split())}


class HandoffError(Exception):
    """The order cannot be carried out as it stands."""


class MainMismatchError(TypeError):
    """The script's `main` cannot take an input file and an output folder."""

    def __init__(self, text: str, filename: str, lineno: int | None) -> None:
        super().__init__(text)
        self.filename = filename
        self.lineno = lineno


# --- the order ---------------------------------------------------------------------------------------------------


def read_order(folder: str) -> dict[str, Any]:
    """Return the order of `handoff.json`.

    Raises:
        HandoffError: it is not there, or of another version.
    """
    try:
        with open(os.path.join(folder, IN_NAME), encoding="utf-8") as stream:
            order = json.load(stream)
    except (OSError, ValueError) as error:
        raise HandoffError(f"cannot read {IN_NAME}: {error}") from None
    if not isinstance(order, dict) or order.get("version") != VERSION:
        raise HandoffError(f"{IN_NAME} has not version {VERSION}")
    return order


def read_source(order: dict[str, Any]) -> bytes:
    """Return the text of the script as bytes, which keeps byte order mark, line ends and coding cookie for `compile`.

    Raises:
        HandoffError: it cannot be read, or is not the text that was ordered.
    """
    try:
        with open(order["script"], "rb") as stream:
            source = stream.read()
    except OSError as error:
        raise HandoffError(f"cannot read the script: {error}") from None
    if order["script_sha256"] and hashlib.sha256(source).hexdigest() != order["script_sha256"]:
        raise HandoffError("the text of the script is not the one that was ordered")
    return source


# --- the surroundings of the script ------------------------------------------------------------------------------


class RunModules:
    """Makes `reduce_vars` and the script importable, ahead of whatever the script does to `sys.path`.

    Many scripts append the folder of another instrument, which has a `reduce_vars` of its own; neither that, nor
    `del sys.modules["reduce_vars"]`, nor `importlib.reload` gets past the first finder.
    """

    def __init__(self, order: dict[str, Any], source: bytes) -> None:
        self.order = order
        self.source = source
        self.origins = {SCRIPT_MODULE: order["script"], VARS_MODULE: order["default_vars"]}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:  # noqa: ARG002
        """Answer for the two names of the run only."""
        if name not in self.origins:
            return None
        # A finder and loader by its methods alone: importlib.abc would load a dozen modules that no script asked for.
        spec = importlib.machinery.ModuleSpec(name, self, origin=self.origins[name])  # type: ignore[arg-type]  # ditto
        # This is what gives the module a __file__.
        spec.has_location = self.origins[name] is not None
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:  # noqa: ARG002
        """Leave the making of the module to the import system."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill one of the two modules."""
        if module.__name__ == SCRIPT_MODULE:
            variables = importlib.import_module(VARS_MODULE)
            module.__dict__["web_var"] = variables
            execute(self.source, self.order["script"], module)
            settle_web_var(module, variables, self.order["reduce_vars"])
        else:
            fill_variables(module, self.order)


def execute(source: bytes, path: str, module: types.ModuleType) -> None:
    """Run a text in a module, compiled from bytes and without the `from __future__` of this file.

    Raises:
        SyntaxError: it cannot be compiled; what the text itself raises passes as well.
    """
    null = source.find(b"\0")
    if null >= 0:
        # Python says it as a ValueError up to 3.10, and never where.
        line = len(source[: null + 1].splitlines())
        raise SyntaxError("the text contains null bytes", (path, line, None, None))
    # Without this, `exec` would give the script our private copy.
    module.__dict__["__builtins__"] = builtins
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)


def fill_variables(module: types.ModuleType, order: dict[str, Any]) -> None:
    """Fill `reduce_vars`: the instrument's own module underneath, the values of the message above it.

    An instrument's module that cannot be read is a warning in the log, because the message's values are whole.
    """
    path = order["default_vars"]
    if path is not None:
        before = dict(module.__dict__)
        try:
            with open(path, "rb") as stream:
                execute(stream.read(), path, module)
        except BaseException as error:
            say(f"warning: the default values of {path} cannot be used: {name_of(error)}: {text_of(error)}")
            module.__dict__.clear()
            module.__dict__.update(before)
    merge(module.__dict__, order["reduce_vars"])


def merge(namespace: dict[str, Any], values: dict[str, Any]) -> None:
    """Merge {"standard_vars": {...}, ...} over the dictionaries of a namespace, in place where there are some."""
    for group in GROUPS:
        if not isinstance(namespace.get(group), dict):
            namespace[group] = {}
    for group, entries in values.items():
        if isinstance(entries, dict) and isinstance(namespace.get(group), dict):
            namespace[group].update(copy.deepcopy(entries))
        elif group not in GROUPS and not group.startswith("__"):
            namespace[group] = copy.deepcopy(entries)


def settle_web_var(module: types.ModuleType, ours: types.ModuleType, values: dict[str, Any]) -> None:
    """See to it that the script's `web_var` has the values of the message, wherever the script got it from."""
    found = module.__dict__.get("web_var")
    if found is ours or isinstance(getattr(getattr(found, "__spec__", None), "loader", None), RunModules):
        return
    if found is None:
        module.__dict__["web_var"] = ours
    elif isinstance(found, dict):
        merge(found, values)
    elif isinstance(found, types.ModuleType):
        merge(found.__dict__, values)
    elif any(isinstance(getattr(found, group, None), dict) for group in GROUPS):
        for group in GROUPS:
            getattr(found, group, {}).update(copy.deepcopy(values.get(group) or {}))
    else:
        say(f"warning: web_var of the script is a {type(found).__name__}; it keeps its own value")


def prepare(order: dict[str, Any], source: bytes) -> None:
    """Prepare the interpreter: prompt output, import path, arguments, and the script's lines for tracebacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    try:
        # A crash in a compiled library then leaves the lines of the script in the log; the signal stays what it is.
        faulthandler.enable()
    except (RuntimeError, ValueError, AttributeError, OSError):
        say("warning: no standard error, a crash would leave no traceback")
    script = order["script"]
    folders = [os.getcwd(), os.path.dirname(script)]
    sys.path[:] = folders + [entry for entry in sys.path if entry not in folders]
    sys.argv[:] = [script, *order["input_files"], order["output_dir"], *order["script_args"]]
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        lines = io.TextIOWrapper(io.BytesIO(source), encoding).readlines()
    except (SyntaxError, UnicodeError, LookupError):
        return  # `compile` says it better.
    # An entry without a time is never checked against the file again, which the script may change or remove.
    linecache.cache[script] = (len(source), None, lines, script)


# --- running it --------------------------------------------------------------------------------------------------


def claim(ended: str, **parts: Any) -> dict[str, Any]:
    """Return the report of a script that ended in this way."""
    record: dict[str, Any] = {
        "version": VERSION,
        "ended": ended,
        "exception_type": "",
        "exception_text": "",
        "line": None,
        "traceback": "",
        "extra_dirs": [],
        "skip_reason": "",
        "message": "",
        "exit_code": None,
        "environment": {},
    }
    record.update(parts)
    return record


def run_module(order: dict[str, Any], source: bytes) -> dict[str, Any]:
    """Import the script, then call its `main`."""
    modules = RunModules(order, source)
    sys.meta_path.insert(0, modules)
    sys.modules.pop(VARS_MODULE, None)
    spec = modules.find_spec(SCRIPT_MODULE)
    assert spec is not None
    # Not by `import`: that would look for the module in sys.modules afterwards, which the script may have changed.
    script = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT_MODULE] = script
    modules.exec_module(script)
    reason = skipped_run(script.__dict__.get("SKIP_RUNS"), order["facts"].get("run_number"))
    if reason:
        return claim("skipped", skip_reason=bounded(reason, TEXT_CAP))
    main = script.__dict__.get("main")
    if not callable(main):
        return claim("returned", message="the script has no main; it ran when it was imported")
    files = order["input_files"]
    first = files[0] if files else ""
    result = call_main(main, list(files) if order["batch"] else first, order["output_dir"], order["script"])
    folders, message = folders_of(result)
    return claim("returned", extra_dirs=folders, message=message)


def run_program(order: dict[str, Any], source: bytes) -> dict[str, Any]:
    """Run the script as `__main__`, the way `python script data_file output_dir/` does."""
    if order["default_vars"] is not None or any(order["reduce_vars"].values()):
        sys.meta_path.insert(0, RunModules(order, source))
    script = types.ModuleType("__main__")
    script.__dict__.update(__file__=order["script"], __cached__=None)
    sys.modules["__main__"] = script
    execute(source, order["script"], script)
    return claim("returned")


def call_main(main: Callable[..., Any], input_file: str | list[str], output_dir: str, path: str) -> Any:
    """Call `main` by keyword or position, as its signature says; a TypeError from inside it is its own.

    Raises:
        MainMismatchError: it can be called neither way.
    """
    named = {"input_file": input_file, "output_dir": output_dir}
    ways: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), named),
        ((input_file, output_dir), {}),
        ((input_file,), {}),
        ((), {}),
    ]
    try:
        # A decorator's wrapper and the function under it may differ, and both get the arguments.
        signatures = [inspect.signature(main), inspect.signature(main, follow_wrapped=False)]
    except (TypeError, ValueError):  # Some compiled functions have no signature to look at.
        return main(input_file, output_dir)
    for args, kwargs in ways:
        if all(fits(signature, args, kwargs) for signature in signatures):
            return main(*args, **kwargs)
    line = getattr(getattr(main, "__code__", None), "co_firstlineno", None)
    text = f"main{signatures[0]} cannot be called with input_file and output_dir"
    raise MainMismatchError(text, path, line)


def fits(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether a call has the form of a signature."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def folders_of(result: Any) -> tuple[list[str], str]:
    """Return the folders that `main` returned, and a remark about what else it returned.

    A string, or a list or tuple of strings, are folders; nothing, and what is false, are none.
    """
    if result is None or (isinstance(result, (bool, int, float, dict, set)) and not result):
        return [], ""
    if isinstance(result, types.CoroutineType):
        result.close()
        return [], "main is a coroutine, which was not run"
    if isinstance(result, str):
        result = [result]
    if not isinstance(result, (list, tuple)):
        return [], f"main returned a {name_of(result)}, which is no folder"
    folders: list[str] = []
    remarks: list[str] = []
    total = 0
    for item in result:
        if not isinstance(item, str):
            remarks.append(f"main returned a {name_of(item)} among its folders")
            continue
        try:
            folder = folder_of(str.__str__(item))
            total += len(folder.encode("utf-8"))
        except (ValueError, OSError) as error:
            remarks.append(f"main returned a folder that cannot be used: {type(error).__name__}")
            continue
        if total > DIRS_CAP or len(folders) >= DIRS_COUNT_CAP:
            remarks.append("main returned too many folders")
            break
        if folder:
            folders.append(folder)
    return folders, bounded("; ".join(dict.fromkeys(remarks)), TEXT_CAP)


def folder_of(item: str) -> str:
    """Return a returned folder as an absolute path, "" for "".

    Raises:
        ValueError: no file system can have it, or the report cannot say it.
        OSError: it is relative to a folder that is gone.
    """
    folder = item if not item or item.startswith("/") else _abspath(item)
    if "\0" in folder or len(folder.encode("utf-8")) > PATH_CAP:
        raise ValueError("not a path")
    return folder


def skipped_run(skip_runs: Any, run_number: Any) -> str:
    """Return why the script's SKIP_RUNS leaves this run out, "" if it does not; what cannot be read leaves none out."""
    try:
        runs = run_number if isinstance(run_number, list) else [run_number]
        if isinstance(skip_runs, str):
            skip_runs = skip_runs.split(",")
        elif skip_runs is None or isinstance(skip_runs, (int, float)):
            skip_runs = [skip_runs]
        skipped = [by_value(item) for item in skip_runs]
        if runs and all(by_value(run) is not None and by_value(run) in skipped for run in runs):
            return f"run {', '.join([str(run) for run in runs])} is in SKIP_RUNS of the script"
    except Exception as error:
        say(f"warning: SKIP_RUNS cannot be read: {name_of(error)}: {text_of(error)}")
    return ""


def by_value(run: Any) -> int | str | None:
    """Return a run number by its value: "00075513", 75513 and 75513.0 are one run."""
    if run is None or isinstance(run, bool):
        return None
    if isinstance(run, float):
        return int(run) if run.is_integer() else None
    if not isinstance(run, str):
        return operator.index(run)
    text = run.strip()
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        return int(number) if number == number // 1 else None
    return text.casefold() or None


# --- how it ended ------------------------------------------------------------------------------------------------


def ended_by(error: BaseException, path: str, *, anywhere: bool) -> dict[str, Any]:
    """Return the report of a script that ended by an exception, which is also printed as Python does."""
    try:
        return told(error, path, anywhere=anywhere)
    except BaseException:  # Its attributes are traps, or the script left no room to look at them.
        name, text = name_of(error), text_of(error)
        say(f"{name}: {text}")
        return claim("exception", exception_type=name, exception_text=text)


def told(error: BaseException, path: str, *, anywhere: bool) -> dict[str, Any]:
    """Return what an exception says of how the script ended; it may be a trap in every attribute."""
    line = line_of(error, path)
    if isinstance(error, SystemExit):
        status, text = exit_status(error)
        message = ""
        if text:
            say(text)
        if status == 0:
            message = "the script ended itself by sys.exit(0)" + ("" if line is None else f" at line {line}")
        return claim(
            "exit", exit_code=status, exception_type="SystemExit", exception_text=text, line=line, message=message
        )
    placed = isinstance(error, SyntaxError) and line is not None and error.filename == path
    # The text of a SyntaxError would name file and line again.
    text = text_of(error.msg if placed else error)  # type: ignore[attr-defined]  # a SyntaxError has it
    begins = text.lower().lstrip().startswith("skip")
    if isinstance(error, Exception) and (begins or (anywhere and "skip" in text.lower())):
        return claim("skipped", skip_reason=text, line=line)
    trace = traceback_of(error, path)
    say(trace)
    return claim("exception", exception_type=name_of(error), exception_text=text, line=line, traceback=trace)


def exit_status(error: SystemExit) -> tuple[int, str]:
    """Return the exit status that Python would give to a SystemExit, never 0 for what is not 0, and its text."""
    code = error.code
    if code is None:
        return 0, ""
    if isinstance(code, int):
        # exit(3) keeps 8 bits: `sys.exit(256)` would be taken for success. A subclass may have methods of its own.
        return int.__and__(code, 0xFF) or int(int.__ne__(code, 0)), ""
    return 1, text_of(code)


def line_of(error: BaseException, path: str) -> int | None:
    """Return the innermost line of the script that took part in an exception, None for none."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    if line is None and isinstance(error, (SyntaxError, MainMismatchError)) and error.filename == path:
        line = error.lineno
    # A line can be 0 or None in made-up code objects and syntax errors.
    return line if isinstance(line, int) and line > 0 else None


def traceback_of(error: BaseException, path: str) -> str:
    """Return the traceback from the script's first frame on, bounded."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != path:
        trace = trace.tb_next
    try:
        frames = 0
        rest = trace
        while rest is not None:
            frames += 1
            rest = rest.tb_next
        limit = None if frames <= FRAMES_CAP else -FRAMES_CAP
        whole = _TracebackException(type(error), error, trace, limit=limit)
        formatted = whole.format()
        # What lies between is left out below: this many pieces of at least a file name each are larger than the cap.
        pieces = [*_islice(formatted, FRAMES_CAP), *_deque(formatted, FRAMES_CAP)]
        pieces = [bounded(piece, TRACEBACK_CAP // 4) for piece in pieces]
    except BaseException:
        pieces = plain_traceback(error, trace)
    text = "".join(pieces)
    if len(text.encode("utf-8")) <= TRACEBACK_CAP:
        return text
    half = TRACEBACK_CAP // 2 - 64
    head = text.encode("utf-8")[:half].decode("utf-8", "ignore")
    tail = text.encode("utf-8")[-half:].decode("utf-8", "ignore")
    return head + "\n[... the middle is left out ...]\n" + tail


def plain_traceback(error: BaseException, trace: types.TracebackType | None) -> list[str]:
    """Return a traceback without source lines, made without any help of modules that a script may have broken."""
    pieces: list[str] = []
    while trace is not None and len(pieces) < FRAMES_CAP:
        code = trace.tb_frame.f_code
        pieces.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n')
        trace = trace.tb_next
    pieces.append(f"{name_of(error)}: {text_of(error)}\n")
    return [bounded(piece, TEXT_CAP) for piece in pieces]


def text_of(thing: Any) -> str:
    """Return the text of a stranger's object, bounded, whatever its `__str__` does."""
    try:
        # The inner str may be an instance of a subclass, with methods of its own; the outer call makes it plain.
        return bounded(str.__str__(str(thing)), TEXT_CAP)
    except BaseException:
        return f"<unprintable {name_of(thing)}>"


def name_of(thing: Any) -> str:
    """Return the name of a stranger's type, with its module unless that is the script or a builtin."""
    try:
        # Not `isinstance`, which asks the thing itself.
        kind = TypeError if type(thing) is MainMismatchError else type(thing)
        name = str.__str__(kind.__qualname__)
        if kind.__module__ not in ("builtins", "__main__", SCRIPT_MODULE):
            name = f"{kind.__module__}.{name}"
        return bounded(name, 200) or "exception"
    except BaseException:
        return "exception"


def bounded(text: str, cap: int) -> str:
    """Return a text of at most `cap` bytes as UTF-8, lone surrogates escaped; a longer one ends in "..."."""
    data = text[: cap + 1].encode("utf-8", "backslashreplace")
    if len(data) <= cap:
        return data.decode("utf-8")
    return data[: cap - 3].decode("utf-8", "ignore") + "..."


def say(text: str) -> None:
    """Write a line to the log, past whatever the script made of `sys.stderr`."""
    flush()
    try:
        _write(2, (text.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))
    except OSError:
        return  # The script closed it; the report says the same.


def flush() -> None:
    """Flush both streams; one that cannot be is dropped, because Python would end with status 120 for it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is None:
            continue
        try:
            stream.flush()
        except BaseException:
            setattr(sys, name, None)


def surroundings() -> dict[str, Any]:
    """Return what ran the script and which packages are loaded, for the record of how a result was made.

    Looks and does not touch: nothing is imported, and no code of a module runs for it.
    """
    packages: dict[str, str] = {}
    try:
        loaded = [name for name in [*_modules] if type(name) is str and listable(name)]
        for name in sorted(loaded):
            module = _modules.get(name)
            # By the type, because `isinstance` asks the thing itself.
            if issubclass(type(module), _ModuleType) and len(packages) < PACKAGES_CAP:
                version = _names_of(module).get("__version__")
                if type(version) is str and short(version):
                    packages[name] = version
    except BaseException as error:
        say(f"warning: the loaded packages cannot be listed: {name_of(error)}")
    return {
        "python": _python,
        "implementation": _implementation,
        "executable": bounded(_executable or "", PATH_CAP),
        "packages": packages,
    }


def listable(name: str) -> bool:
    """Tell whether a module can be a package of somebody: at the top level, and neither private nor Python's own."""
    return short(name) and "." not in name and name[0] != "_" and name not in _no_packages


def short(text: str) -> bool:
    """Tell whether a name or version is one that the reader takes; ASCII prints alike under every Python."""
    return 0 < len(text) <= VERSION_CAP and text.isascii() and text.isprintable()


# --- the report --------------------------------------------------------------------------------------------------


def write_claim(folder: str, record: dict[str, Any], reserve: int) -> None:
    """Write `handoff.out.json` whole or not at all.

    Args:
        folder: the handoff folder.
        record: the report.
        reserve: a descriptor to give up if the script has used up all others.
    """
    temporary = f"{folder}/.{OUT_NAME}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = _open(temporary, flags, 0o600)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        _close(reserve)
        fd = _open(temporary, flags, 0o600)
    # The script may have set any umask, and the reader has to read it.
    _fchmod(fd, 0o600)
    data = json_text(record).encode("utf-8")
    while data:
        data = data[_write(fd, data) :]
    _close(fd)
    _rename(temporary, f"{folder}/{OUT_NAME}")


def json_text(value: Any) -> str:
    """Return JSON of the few types a report has; the json module may be in pieces by now."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, int):
        return f"{value:d}"
    if isinstance(value, list):
        return "[" + ", ".join([json_text(item) for item in value]) + "]"
    return "{" + ", ".join([_quote(key) + ": " + json_text(item) for key, item in value.items()]) + "}"


def perform(folder: str) -> dict[str, Any]:
    """Carry out the order and return the report; whatever the script raises ends here."""
    path = ""
    anywhere = False
    try:
        order = read_order(folder)
        path, anywhere = order["script"], order["skip_anywhere"]
        source = read_source(order)
        prepare(order, source)
        return run_program(order, source) if order["mode"] == "program" else run_module(order, source)
    except BaseException as error:
        return ended_by(error, path, anywhere=anywhere)


def run(folder: str) -> int:
    """Carry out the order, write the report, and return the exit status."""
    owner = _getpid()
    reserve = _open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.environ[HANDOFF_VARIABLE] = folder
    record = perform(folder)
    # A child that the script forked, and that came back here, is not the one to report.
    if _getpid() == owner:
        record["environment"] = surroundings()
        try:
            write_claim(folder, record, reserve)
        except OSError as error:
            say(f"cannot write {OUT_NAME}: {error}")
    flush()
    if record["ended"] == "exit":
        return int(record["exit_code"])
    return 1 if record["ended"] == "exception" else 0


def arguments(argv: Iterable[str]) -> str:
    """Return the handoff folder of a command line.

    Raises:
        SystemExit: there is not exactly one.
    """
    folders = list(argv)
    if len(folders) != 1:
        raise SystemExit("usage: harness.py HANDOFF_DIR")
    return _abspath(folders[0])


if __name__ == "__main__":
    # Up to Python 3.9 a function takes its builtins from its caller unless their globals differ; hence the detour.
    exec("raise stop(run(folder))", {"stop": SystemExit, "run": run, "folder": arguments(sys.argv[1:])})
elif __name__ == "__mp_main__" and HANDOFF_VARIABLE in os.environ:
    # A child of multiprocessing that was not forked imports its parent's main file under this name, which is this one.
    _order = read_order(os.environ[HANDOFF_VARIABLE])
    sys.meta_path.insert(0, RunModules(_order, read_source(_order)))
