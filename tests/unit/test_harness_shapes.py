"""The harness against what scripts do to themselves, their interpreter and the harness, under every Python here."""

from __future__ import annotations

import os
import re
import sys

import pytest
from harnessbench import Bench
from pythons import pythons

from sandbox.handoff import HandoffOut, HandoffProblem

VERSIONS = pythons()
RUNNING = "{}.{}.{}".format(*sys.version_info)
#: The oldest, the running and the newest, for long lists of cases.
EDGES = {version: VERSIONS[version] for version in (next(iter(VERSIONS)), RUNNING, next(reversed(VERSIONS)))}


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS.keys())
def bench(request, tmp_path):
    return Bench(tmp_path, request.param)


@pytest.fixture(params=EDGES.values(), ids=EDGES.keys())
def edge(request, tmp_path):
    return Bench(tmp_path, request.param)


@pytest.fixture
def here(tmp_path):
    """Return a bench with the running interpreter, for what does not depend on its version."""
    return Bench(tmp_path, sys.executable)


VARS = {"standard_vars": {"n": 7, "list": [1], "text": "a"}, "advanced_vars": {"path": "mask.xml"}}
MUTATES = """\
import reduce_vars as web_var
def main(input_file, output_dir):
    print(sorted(web_var.standard_vars.items()), sorted(web_var.advanced_vars.items()))
    web_var.standard_vars["list"].append(2)
    web_var.advanced_vars["path"] = "/masks/" + web_var.advanced_vars["path"]
    del web_var.standard_vars["n"]
    web_var.extra = 1
"""


# --- variables


def test_what_a_script_changes_in_its_variables_does_not_reach_the_next_run(bench):
    own = bench.root / "reduce_vars.py"
    own.write_text("standard_vars = {'list': [0], 'of the instrument': [3]}\n")
    before = own.read_bytes()

    first = bench.run(MUTATES, reduce_vars=VARS, default_vars=str(own))
    second = bench.run(MUTATES, reduce_vars=VARS, default_vars=str(own))

    assert first.status == second.status == 0
    assert first.stdout == second.stdout
    assert "('of the instrument', [3])" in first.stdout
    assert own.read_bytes() == before
    assert list(bench.root.rglob("__pycache__")) == []


def test_a_reloaded_module_has_the_values_of_the_message_again(here):
    ended = here.run(
        "import importlib, reduce_vars\nreduce_vars.standard_vars['list'].append(9)\n"
        "print(importlib.reload(reduce_vars).standard_vars['list'])\n",
        reduce_vars=VARS,
    )

    assert ended.stdout.strip() == "[1]"


def test_defaults_that_are_a_folder_or_not_utf8_are_a_warning(here):
    odd = here.root / "odd.py"
    odd.write_bytes(b"standard_vars = {'x': '\xe9'}\n")
    for path in (here.root, odd):
        ended = here.run("print(web_var.standard_vars['n'])\n", reduce_vars=VARS, default_vars=str(path))
        assert (ended.status, ended.stdout.strip()) == (0, "7")
        assert f"warning: the default values of {path} cannot be used" in ended.stderr


def test_defaults_that_a_site_needs_to_import_its_neighbours_fail_softly(here):
    own = here.root / "reduce_vars.py"
    own.write_text("from instrument_tables import mask\nstandard_vars = {'mask': mask}\n")

    ended = here.run("print(web_var.standard_vars)\n", reduce_vars=VARS, default_vars=str(own))

    assert ended.stdout.strip() == str(VARS["standard_vars"])
    assert "No module named 'instrument_tables'" in ended.stderr


def test_two_modules_of_the_script_share_one_set_of_variables(bench):
    (bench.root / "script" / "helper.py").write_text("import reduce_vars\nshared = reduce_vars.standard_vars\n")

    ended = bench.run(
        "import helper, reduce_vars\ndef main(input_file, output_dir):\n    print(helper.shared is reduce_vars.standard_vars)\n",
        reduce_vars=VARS,
    )

    assert ended.stdout.strip() == "True"


