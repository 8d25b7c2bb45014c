"""Each defect of the worker of 2016, brought back into a copy of the code, is noticed by the test that guards it.

A mutant is tested in a process of its own, in a copy of the project that comes first on every import path, so that the
supervisors, nurseries and boxes that its tests start run the mutated code as well.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

PROJECT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
COPIED = ("supervisor", "sandbox", "tests", "examples", "typings", "pyproject.toml")
#: Seconds for one test of a mutant, which may hang; a hang is not how a mutant is to be noticed.
PATIENCE = 60
#: The defects of the list that must have a mutant each.
NUMBERS = {f"D{number}" for number in range(1, 20)} - {"D18"}


def _load_mutants():
    spec = importlib.util.spec_from_file_location("defects", os.path.join(os.path.dirname(__file__), "defects.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.MUTANTS


MUTANTS = _load_mutants()
NAMED = sorted({test for mutant in MUTANTS for test in mutant.tests})


def copy_project(source, target):
    target.mkdir()
    for name in COPIED:
        path = os.path.join(source, name)
        if os.path.isdir(path):
            # With the times of the files: the compiled modules of a copy are as good as those of the original.
            shutil.copytree(path, target / name, ignore=shutil.ignore_patterns("mutants"))
        else:
            shutil.copy2(path, target / name)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project with all modules compiled, to make further copies of."""
    folder = tmp_path_factory.mktemp("project") / "copy"
    copy_project(PROJECT, folder)
    for package in ("supervisor", "sandbox"):
        compileall.compile_dir(folder / package, quiet=2)
    return folder


@pytest.fixture
def copy(project, tmp_path):
    copy_project(project, tmp_path / "copy")
    return tmp_path / "copy"


def environment(copy):
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(copy.parent),
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_tests(copy, tests):
    """Run tests of a copy; return the exit status, the failures as {test: [messages]}, and all that was said."""
    report = copy.parent / "report.xml"
    options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-q", "--timeout", str(PATIENCE), f"--junitxml={report}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--basetemp", str(copy.parent / "inner"), *tests],
        cwd=copy,
        env=environment(copy),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    failures = {}
    for case in ET.parse(report).iter("testcase") if report.exists() else ():
        for failure in case.iter("failure"):
            name = case.get("classname").replace(".", "/") + ".py::" + case.get("name").split("[")[0]
            failures.setdefault(name, []).append(failure.get("message"))
    return done.returncode, failures, done.stdout + done.stderr


def apply(mutant, copy):
    for name, old, new in mutant.changes:
        path = copy / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{mutant.name}: the text stands {text.count(old)} times in {name}:\n{old}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        compile(text.replace(old, new), str(path), "exec")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def test_every_defect_has_a_mutant_with_a_name_of_its_own():
    assert {mutant.name.split("-")[0] for mutant in MUTANTS} == NUMBERS
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_defect_is_noticed_when_it_comes_back(mutant, copy):
    apply(mutant, copy)

    status, failures, said = run_tests(copy, mutant.tests)

    assert status == 1, f"{mutant.name} ({mutant.was}) was not noticed, pytest ended with {status}:\n{said}"
    for test in mutant.tests:
        messages = failures.get(test, [])
        assert any(re.search(mutant.fails_by, text) for text in messages), f"{test} failed by {messages}:\n{said}"


@pytest.mark.soak  # these tests pass beside it anyway; that the copy is complete is seen below
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", sorted({test.split("::")[0] for test in NAMED}))
def test_without_a_defect_the_same_tests_pass(file, copy):
    status, failures, said = run_tests(copy, [test for test in NAMED if test.startswith(f"{file}::")])

    assert (status, failures) == (0, {}), said


def test_the_copy_is_what_the_tests_and_all_their_processes_import(copy):
    """Else every mutant would be the project itself, and the tests above would say nothing."""
    (copy / "tests" / "host" / "test_origin.py").write_text(
        """
import os, sys
import sandbox, supervisor
from embedded import Embedded
from sandbox import harness
from supervisor import nursery

def test_origin(tmp_path):
    here = os.getcwd() + "/"
    for module in (sandbox, supervisor, harness, nursery):
        assert module.__file__.startswith(here), module.__file__
    for name in ("supervisor/cli.py", "supervisor/nursery.py", "supervisor/shepherd.py", "sandbox/harness.py"):
        with open(name) as file:
            text = file.read()
        mark = "from __future__ import annotations\\n"
        assert text.count(mark) == 1
        note = f"import os as _os\\n_os.close(_os.open({str(tmp_path)!r} + '/' + __name__, _os.O_CREAT | _os.O_WRONLY))\\n"
        with open(name, "w") as file:
            file.write(text.replace(mark, mark + note))
    with Embedded(tmp_path / "site") as site:
        site.start()
        script = f"import sys\\ndef main(i, o):\\n    open({str(tmp_path / 'script')!r}, 'w').write(sys.modules['__main__'].__file__)\\n"
        assert site.wait_final(site.submit(site.message(script))).verdict == "completed"
    # `serve` and the nursery are each the main module of their process; the shepherd is a module of the nursery's.
    assert {"__main__", "supervisor.shepherd", "script"} <= set(os.listdir(tmp_path))
    assert (tmp_path / "script").read_text() == here + "sandbox/harness.py"
""",
        encoding="utf-8",
    )

    status, failures, said = run_tests(copy, ["tests/host/test_origin.py"])

    assert (status, failures) == (0, {}), said
