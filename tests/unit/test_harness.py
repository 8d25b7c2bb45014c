"""The harness as a real process, under every Python from 3.8 on that this machine has."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys

import pytest
from harnessbench import HARNESS, Bench
from pythons import pythons

from sandbox import handoff, harness
from sandbox.handoff import HandoffOut, HandoffProblem


@pytest.fixture(params=pythons().values(), ids=pythons().keys())
def bench(request, tmp_path):
    return Bench(tmp_path, request.param)


@pytest.fixture
def here(tmp_path):
    """Return a bench with the running interpreter, for what does not depend on its version."""
    return Bench(tmp_path, sys.executable)


def test_the_harness_imports_nothing_but_the_standard_library():
    with open(HARNESS, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_both_sides_share_the_names_and_the_version():
    assert (harness.VERSION, harness.IN_NAME, harness.OUT_NAME) == (handoff.VERSION, handoff.IN_NAME, handoff.OUT_NAME)
    assert harness.claim("returned").keys() == {"version", *HandoffOut.__dataclass_fields__}
    assert harness.DIRS_COUNT_CAP == handoff.DIRS_CAP
    assert harness.PATH_CAP == handoff.PATH_CAP
    assert harness.PACKAGES_CAP == handoff.PACKAGES_CAP
    assert harness.VERSION_CAP == handoff.VERSION_CAP
    texts = 6 * (harness.TRACEBACK_CAP + harness.DIRS_CAP + 4 * harness.TEXT_CAP + harness.PATH_CAP)
    packages = harness.PACKAGES_CAP * 2 * (2 * harness.VERSION_CAP + 4)  # ASCII that prints needs two bytes to say one
    assert texts + packages + 4096 < handoff.SIZE_CAP


# --- how main is called and what it returns


def test_main_that_returns_nothing_has_returned(bench):
    ended = bench.run("def main(input_file, output_dir):\n    print(input_file, output_dir, __name__, __file__)\n")

    assert ended.status == 0
    assert ended.out == HandoffOut(ended="returned")
    assert ended.stdout.split() == ["/data/ENGINX00075513.nxs", "/out", "reducescript", str(bench.script)]


@pytest.mark.parametrize(
    "signature",
    [
        "input_file, output_dir",
        "output_dir, input_file",
        "data, output",
        "data, output, /",
        "input_file=None, output_dir=None",
        "input_file, output_dir, more=3",
        "*, input_file, output_dir",
        "*args, **kwargs",
        "*args",
        "**kwargs",
        "input_file",
        "",
    ],
)
def test_main_is_called_as_its_signature_says(here, signature):
    ended = here.run(f"def main({signature}):\n    print(sorted(str(v) for v in locals().values()))\n")

    assert ended.out.ended == "returned", ended.stderr
    assert ("/out" in ended.stdout) == (signature not in {"input_file", ""})
    if signature:
        assert "/data/ENGINX00075513.nxs" in ended.stdout


def test_the_order_of_named_parameters_does_not_matter(bench):
    ended = bench.run("def main(output_dir, input_file):\n    print(input_file)\n")

    assert ended.stdout.strip() == "/data/ENGINX00075513.nxs"


def test_a_wrapper_that_only_passes_by_position_is_called_by_position(bench):
    ended = bench.run(
        "import functools\n"
        "def wrap(f):\n"
        "    @functools.wraps(f)\n"
        "    def inner(a, b):\n"
        "        return f(a, b)\n"
        "    return inner\n"
        "@wrap\n"
        "def main(input_file, output_dir):\n"
        "    print(output_dir)\n"
    )

    assert (ended.out.ended, ended.stdout.strip()) == ("returned", "/out")


def test_main_with_a_foreign_signature_is_an_error_at_its_line(bench):
    ended = bench.run("\n\ndef main(a, b, c):\n    return ''\n")

    assert ended.status == 1
    assert (ended.out.ended, ended.out.exception_type, ended.out.line) == ("exception", "TypeError", 3)
    assert ended.out.exception_text == "main(a, b, c) cannot be called with input_file and output_dir"


def test_a_type_error_inside_main_is_its_own_and_main_ran_once(bench):
    ended = bench.run("def main(input_file, output_dir):\n    print('ran')\n    len(3)\n")

    assert ended.stdout.count("ran") == 1
    assert (ended.out.exception_type, ended.out.line) == ("TypeError", 3)


def test_a_batch_gets_the_list_of_its_files(bench):
    ended = bench.run(
        "def main(input_file, output_dir):\n    print(type(input_file).__name__, *input_file)\n",
        input_files=("/data/a.nxs", "/data/b.nxs"),
        batch=True,
    )

    assert ended.stdout.split() == ["list", "/data/a.nxs", "/data/b.nxs"]


@pytest.mark.parametrize(
    ("value", "folders"),
    [
        ("None", ()),
        ("''", ()),
        ("[]", ()),
        ("0", ()),
        ("{}", ()),
        ("'/x/extra/'", ("/x/extra/",)),
        ("['/x/a', '', '/x/b']", ("/x/a", "/x/b")),
        ("('/x/a', '/x/é ü')", ("/x/a", "/x/é ü")),
        ("type('S', (str,), {'__str__': None, '__len__': None})('/x/s')", ("/x/s",)),
    ],
)
def test_folders_that_main_returns_are_reported(here, value, folders):
    ended = here.run(f"def main(input_file, output_dir):\n    return {value}\n")

    assert ended.out == HandoffOut(ended="returned", extra_dirs=folders)


def test_a_relative_folder_is_taken_from_the_working_folder(bench):
    ended = bench.run("def main(input_file, output_dir):\n    return 'sub'\n")

    assert ended.out.extra_dirs == (str(bench.root / "work" / "sub"),)


@pytest.mark.parametrize(
    ("value", "message", "folders"),
    [
        ("3", "main returned a int, which is no folder", ()),
        ("b'/x'", "main returned a bytes, which is no folder", ()),
        (
            "['/x/a', 7, None]",
            "main returned a int among its folders; main returned a NoneType among its folders",
            ("/x/a",),
        ),
        ("'a\\0b'", "main returned a folder that cannot be used: ValueError", ()),
        ("'/\\ud800'", "main returned a folder that cannot be used: UnicodeEncodeError", ()),
        ("'/' + 'x' * 5000", "main returned a folder that cannot be used: ValueError", ()),
        (
            "type('Bomb', (), {'__repr__': None, '__str__': None, '__bool__': None})()",
            "main returned a Bomb, which is no folder",
            (),
        ),
    ],
)
def test_any_other_return_value_is_a_message_and_no_failure(here, value, message, folders):
    ended = here.run(f"def main(input_file, output_dir):\n    return {value}\n")

    assert ended.status == 0
    assert ended.out == HandoffOut(ended="returned", message=message, extra_dirs=folders)


def test_too_many_folders_are_cut_and_the_report_stays_readable(bench):
    ended = bench.run("def main(input_file, output_dir):\n    return ['/x/\\x01%05d' % n for n in range(100000)]\n")

    assert len(ended.out.extra_dirs) == 1000
    assert ended.out.message == "main returned too many folders"


def test_a_coroutine_is_not_taken_for_work_done(bench):
    ended = bench.run("async def main(input_file, output_dir):\n    print('never')\n")

    assert ended.out.message == "main is a coroutine, which was not run"
    assert ended.stderr == ""


def test_a_flat_script_has_run_at_its_import_with_the_usual_arguments(bench):
    ended = bench.run(
        "import sys\nprint(sys.argv[1:])\nif __name__ == '__main__':\n    raise SystemExit(9)\n", script_args=("x",)
    )

    assert (ended.status, ended.out.ended) == (0, "returned")
    assert ended.out.message == "the script has no main; it ran when it was imported"
    assert ended.stdout.strip() == "['/data/ENGINX00075513.nxs', '/out', 'x']"


# --- the text of the script


def test_byte_order_mark_crlf_tabs_and_future_imports_survive(bench):
    text = (
        b"\xef\xbb\xbffrom __future__ import print_function\r\ndef main(input_file, output_dir):\r\n\tprint('fine')\r\n"
    )

    assert bench.run(text).stdout.strip() == "fine"


def test_the_harness_future_imports_do_not_reach_the_script(bench):
    ended = bench.run("def f(x: 1 + 1): pass\nprint(f.__annotations__['x'])\n")

    assert ended.stdout.strip() == "2"


def test_a_coding_cookie_is_honoured(bench):
    ended = bench.run("# -*- coding: latin-1 -*-\nprint(ascii('ü'))\n".encode("latin-1"))

    assert ended.stdout.strip() == r"'\xfc'"


def test_a_text_that_is_not_utf8_is_a_syntax_error(bench):
    ended = bench.run("x = 1\nprint('ü')\n".encode("latin-1"))

    assert (ended.status, ended.out.ended, ended.out.exception_type) == (1, "exception", "SyntaxError")
    assert "harness" not in ended.out.traceback


def test_a_null_byte_in_the_text_is_an_error(bench):
    ended = bench.run(b"x = 1\n\0\n")

    assert (ended.status, ended.out.ended) == (1, "exception")
    assert ended.out.exception_type in {"SyntaxError", "ValueError"}


def test_a_syntax_error_names_its_line_and_shows_no_frame_of_ours(bench):
    ended = bench.run("import os\n\ndef main(:\n    pass\n")

    assert (ended.status, ended.out.exception_type, ended.out.line) == (1, "SyntaxError", 3)
    assert ended.out.traceback.lstrip().startswith(f'File "{bench.script}", line 3\n    def main(:\n')
    assert ended.out.traceback in ended.stderr


def test_another_text_than_the_ordered_one_is_not_run(bench):
    ended = bench.run("print('ran')", script_sha256="0" * 64)

    assert (ended.status, ended.out.ended, ended.stdout) == (1, "exception", "")
    assert ended.out.exception_text == "the text of the script is not the one that was ordered"


# --- reduce_vars


VARS = {
    "standard_vars": {
        "n": 7,
        "x": 2.0,
        "off": None,
        "on": True,
        "list": [2, 0.5],
        "text": "007",
        "Minimum Extents": "-3,-5",
    },
    "advanced_vars": {"vanadium-mass": 8.5},
}
SHOW = "    import json; print(json.dumps([{0}.standard_vars, {0}.advanced_vars]))\n"


@pytest.mark.parametrize(
    "head",
    ["import reduce_vars as web_var\n", "", "web_var = None\n", "import reduce_vars\nweb_var = reduce_vars\n"],
    ids=["import", "bare", "none", "alias"],
)
def test_the_values_of_the_message_reach_web_var_with_their_types(bench, head):
    ended = bench.run(f"{head}def main(input_file, output_dir):\n{SHOW.format('web_var')}", reduce_vars=VARS)

    assert ended.said() == [VARS["standard_vars"], VARS["advanced_vars"]]
    assert type(ended.said()[0]["n"]) is int
    assert type(ended.said()[0]["x"]) is float


def test_a_star_import_sees_the_values(bench):
    ended = bench.run(
        "from reduce_vars import *\nimport json\nprint(json.dumps([standard_vars, advanced_vars]))\n", reduce_vars=VARS
    )

    assert ended.said() == [VARS["standard_vars"], VARS["advanced_vars"]]


def test_another_instruments_folder_on_the_path_does_not_hide_the_values(bench):
    other = bench.root / "other"
    other.mkdir()
    (other / "reduce_vars.py").write_text("standard_vars = {'n': 'of another instrument'}\n")

    ended = bench.run(
        "import sys, importlib\n"
        f"sys.path.insert(0, {str(other)!r})\n"
        "import reduce_vars as web_var\n"
        "seen = [web_var.standard_vars['n']]\n"
        "del sys.modules['reduce_vars']\n"
        "import reduce_vars\n"
        "seen.append(reduce_vars.standard_vars['n'])\n"
        "reduce_vars.standard_vars['n'] = 'spoilt'\n"
        "seen.append(importlib.reload(reduce_vars).standard_vars['n'])\n"
        "print(seen)\n",
        reduce_vars=VARS,
    )

    assert ended.stdout.strip() == "[7, 7, 7]"


def test_the_instruments_own_defaults_stay_underneath(bench):
    own = bench.root / "reduce_vars.py"
    own.write_bytes(
        b"\xef\xbb\xbffrom collections import OrderedDict\r\nstandard_vars = OrderedDict()\r\n"
        b"standard_vars['n'] = 1\r\nstandard_vars['deep'] = []\r\nadvanced_vars = {'m': 'default'}\r\nvariable_help = {'n': 'what'}\r\n"
    )

    ended = bench.run(
        "import reduce_vars as web_var\nimport json\n"
        "print(json.dumps([type(web_var.standard_vars).__name__, web_var.standard_vars['n'], web_var.standard_vars['deep'],"
        " web_var.advanced_vars, web_var.variable_help, web_var.__file__]))\n",
        reduce_vars=VARS,
        default_vars=str(own),
    )

    advanced = {"m": "default", "vanadium-mass": 8.5}
    assert ended.said() == ["OrderedDict", 7, [], advanced, {"n": "what"}, str(own)]


@pytest.mark.parametrize("text", ["raise SystemExit(4)", "import nowhere_to_be_found", "standard_vars = {", None])
def test_unreadable_defaults_are_a_warning(here, text):
    own = here.root / "reduce_vars.py"
    if text is not None:
        own.write_text("half = 1\n" + text)

    ended = here.run(
        "print(hasattr(web_var, 'half'), web_var.standard_vars['n'])\n", reduce_vars=VARS, default_vars=str(own)
    )

    assert (ended.status, ended.stdout.strip()) == (0, "False 7")
    assert f"warning: the default values of {own} cannot be used" in ended.stderr


@pytest.mark.parametrize(
    "own",
    [
        "class web_var:\n    standard_vars = {'n': 1, 'k': 2}\n    advanced_vars = {}\n",
        "import types\nweb_var = types.ModuleType('mine')\nweb_var.standard_vars = {'n': 1, 'k': 2}\n",
    ],
)
def test_a_web_var_of_the_scripts_own_making_gets_the_values_merged_over(here, own):
    ended = here.run(f"{own}def main(input_file, output_dir):\n{SHOW.format('web_var')}", reduce_vars=VARS)

    assert ended.said() == [{**VARS["standard_vars"], "k": 2}, VARS["advanced_vars"]]


def test_both_dictionaries_exist_even_if_the_message_has_neither(bench):
    ended = bench.run(f"def main(input_file, output_dir):\n{SHOW.format('web_var')}")

    assert ended.said() == [{}, {}]


def test_a_dictionary_that_the_message_leaves_null_stays_a_dictionary(here):
    values = {"standard_vars": None, "advanced_vars": {"a": 1}, "more": [1], "__name__": "spoilt"}

    ended = here.run(
        "import json\nprint(json.dumps([web_var.standard_vars, web_var.advanced_vars, web_var.more, web_var.__name__]))\n",
        reduce_vars=values,
    )

    assert ended.said() == [{}, {"a": 1}, [1], "reduce_vars"]


# --- skipping


@pytest.mark.parametrize("run", ['"00075513"', "75513", "75513.0", '" 75513 "'])
@pytest.mark.parametrize(
    "entry", ["[75513]", "('00075513',)", "{75513.0}", "75513", "'75512, 75513'", "range(75000, 76000)"]
)
def test_skip_runs_compares_by_value(here, run, entry):
    ended = here.run(
        f"SKIP_RUNS = {entry}\ndef main(input_file, output_dir):\n    print('ran')\n",
        facts={"run_number": json.loads(run)},
    )

    assert (ended.status, ended.out.ended, ended.stdout) == (0, "skipped", "")
    assert "is in SKIP_RUNS of the script" in ended.out.skip_reason


@pytest.mark.parametrize(
    "entry", ["[]", "[75514]", "None", "[None]", "[True]", "object()", "['x', float('nan')]", "'all'"]
)
def test_skip_runs_that_do_not_name_the_run_leave_it_in(here, entry):
    ended = here.run(
        f"SKIP_RUNS = {entry}\ndef main(input_file, output_dir):\n    print('ran')\n", facts={"run_number": "00075513"}
    )

    assert (ended.out.ended, ended.stdout.strip()) == ("returned", "ran")


@pytest.mark.parametrize("text", ["skip", "Skipped: empty run", "  SKIP this one"])
def test_an_exception_that_begins_with_skip_means_skipped(bench, text):
    ended = bench.run(f"def main(input_file, output_dir):\n    raise ValueError({text!r})\n")

    assert (ended.status, ended.out.ended, ended.out.skip_reason, ended.out.exception_type) == (0, "skipped", text, "")


def test_skip_elsewhere_in_the_text_counts_only_where_the_site_says_so(here):
    script = "raise RuntimeError('cannot Skip header')\n"

    assert here.run(script).out.ended == "exception"
    assert here.run(script, skip_anywhere=True).out.ended == "skipped"


# --- exceptions


def test_an_exception_is_reported_with_its_line_and_the_traceback_starts_in_the_script(bench):
    ended = bench.run("import json\ndef main(input_file, output_dir):\n    json.loads('{')\n")

    assert ended.status == 1
    assert (ended.out.ended, ended.out.exception_type, ended.out.line) == (
        "exception",
        "json.decoder.JSONDecodeError",
        3,
    )
    lines = ended.out.traceback.splitlines()
    assert lines[:3] == [
        "Traceback (most recent call last):",
        f'  File "{bench.script}", line 3, in main',
        "    json.loads('{')",
    ]
    assert "harness" not in ended.out.traceback
    assert ended.out.traceback in ended.stderr


def test_the_innermost_line_of_the_script_is_the_one(bench):
    ended = bench.run(
        "def deeper():\n    raise KeyError('no bank 2')\ndef main(input_file, output_dir):\n    deeper()\n"
    )

    assert (ended.out.exception_type, ended.out.exception_text, ended.out.line) == ("KeyError", "'no bank 2'", 2)


def test_the_traceback_shows_the_lines_of_a_script_that_removed_itself(bench):
    ended = bench.run("import os\nos.remove(__file__)\nraise ValueError('gone')  # here\n")

    assert "raise ValueError('gone')  # here" in ended.out.traceback


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "GeneratorExit", "Own"])
def test_exceptions_beside_exception_are_exceptions_too(bench, error):
    ended = bench.run(
        f"class Own(BaseException):\n    pass\ndef main(input_file, output_dir):\n    raise {error}('text')\n"
    )

    assert (ended.status, ended.out.ended) == (1, "exception")
    assert (ended.out.exception_type, ended.out.exception_text, ended.out.line) == (error, "text", 4)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("def __str__(self): raise ValueError('no')", "<unprintable Bad>"),
        ("def __str__(self): raise SystemExit(0)", "<unprintable Bad>"),
        ("def __str__(self): return 7", "<unprintable Bad>"),
        ("def __str__(self): return 'x' * 100_000_000", "x" * 4093 + "..."),
        ("def __str__(self): return '\\x1b[2J\\n\\ud800\\u202e'", "\x1b[2J\n\\ud800\u202e"),
        (
            "__str__ = lambda self: type('S', (str,), {'lower': None, 'encode': None, '__getitem__': None})('odd')",
            "odd",
        ),
    ],
    ids=["raises", "exits", "no text", "bomb", "controls", "subclass"],
)
def test_an_exception_whose_text_is_a_trap_is_reported(bench, body, text):
    ended = bench.run(f"class Bad(Exception):\n    {body}\ndef main(input_file, output_dir):\n    raise Bad()\n")

    assert (ended.status, ended.out.ended, ended.out.exception_type, ended.out.line) == (1, "exception", "Bad", 4)
    assert ended.out.exception_text == text
    assert len(ended.out.traceback.encode()) <= harness.TRACEBACK_CAP
    assert f'File "{bench.script}", line 4' in ended.out.traceback


def test_a_type_whose_name_is_a_trap_is_reported(bench):
    ended = bench.run(
        "class Meta(type):\n"
        "    __module__ = property(lambda c: 1 / 0)\n"
        "class Bad(Exception, metaclass=Meta):\n"
        "    pass\n"
        "raise Bad('text')\n"
    )

    assert (ended.status, ended.out.exception_type, ended.out.exception_text) == (1, "exception", "text")


def test_endless_recursion_and_a_long_chain_of_exceptions_stay_bounded(bench):
    recursion = bench.run(
        "import sys\nsys.setrecursionlimit(8000)\ndef main(input_file, output_dir):\n    main(input_file, output_dir)\n"
    )
    chain = bench.run(
        "error = None\n"
        "for n in range(5000):\n"
        "    new = ValueError('é' * 100 + str(n))\n"
        "    new.__cause__ = error\n"
        "    error = new\n"
        "raise error\n"
    )

    assert (recursion.out.exception_type, recursion.out.line) == ("RecursionError", 4)
    assert (chain.out.exception_type, chain.out.line) == ("ValueError", 6)
    assert chain.out.traceback.rstrip().endswith("4999")
    for ended in (recursion, chain):
        assert len(ended.out.traceback.encode()) <= harness.TRACEBACK_CAP


# --- sys.exit and other ways out


@pytest.mark.parametrize(
    ("call", "status", "text"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit(256)", 1, ""),
        ("sys.exit(259)", 3, ""),
        ("sys.exit(-1)", 255, ""),
        ("sys.exit(True)", 1, ""),
        ("sys.exit('no such file')", 1, "no such file"),
        ("sys.exit((1, 2))", 1, "(1, 2)"),
        ("raise SystemExit('skip it')", 1, "skip it"),
    ],
)
def test_a_failing_sys_exit_keeps_its_status_and_its_line(here, call, status, text):
    ended = here.run(f"import sys\ndef main(input_file, output_dir):\n    {call}\n")

    assert ended.status == status
    assert ended.out == HandoffOut(
        ended="exit", exit_code=status, exception_type="SystemExit", exception_text=text, line=3
    )
    assert ended.stderr.strip() == text


@pytest.mark.parametrize("call", ["sys.exit()", "sys.exit(0)", "sys.exit(None)", "exit()"])
def test_sys_exit_without_a_failure_is_reported_with_a_remark(here, call):
    ended = here.run(f"import sys\n{call}\n")

    assert (ended.status, ended.out.ended, ended.out.exit_code, ended.out.line) == (
        0,
        "exit",
        0,
        2,
    )
    assert ended.out.message == "the script ended itself by sys.exit(0) at line 2"


def test_os_exit_leaves_no_report(bench):
    ended = bench.run("import os\nos._exit(0)\n")

    assert (ended.status, ended.claim) == (0, HandoffProblem(text="handoff.out.json is missing"))


def test_a_signal_leaves_its_raw_status(bench):
    ended = bench.run("import ctypes\ndef main(input_file, output_dir):\n    ctypes.string_at(0)\n")

    assert ended.status == -11
    assert isinstance(ended.claim, HandoffProblem)
    assert f'File "{bench.script}", line 3 in main' in ended.stderr


def test_a_thread_that_is_left_ends_after_the_report(bench):
    ended = bench.run(
        "import os, threading, time\n"
        "def late(folder):\n"
        "    while not os.path.exists(os.path.join(folder, 'handoff.out.json')):\n"
        "        time.sleep(0.01)\n"
        "    print('late')\n"
        "def main(input_file, output_dir):\n"
        f"    threading.Thread(target=late, args=({str(bench.root / 'handoff')!r},)).start()\n"
        "    print('main')\n"
    )

    assert (ended.status, ended.out.ended, ended.stdout.split()) == (0, "returned", ["main", "late"])


def test_what_raises_while_the_interpreter_ends_does_not_alter_the_report(bench):
    ended = bench.run(
        "import atexit, sys\n"
        "class Late:\n"
        "    def __del__(self): raise ValueError('del')\n"
        "keep = Late()\n"
        "@atexit.register\n"
        "def boom(): raise ValueError('atexit')\n"
    )

    assert (ended.status, ended.out.ended) == (0, "returned")


def test_a_forked_child_that_comes_back_does_not_report(bench):
    ended = bench.run(
        "import os\n"
        "def main(input_file, output_dir):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        raise ValueError('in the child')\n"
        "    os.waitpid(child, 0)\n"
        "    os.remove('x') if os.path.exists('x') else None\n"
    )

    assert (ended.status, ended.out.ended) == (0, "returned")


# --- surroundings


def test_nothing_of_ours_is_importable(bench):
    ended = bench.run(
        "import importlib.util, sys\n"
        "print(sys.path[:2], [n for n in ('harness', 'limits', 'handoff', 'outcome') if importlib.util.find_spec(n)])\n"
    )

    assert ended.stdout.strip() == f"{[str(bench.root / 'work'), str(bench.root / 'script')]} []"


def test_neighbours_in_the_working_folder_and_beside_the_script_are_importable(bench):
    (bench.root / "work" / "in_cwd.py").write_text("x = 1\n")
    (bench.root / "script" / "beside.py").write_text("x = 2\n")

    assert bench.run("import in_cwd, beside\nprint(in_cwd.x + beside.x)\n").stdout.strip() == "3"


def test_output_is_line_buffered_so_that_order_is_kept(bench):
    ended = bench.run("import os\nprint('first')\nos.write(1, b'second\\n')\nprint('third', end='')\n")

    assert ended.stdout.split() == ["first", "second", "third"]


WRECKS = {
    "json": "import json\njson.dumps = json.JSONEncoder = json.encoder.c_make_encoder = json.encoder.encode_basestring = None\n",
    "os": "import os\nfor n in ('open', 'write', 'close', 'rename', 'fchmod', 'unlink', 'getpid', 'path'): setattr(os, n, None)\n",
    "open": "import builtins, io\nbuiltins.open = io.open = None\n",
    "builtins": "import builtins\nfor n in ('len', 'str', 'isinstance', 'open', 'print', 'OSError', 'BaseException', 'getattr'): setattr(builtins, n, None)\n",
    "modules": "import sys\nsys.modules.clear()\n",
    "streams": "import sys\nsys.stdout.close()\nsys.stdout = None\nsys.stderr = 7\n",
    "traceback": "import traceback, linecache\ntraceback.TracebackException.__init__ = linecache.getline = linecache.cache = None\n",
    "descriptors": "import os\nos.closerange(0, 256)\n",
    "hooks": "import sys\nsys.excepthook = sys.meta_path = None\n",
    "umask": "import os\nos.umask(0o777)\n",
    "no descriptors": "import os\nkeep = []\ntry:\n    while True: keep.append(os.open('/', os.O_RDONLY))\nexcept OSError: keep_error = 1\n",
}


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_script_that_breaks_the_interpreter_still_gets_its_report(bench, wreck):
    fine = bench.run(f"{WRECKS[wreck]}def main(input_file, output_dir):\n    return '/x'\n")

    assert fine.out.extra_dirs == ("/x",), fine.stderr


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_script_that_breaks_the_interpreter_and_fails_still_gets_its_report(bench, wreck):
    ended = bench.run(f"{WRECKS[wreck]}def main(input_file, output_dir):\n    raise KeyError('after all')\n")

    assert (ended.out.exception_type, ended.out.exception_text) == ("KeyError", "'after all'")
    assert ended.out.line == WRECKS[wreck].count("\n") + 2
    assert f'File "{bench.script}", line {ended.out.line}, in main' in ended.out.traceback
    assert ended.status == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_with_functions_of_the_script(bench, method):
    ended = bench.run(
        "import multiprocessing\n"
        "import reduce_vars as web_var\n"
        "def double(x):\n"
        "    return 2 * x + web_var.standard_vars['n']\n"
        "def main(input_file, output_dir):\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print(pool.map(double, range(4)))\n",
        reduce_vars=VARS,
    )

    assert (ended.status, ended.stdout.strip()) == (0, "[7, 9, 11, 13]"), ended.stderr
    assert ended.out.ended == "returned"


def test_dataclasses_pickles_and_inspection_work_in_a_script(bench):
    ended = bench.run(
        "import dataclasses, inspect, pickle\n"
        "@dataclasses.dataclass\n"
        "class Point:\n"
        "    x: 'int' = 1\n"
        "def main(input_file, output_dir):\n"
        "    print(pickle.loads(pickle.dumps(Point())), inspect.getsource(Point).count('x'))\n"
    )

    assert ended.stdout.strip() == "Point(x=1) 1"


# --- program mode


def test_a_program_runs_as_main_with_its_arguments(bench):
    ended = bench.run(
        "import sys, __main__\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv[1:], __main__.__file__ == __file__ == sys.argv[0])\n",
        mode="program",
        output_dir="/out/",
        script_args=("extra",),
    )

    assert (ended.status, ended.out) == (0, HandoffOut(ended="returned"))
    assert ended.stdout.strip() == "['/data/ENGINX00075513.nxs', '/out/', 'extra'] True"


def test_a_program_that_fails_is_reported_like_a_module(bench):
    error = bench.run("x = 1\nraise ValueError('bad')\n", mode="program")
    left = bench.run("import sys\nsys.exit('nothing to do')\n", mode="program")

    assert (error.status, error.out.exception_type, error.out.line) == (1, "ValueError", 2)
    assert error.out.traceback.startswith(
        f'Traceback (most recent call last):\n  File "{bench.script}", line 2, in <module>\n'
    )
    assert (left.status, left.out.ended, left.out.exit_code) == (1, "exit", 1)


def test_a_program_can_use_spawned_processes(bench):
    ended = bench.run(
        "import multiprocessing\n"
        "def double(x):\n"
        "    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        print(pool.map(double, range(3)))\n",
        mode="program",
    )

    assert (ended.status, ended.stdout.strip()) == (0, "[0, 2, 4]"), ended.stderr


# --- the order itself


def test_an_order_that_cannot_be_read_is_reported(here):
    folder = here.root / "handoff"
    (folder / "handoff.json").write_text('{"version": 99}')
    done = subprocess.run([here.python, HARNESS, str(folder)], capture_output=True, text=True, check=False, timeout=60)
    fd = os.open(folder, os.O_RDONLY)
    try:
        report = handoff.read(fd)
    finally:
        os.close(fd)

    assert done.returncode == 1
    assert isinstance(report, HandoffOut)
    assert report.exception_text == "handoff.json has not version 1"


def test_without_a_folder_it_says_how_it_is_called(here):
    done = subprocess.run([here.python, HARNESS], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr.strip()) == (1, "usage: harness.py HANDOFF_DIR")