# --- what stands under main


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class M:\n    def __call__(self, input_file, output_dir): print('called')\nmain = M()\n", "called"),
        ("class M:\n    def run(self, data, output): print('bound', output)\nmain = M().run\n", "bound /out"),
        ("class M:\n    @staticmethod\n    def run(input_file, output_dir): print('static')\nmain = M.run\n", "static"),
        ("import functools\ndef f(x, input_file, output_dir): print(x)\nmain = functools.partial(f, 'p')\n", "p"),
        ("main = lambda input_file, output_dir: print('lambda')\n", "lambda"),
        ("def main(input_file, *, output_dir='/none'): print(output_dir)\n", "/out"),
        ("def main(*, output_dir, input_file): print('keywords only')\n", "keywords only"),
        ("def main(input_file=None, output_dir=None): print(input_file is None)\n", "False"),
        ("def main(*args): print(len(args))\n", "2"),
        ("main = print\n", "/data/ENGINX00075513.nxs /out"),
    ],
)
def test_whatever_can_be_called_is_called(here, text, said):
    ended = here.run(text)

    assert (ended.status, ended.out.ended, ended.stdout.strip()) == (0, "returned", said), ended.stderr


def test_a_generator_or_an_object_that_main_returns_is_named(here):
    assert here.run("def main(a, b):\n    yield 1\n").out.message == "main returned a generator, which is no folder"
    assert here.run("class main:\n    def __init__(self, a, b): pass\n").out.message == (
        "main returned a main, which is no folder"
    )


def test_a_main_that_is_no_function_is_not_called(here):
    assert here.run("main = 'reduce'\n").out.message == "the script has no main; it ran when it was imported"


def test_a_signature_that_is_a_trap_is_the_scripts_own_error(here):
    ended = here.run(
        "class M:\n    __signature__ = property(lambda s: 1 / 0)\n    def __call__(self, a, b): pass\nmain = M()\n"
    )

    assert isinstance(ended.claim, HandoffOut)
    assert ended.out.ended in {"returned", "exception"}


# --- the text


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        (b"x = 1\n  y = 2\n", "IndentationError", 2),
        (b"if True:\n    x = 1\n\ty = 2\n", "TabError", 3),
        (b"x = 1\r\ny = (\r\n\r\n'", "SyntaxError", None),
        (b"x = 1\ry = 2\rz = = 3\r", "SyntaxError", 3),
        (b"\xef\xbb\xbfx = 1\r\nprint 'two'\r\n", "SyntaxError", 2),
        (b"import os\n\nx = 'a\0b'\n", "SyntaxError", 3),
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\nraise ValueError(x)\n", "ValueError", 3),
        (b"def main(input_file, output_dir):\n    return 1 +\n", "SyntaxError", 2),
        (b"from __future__ import braces\n", "SyntaxError", 1),
        (b"x = 1\nfrom __future__ import division\n", "SyntaxError", 2),
        (b"return 3\n", "SyntaxError", 1),
    ],
)
def test_a_text_that_is_wrong_is_an_error_at_its_line(bench, text, kind, line):
    ended = bench.run(text)

    assert (ended.status, ended.out.ended, ended.out.exception_type) == (1, "exception", kind)
    assert ended.out.line == line or (line is None and ended.out.line in {2, 4})
    assert "harness" not in ended.out.traceback
    assert "reduce.py, line" not in ended.out.exception_text


def test_a_wrong_text_beside_the_script_is_an_error_at_the_import(bench):
    (bench.root / "script" / "neighbour.py").write_text("x = 1\ny = (\n")

    ended = bench.run("import os\n\nimport neighbour\n")

    assert (ended.out.exception_type, ended.out.line) == ("SyntaxError", 3)
    assert "neighbour.py" in ended.out.exception_text


