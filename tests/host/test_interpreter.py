"""Interpreters tried in a box: environments, wrappers, links, and what is none."""

from __future__ import annotations

import os
import sys
import venv

import pytest

from sandbox.interpreter import Unfit, needs_of, probe


def program(path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_running_python_says_what_it_is(tmp_path):
    facts = probe((sys.executable,), {}, str(tmp_path))

    assert facts.version == ".".join(map(str, sys.version_info[:3]))
    assert os.path.samefile(facts.executable, sys.executable)
    assert facts.base_prefix == sys.base_prefix
    assert os.listdir(tmp_path) == []


def test_a_virtual_environment_has_a_prefix_of_its_own(tmp_path):
    venv.create(tmp_path / "env", symlinks=True)
    (tmp_path / "spool").mkdir()

    facts = probe((str(tmp_path / "env/bin/python"),), {}, str(tmp_path / "spool"))

    assert facts.prefix == str(tmp_path / "env")
    assert facts.base_prefix == sys.base_prefix


def test_a_prefix_like_condas_works_by_its_own_python(tmp_path):
    # A conda environment has its python in bin/ and no pyvenv.cfg; here its standard library is the running one's.
    env = tmp_path / "envs/sans"
    (env / "bin").mkdir(parents=True)
    (env / "bin/python").symlink_to(os.path.realpath(sys.executable))
    home = {"PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"}

    facts = probe((str(env / "bin/python"),), home, str(tmp_path))

    assert facts.executable == str(env / "bin/python")


def test_a_wrapper_and_a_chain_of_links_lead_to_a_python(tmp_path):
    wrapper = program(
        tmp_path / "wrap", f'#!/bin/sh\necho "activating $1" >&2; echo banner\nshift\nexec "{sys.executable}" "$@"\n'
    )
    os.symlink(wrapper, tmp_path / "one")
    os.symlink(tmp_path / "one", tmp_path / "two")
    (tmp_path / "spool").mkdir()

    facts = probe((str(tmp_path / "two"), "sans"), {}, str(tmp_path / "spool"))

    assert os.path.samefile(facts.executable, sys.executable)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not run scripts: box could not be built at exec"),
        ("#!/bin/sh\necho no licence >&2\nexit 3\n", 'it said "no licence"'),
        ("#!/bin/sh\nexit 0\n", "does not run scripts"),
        ("#!/bin/sh\nkill -SEGV $$\n", "does not run scripts"),
        ("#!/none/interpreter\n", "does not run scripts"),
    ],
)
def test_what_is_no_python_is_unfit_with_a_reason(tmp_path, text, words):
    (tmp_path / "spool").mkdir()
    path = str(tmp_path / "python")
    if text is not None:
        program(tmp_path / "python", text)

    with pytest.raises(Unfit) as unfit:
        probe((path,), {}, str(tmp_path / "spool"))

    assert words in str(unfit.value)
    assert str(unfit.value).startswith(path)
    assert "name a Python 3.8 or later" in str(unfit.value)


def test_an_environment_whose_base_is_gone_is_unfit(tmp_path):
    venv.create(tmp_path / "env", symlinks=True)
    (tmp_path / "env/bin/python").unlink()
    (tmp_path / "env/bin/python").symlink_to("/none/bin/python3")
    (tmp_path / "spool").mkdir()

    with pytest.raises(Unfit, match="does not run scripts"):
        probe((str(tmp_path / "env/bin/python"),), {}, str(tmp_path / "spool"))


def test_one_that_never_ends_is_unfit_after_its_time(tmp_path):
    (tmp_path / "spool").mkdir()
    path = program(tmp_path / "python", "#!/bin/sh\nexec sleep 1000\n")

    with pytest.raises(Unfit, match="wall limit"):
        probe((path,), {}, str(tmp_path / "spool"), wall=0.5)

    assert os.listdir(tmp_path / "spool") == []


def test_what_it_imports_from_and_has_mapped_is_told_and_its_own_folders_are_not(tmp_path):
    facts = probe((sys.executable,), {}, str(tmp_path))

    assert os.path.dirname(os.__file__) in facts.path
    assert not any(path.startswith(str(tmp_path)) for path in facts.path)
    assert any(
        os.path.samefile(path, os.path.realpath(sys.executable)) for path in facts.mapped if os.path.exists(path)
    )
    assert all(path.startswith("/") for path in (*facts.path, *facts.mapped))


def test_with_what_it_needs_it_starts_behind_the_tree_and_without_it_does_not(tmp_path):
    home = tmp_path / "env"
    venv.create(home, symlinks=True)
    (tmp_path / "spool").mkdir()
    argv = (str(home / "bin/python"),)
    spool = str(tmp_path / "spool")
    needs = needs_of(argv[0], probe(argv, {}, spool))

    behind = probe(argv, {}, spool, level="contained", needs=needs)

    assert behind.prefix == str(home)
    with pytest.raises(Unfit, match="does not start behind the tree of a box: box could not be built at exec"):
        probe(argv, {}, spool, level="contained")


def test_modules_that_are_asked_for_are_imported_and_their_libraries_mapped(tmp_path):
    plain = probe((sys.executable,), {}, str(tmp_path))
    loaded = probe((sys.executable,), {}, str(tmp_path), imports=("sqlite3",))

    assert any("sqlite3" in path for path in set(loaded.mapped) - set(plain.mapped))
    with pytest.raises(Unfit, match="no_module_of_this_name"):
        probe((sys.executable,), {}, str(tmp_path), imports=("no_module_of_this_name",))


def wrapper(path, lines: str) -> str:
    """Make a program that prints lines of its own before it becomes this Python."""
    return program(path, f'#!/bin/sh\n{lines}\nexec "{sys.executable}" "$@"\n')


def test_a_flood_of_paths_and_mappings_is_bounded(tmp_path):
    (tmp_path / "spool").mkdir()
    each = 'echo "autoreduce path \\"/opt/a$i\\""; echo "autoreduce map \\"1-2 r--p 0 0:0 1 /opt/b$i\\""'
    path = wrapper(tmp_path / "python", f"i=0\nwhile [ $i -lt 200 ]; do {each}; i=$((i+1)); done")

    facts = probe((path,), {}, str(tmp_path / "spool"))

    assert len(facts.path) == 64
    assert "/opt/b199" in facts.mapped


@pytest.mark.parametrize("line", ["autoreduce path {", "autoreduce map [[[["])
def test_lines_that_are_none_are_no_python(tmp_path, line):
    (tmp_path / "spool").mkdir()
    with pytest.raises(Unfit, match="does not do what a Python does"):
        probe((wrapper(tmp_path / "python", f"echo '{line}'"),), {}, str(tmp_path / "spool"))
