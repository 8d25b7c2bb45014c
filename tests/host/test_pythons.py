"""The harness under every Python from 3.8 on that this machine has, in real boxes, with the scripts of the field."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace

import fieldscripts
import pytest
from fieldscripts import SCRIPTS
from pythons import OLDEST, pythons

from sandbox import harness

#: What every Python can run; the slow one shows nothing about a version.
PORTABLE = tuple(script for script in SCRIPTS if not script.needs and script.verdict != "wall_limit")
RUNNING = "{}.{}.{}".format(*sys.version_info)
#: The oldest and the newest in every test run, those between them in the soak.
ENDS = (next(iter(pythons())), next(reversed(pythons())))
BY_AGE = [
    pytest.param(path, id=version, marks=[] if version in ENDS else [pytest.mark.soak])
    for version, path in pythons().items()
]


def test_the_running_python_is_always_among_those_that_are_tried():
    assert pythons()[RUNNING] == sys.executable
    minors = [int(version.split(".")[1]) for version in pythons()]
    assert minors == sorted(set(minors))
    assert minors[0] >= OLDEST


@pytest.mark.parametrize("python", BY_AGE)
def test_the_scripts_of_the_field_end_alike_under_every_python(python, tmp_path):
    assert fieldscripts.under(python, PORTABLE, tmp_path) == []


@pytest.mark.parametrize("python", pythons().values(), ids=pythons().keys())
def test_every_python_compiles_the_harness_without_a_warning(python):
    program = (
        "import sys\nwith open(sys.argv[1], 'rb') as file: text = file.read()\n"
        "compile(text, sys.argv[1], 'exec', dont_inherit=True)"
    )
    ended = subprocess.run(
        [python, "-I", "-W", "error", "-c", program, harness.__file__], capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_harness_uses_only_the_grammar_of_3_8():
    with open(harness.__file__, encoding="utf-8") as stream:
        ast.parse(stream.read(), feature_version=(3, OLDEST))


@pytest.mark.parametrize("python", pythons().values(), ids=pythons().keys())
def test_the_record_of_a_run_names_the_python_and_the_packages_of_its_script(python, tmp_path):
    (tmp_path / "spool").mkdir()
    site = fieldscripts.lay_out(tmp_path / "site")
    script = next(script for script in SCRIPTS if script.name == "eqsans_program")
    box = fieldscripts.box_of(script, site=site, spool=tmp_path / "spool", python=python)
    package = "import sys, types; sys.modules['mantid'] = m = types.ModuleType('mantid'); m.__version__ = '6.2.0'\n"

    environment = fieldscripts.run(replace(box, script=package.encode() + box.script)).outcome.environment

    version = next(version for version, path in pythons().items() if path == python)
    assert environment["python"].startswith(version)
    assert environment["implementation"] == "CPython"
    assert environment["packages"]["mantid"] == "6.2.0"
    assert environment["executable"].startswith("/")