@pytest.mark.parametrize("mode", ["module", "program"])
def test_an_empty_text_and_a_long_one_run(bench, mode):
    assert bench.run(b"", mode=mode).out.ended == "returned"
    long = (
        "".join(f"def f{n}(a, b):\n    return a + b * {n}\n\n" for n in range(1500)) + "raise ValueError(f1499(1, 1))\n"
    )
    ended = bench.run(long, mode=mode)

    assert len(long) > 50_000
    assert (ended.out.exception_text, ended.out.line) == ("1500", 4501)


# --- the guard


@pytest.mark.parametrize(("mode", "said"), [("module", "reducescript"), ("program", "__main__\nguarded")])
def test_the_guard_is_for_programs_only(bench, mode, said):
    ended = bench.run("print(__name__)\nif __name__ == '__main__':\n    print('guarded')\n", mode=mode)

    assert ended.stdout.strip() == said


# --- ways out


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("try:\n        raise ValueError('lost')\n    finally:\n        sys.exit(4)", 4, ""),
        ("try:\n        sys.exit(5)\n    finally:\n        print('cleaned')", 5, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(None)", 0, ""),
        ("sys.exit(0.0)", 1, "0.0"),
        ("sys.exit([])", 1, "[]"),
        ("sys.exit(10 ** 30)", 1, ""),
        ("sys.exit(-256)", 1, ""),
        ("sys.exit(False)", 0, ""),
        ("sys.exit('')", 1, ""),
        ("sys.exit(type('I', (int,), {'__int__': None, '__and__': None, '__index__': None})(3))", 3, ""),
        ("sys.exit(type('T', (), {'__str__': None})())", 1, "<unprintable T>"),
    ],
)
def test_every_form_of_sys_exit_keeps_its_meaning(edge, body, status, text):
    ended = edge.run(f"import sys\ndef main(input_file, output_dir):\n    {body}\n")

    assert (ended.status, ended.out.ended, ended.out.exit_code) == (status, "exit", status), ended.stderr
    assert ended.out.exception_text == text
    assert ended.out.line is not None


def test_an_exit_whose_attributes_are_traps_is_no_success(bench):
    ended = bench.run(
        "class Exit(SystemExit):\n    code = property(lambda self: 1 / 0)\n    __traceback__ = property(lambda self: 1 / 0)\n"
        "def main(input_file, output_dir):\n    raise Exit(0)\n"
    )

    assert (ended.status, ended.out.ended, ended.out.exception_type) == (1, "exception", "Exit")


def test_an_exception_whose_attributes_are_traps_is_reported(bench):
    ended = bench.run(
        "class Trap(Exception):\n"
        "    __traceback__ = __cause__ = __context__ = __suppress_context__ = property(lambda self: 1 / 0)\n"
        "    args = property(lambda self: 1 / 0)\n"
        "    def __getattribute__(self, name): raise ValueError(name)\n"
        "raise Trap('text')\n"
    )

    assert (ended.status, ended.out.ended, ended.out.exception_type) == (1, "exception", "Trap")


def test_an_exception_group_is_reported_whole(bench):
    ended = bench.run(
        "import sys\n"
        "kind = ExceptionGroup if sys.version_info >= (3, 11) else (lambda text, parts: ValueError(text, parts))\n"
        "def main(input_file, output_dir):\n"
        "    raise kind('two banks', [ValueError('bank 1'), KeyError('bank 2')])\n"
    )

    assert (ended.status, ended.out.ended, ended.out.line) == (1, "exception", 4)
    assert ended.out.exception_type in {"ExceptionGroup", "ValueError"}
    assert "two banks" in ended.out.exception_text
    assert "bank 1" in ended.out.traceback
    assert "bank 2" in ended.out.traceback
    assert "harness" not in ended.out.traceback


def test_a_deep_and_a_wide_group_of_exceptions_stay_bounded(here):
    text = (
        "error = ValueError('x' * 5000)\n"
        "for n in range({depth}):\n"
        "    error = ExceptionGroup('g' * 500, [error] * {width})\n"
        "raise error\n"
    )
    for depth, width in ((300, 1), (1, 3000)):
        ended = here.run(text.format(depth=depth, width=width))

        assert (ended.out.exception_type, ended.out.line) == ("ExceptionGroup", 4)
        assert len(ended.out.traceback.encode()) <= 64 * 1024


@pytest.mark.parametrize(
    "wreck",
    [
        "import sys; sys.setrecursionlimit(40)",
        "import sys; sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)",
        "import warnings; warnings.simplefilter('error')",
        "import gc; gc.disable(); gc.set_threshold(1)",
        "import os; os.chdir('/'); os.environ.clear()",
        "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
        "import io, sys; sys.stdout = io.StringIO(); sys.stderr = io.BytesIO()",
        "import sys; sys.stdout.detach(); sys.stderr.detach()",
        "import sys; sys.exit = sys.exc_info = None; sys.executable = None; sys.version = None",
        "import sys; sys.modules = None",
        "import sys; del sys.modules, sys.path, sys.stdout, sys.argv",
        "import sys; sys.modules['sys'] = sys.modules['__main__'] = None",
        "import inspect; inspect.signature = None",
        "import copy, io, types; copy.deepcopy = types.ModuleType = None",
        "import faulthandler; faulthandler.disable()",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
        "import locale; locale.setlocale(locale.LC_ALL, 'C')",
        "import threading; threading.settrace(lambda *a: None)",
        "import builtins; builtins.__import__ = None",
    ],
)
def test_nothing_that_a_script_leaves_behind_spoils_its_report(edge, wreck):
    head = f"def main(input_file, output_dir):\n    {wreck}\n"

    good = edge.run(f"{head}    return ['/x']\n")
    bad = edge.run(f"{head}    raise OSError('after it')\n")

    assert (good.status, good.out.ended) == (0, "returned"), good.stderr
    assert good.out.extra_dirs == ("/x",)
    assert (bad.status, bad.out.exception_type, bad.out.exception_text, bad.out.line) == (1, "OSError", "after it", 3)


def test_os_exit_in_a_thread_and_a_vanished_script_leave_no_report(bench):
    ended = bench.run("import os, threading\nt = threading.Thread(target=os._exit, args=(0,))\nt.start()\nt.join()\n")

    assert (ended.status, ended.claim) == (0, HandoffProblem(text="handoff.out.json is missing"))


def test_a_failure_in_a_thread_is_in_the_log_and_no_failure_of_the_run(bench):
    ended = bench.run(
        "import threading\ndef late(): raise ValueError('in a thread')\n"
        "def main(input_file, output_dir):\n    t = threading.Thread(target=late); t.start(); t.join()\n"
    )

    assert (ended.status, ended.out.ended) == (0, "returned")
    assert "ValueError: in a thread" in ended.stderr


def test_output_of_descriptor_child_and_c_library_is_in_the_log(bench):
    ended = bench.run(
        "import ctypes, os, subprocess, sys\n"
        "print('python')\nos.write(1, b'descriptor\\n')\n"
        "subprocess.call([sys.executable, '-c', 'print(\"child\")'])\n"
        "ctypes.CDLL(None).printf(b'c library\\n')\n"
    )

    assert sorted(ended.stdout.splitlines()) == ["c library", "child", "descriptor", "python"]
    assert ended.stdout.splitlines()[:3] == ["python", "descriptor", "child"]


def test_a_forked_pool_works_after_the_environment_was_emptied(bench):
    ended = bench.run(
        "import multiprocessing, os\ndef double(x): return 2 * x\n"
        "def main(input_file, output_dir):\n    os.environ.clear()\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(double, range(3)))\n"
    )

    assert (ended.status, ended.stdout.strip()) == (0, "[0, 2, 4]")


def test_questions_get_no_answer_and_help_needs_no_terminal(bench):
    asked = bench.run("input('which bank? ')\n")
    helped = bench.run("def bank(a):\n    'Says how.'\nprint(help(bank))\n")

    assert (asked.out.exception_type, asked.out.line) == ("EOFError", 1)
    assert re.search(r"bank\(a\)\n\s+Says how\.\n\s*\nNone\n$", helped.stdout), helped.stdout


# --- the record of the surroundings


def test_the_claim_names_python_and_the_loaded_packages(bench):
    for name, text in {"pack": "__version__ = '1.2.3'\n", "pack/sub": "__version__ = '9'\n"}.items():
        folder = bench.root / "script" / name
        folder.mkdir()
        (folder / "__init__.py").write_text(text)
    (bench.root / "script" / "absent.py").write_text("__version__ = '4'\n")

    found = bench.run(
        "import pack.sub, json, argparse, csv, ctypes, decimal, logging, zlib\n__version__ = '7'\n"
    ).environment

    version = next(version for version, path in VERSIONS.items() if path == bench.python)
    assert found["python"].startswith(version)
    assert found["implementation"] == "CPython"
    assert os.path.isabs(found["executable"])
    assert found["packages"]["pack"] == "1.2.3"
    assert list(found["packages"]) == ["pack"], "only packages of somebody, none of Python's own"


HOSTILE_MODULES = """\
import sys, types
class Lazy(types.ModuleType):
    __dict__ = property(lambda self: 1 / 0)
    def __getattribute__(self, name):
        raise SystemExit('loaded')
class Liar:
    __class__ = property(lambda self: 1 / 0)
    __dict__ = property(lambda self: 1 / 0)
    __version__ = '1'
class Name(str):
    __hash__ = str.__hash__
    def __eq__(self, other): raise ValueError('compared')
def add(name, version, kind=types.ModuleType):
    module = types.ModuleType.__new__(kind)
    types.ModuleType.__init__(module, str(name))
    types.ModuleType.__dict__['__dict__'].__get__(module)['__version__'] = version
    sys.modules[name] = module
add('aa_lazy', '1.0', Lazy)
add('aa_number', 3.1)
add('aa_tuple', (1, 2))
add('aa_subclass', Name('1'))
add('aa_long', 'x' * 101)
add('aa_line', '1\\n2')
add('aa_letter', '1\\xe9')
add('\\xe9', '1')
add('', '1')
add('x' * 101, '1')
add('_private', '1')
add('dotted.name', '1')
add(Name('aa_name'), '1')
sys.modules['aa_liar'] = Liar()
sys.modules['aa_none'] = None
sys.modules['aa_class'] = types.ModuleType
sys.modules[7] = sys
dynamic = types.ModuleType('aa_dynamic')
dynamic.__getattr__ = lambda name: 1 / 0
sys.modules['aa_dynamic'] = dynamic
def __getattr__(name): raise SystemExit('asked')
"""


def test_no_module_can_spoil_the_list_of_packages(bench):
    ended = bench.run(HOSTILE_MODULES)

    assert (ended.status, ended.out.ended) == (0, "returned"), ended.stderr
    assert {name: v for name, v in ended.environment["packages"].items() if name[:2] == "aa"} == {"aa_lazy": "1.0"}


def test_the_list_of_packages_is_bounded(bench):
    ended = bench.run(
        "import sys, types\n"
        "for n in range(5000):\n"
        "    m = sys.modules['a%05d' % n + 'x' * 94] = types.ModuleType('m')\n"
        "    m.__version__ = '\\\\' * 100\n"
    )

    assert len(ended.environment["packages"]) == 200
    assert min(ended.environment["packages"]).startswith("a00000x")


@pytest.mark.parametrize(
    "wreck", ["sys.modules = None", "sys.modules = {1: 2}", "sys.modules.clear()", "del sys.modules"]
)
def test_what_a_script_does_to_the_modules_is_no_failure(bench, wreck):
    ended = bench.run(f"import sys\n{wreck}\n")

    assert (ended.status, ended.out.ended) == (0, "returned"), ended.stderr
    assert ended.environment["python"]


def test_even_a_script_that_cannot_be_read_has_a_record_of_its_python(bench):
    assert bench.run("x", script="/nowhere/reduce.py").environment["python"]
