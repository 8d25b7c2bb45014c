"""What interpreters need to start behind a tree: worked out from links and texts, and tried in real boxes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from treebox import Yard, people, system_python

from sandbox.closure import Closure, closure, mapped_files
from sandbox.tree import plan_tree


class Drawn:
    """A file system in words: links and heads of files."""

    def __init__(self, links: dict[str, str] | None = None, heads: dict[str, str] | None = None) -> None:
        self.links, self.heads = links or {}, heads or {}

    def link(self, path: str) -> str | None:
        return self.links.get(path)

    def head(self, path: str, count: int) -> bytes:
        return self.heads.get(path, "").encode()[:count]


def of(program: str, *, links=None, heads=None, **more) -> Closure:
    values = {"executable": program, "prefix": "/usr", "base_prefix": "/usr"} | more
    return closure(program, files=Drawn(links, heads), **values)


def test_the_distributions_python_needs_nothing():
    links = {"/bin": "usr/bin", "/usr/bin/python3": "python3.11"}

    found = of(
        "/bin/python3", links=links, mapped=("/usr/lib/libc.so.6", "/lib64/ld.so", "/dev/zero", "/etc/ld.so.cache")
    )

    assert found == Closure(folders=(), links={})


def test_an_environment_brings_its_base_by_its_links_and_by_its_configuration():
    links = {"/srv/env/bin/python": "python3", "/srv/env/bin/python3": "/opt/sw/current/bin/python3.10"}
    links |= {"/opt/sw/current": "py-3.10.4"}
    heads = {"/srv/env/pyvenv.cfg": "home = /opt/old/bin\nversion = 3.10.4\n"}

    found = of("/srv/env/bin/python", links=links, heads=heads, prefix="/srv/env", base_prefix="/opt/sw/current")

    assert found.folders == ("/opt/old", "/opt/sw/py-3.10.4", "/srv/env")
    assert found.links == {"/opt/sw/current": "py-3.10.4"}


def test_a_link_in_somebodys_home_shows_nothing_else_of_it():
    found = of(
        "/home/anna/bin/mantidpython",
        links={"/home/anna/bin/mantidpython": "../../mantid/bin/python", "/home/mantid": "/opt/mantid"},
        executable="/opt/mantid/bin/python",
        prefix="/opt/mantid",
        base_prefix="/opt/mantid",
    )

    assert found.folders == ("/opt/mantid",)
    assert found.links == {"/home/anna/bin/mantidpython": "../../mantid/bin/python", "/home/mantid": "/opt/mantid"}


def test_a_wrapper_brings_its_folder_and_its_own_interpreter():
    heads = {
        "/opt/mantid/wrap/run": "#! /opt/tools/bin/bash -e\nexec ...",
        "/opt/tools/bin/bash": "\x7fELF",
        "/opt/one": "#!/bin/sh\n",
    }

    assert of("/opt/mantid/wrap/run", heads=heads, executable="/usr/bin/python3").folders == (
        "/opt/mantid/wrap",
        "/opt/tools/bin/bash",
    )
    assert of("/opt/one", heads=heads).folders == ("/opt/one",)  # /opt itself would show too much


def test_libraries_bring_their_folders_unless_those_hold_everything():
    mapped = ("/opt/intel/lib/libmkl.so.2", "/home/anna/libown.so", "/opt/py/lib/x.so", "/proc/1/map", "/tmp/y.so")

    found = of("/opt/py/bin/python", prefix="/opt/py", base_prefix="/opt/py", mapped=mapped, also=("/data/tables",))

    assert found.folders == ("/data/tables", "/home/anna/libown.so", "/opt/intel/lib", "/opt/py", "/tmp/y.so")


def test_neighbours_of_like_names_do_not_hide_each_other():
    found = of("/opt/py/bin/python", prefix="/opt/py", base_prefix="/opt/py-base", also=("/opt/py/lib", "/opt/py.d"))

    assert found.folders == ("/opt/py", "/opt/py-base", "/opt/py.d")


@pytest.mark.parametrize(
    ("program", "links", "prefix", "error", "words"),
    [
        ("/opt/a", {"/opt/a": "b", "/opt/b": "a"}, "/usr", OSError, "round in a circle from '/opt/a'"),
        ("python3", {}, "/usr", ValueError, "'python3' is no absolute path"),
        ("/bin/python3", {}, "/", ValueError, "is the whole root"),
        ("/bin/python3", {}, "/opt/../..", ValueError, "is the whole root"),
    ],
)
def test_what_cannot_be_shown_is_said(program, links, prefix, error, words):
    with pytest.raises(error, match=words):
        of(program, links=links, prefix=prefix)


def test_maps_are_read_with_odd_names_and_without_what_is_gone():
    text = """\
55d0c0000000-55d0c0001000 r--p 00000000 fe:01 131 /opt/my python/bin/python3
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000001000-7f0000002000 r-xp 00000000 fe:01 132                        /opt/my python/bin/python3
7f0000002000-7f0000003000 r-xp 00000000 fe:01 133                        /opt/new\\012line.so
7f0000003000-7f0000004000 rw-s 00000000 00:01 134                        /memfd:x (deleted)
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]
"""

    assert mapped_files(text) == ("/opt/my python/bin/python3", "/opt/new\nline.so")


ASK = """
import sys, json
for name in {modules!r}: __import__(name)
print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, open("/proc/self/maps").read()]))
"""


def closure_of(yard: Yard, program: str, modules: tuple[str, ...], also: str = "") -> Closure:
    """Run it outside, once, as who will run it inside."""
    command = yard.command(program)[: -len([program, "-I", "-B", "file"])]
    done = subprocess.run(
        [*command, program, "-c", ASK.format(modules=modules)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": also},
        cwd="/",
    )
    executable, prefix, base_prefix, maps = json.loads(done.stdout)
    mapped = mapped_files(maps)
    declared = (also,) if also else ()
    return closure(program, executable=executable, prefix=prefix, base_prefix=base_prefix, mapped=mapped, also=declared)


def start(yard: Yard, program: str, text: str, shown: Closure | None, also: str = ""):
    values = {"interpreter": shown.folders, "interpreter_links": shown.links} if shown else {}
    act = f"""
        import subprocess
        try:
            done = subprocess.run([{program!r}, "-c", {text!r}], capture_output=True, text=True, env={{"PYTHONPATH": {also!r}}}, cwd="/tmp")
            result = [done.returncode, done.stdout.split(), done.stderr]
        except OSError as error:
            result = [error.errno, [], ""]
    """
    return yard.ask(textwrap.dedent(act), tree=plan_tree(yard.facts(**values)), before="import subprocess")


def test_the_running_environment_starts_with_numpy_and_h5py():
    yard = Yard(people()[0])  # it may lie in a home that nobody else may enter
    program = os.path.abspath(sys.executable)
    packages = os.path.dirname(os.path.dirname(np.__file__))  # wherever they come from
    text = "import h5py, numpy, ssl, sys; print(sys.prefix, numpy.arange(4).sum(), h5py.version.hdf5_version)"
    try:
        shown = closure_of(yard, program, ("numpy", "h5py"), packages)
        found = start(yard, program, text, shown, packages)
        bare = start(yard, program, text, None, packages)
    finally:
        yard.remove()

    assert found[0] == 0, found
    assert found[1][:2] == [sys.prefix, "6"]
    assert bare[0] != 0
    assert os.environ["HOME"] not in shown.folders


@pytest.fixture(params=people())
def yard(request):
    made = Yard(request.param)
    yield made
    made.remove()


def installation(yard: Yard) -> str:
    """A Python outside of /usr, an environment on it, and a chain of links to that; returns the first link."""
    python = os.path.realpath(system_python())
    name = os.path.basename(python)
    base = yard.folder("opt/py base")
    os.makedirs(f"{base}/bin")
    os.makedirs(f"{base}/lib")
    with open(python, "rb") as source, open(f"{base}/bin/{name}", "wb") as target:
        target.write(source.read())
    os.chmod(f"{base}/bin/{name}", 0o755)
    os.symlink(f"/usr/lib/{name}", f"{base}/lib/{name}")
    os.symlink("py base", yard.place("opt/current"))
    env = yard.folder("env")
    os.makedirs(f"{env}/bin")
    with open(f"{env}/pyvenv.cfg", "w") as file:
        file.write(f"home = {yard.place('opt/current/bin')}\n")
    os.symlink(f"{yard.place('opt/current')}/bin/{name}", f"{env}/bin/python")
    os.makedirs(yard.place("users/anna/private"))
    os.symlink("../../env/bin/python", yard.place("users/anna/python"))
    return yard.place("users/anna/python")


def test_an_environment_on_an_installation_behind_links_starts(yard):
    link = installation(yard)
    text = "import json, sqlite3, ssl, sys; print(sys.base_prefix.endswith('base') or sys.base_prefix)"
    program = yard.place("env/bin/python")

    shown = closure_of(yard, program, ("ssl", "sqlite3"))
    by_link = closure_of(yard, link, ("ssl", "sqlite3"))

    found = start(yard, program, text, shown)
    assert found[0] == 0, (found, shown)
    assert start(yard, link, "print(1)", by_link)[:2] == [0, ["1"]]
    assert by_link.links[link] == "../../env/bin/python"
    assert not any("anna" in folder for folder in by_link.folders)
    assert start(yard, program, text, None)[0] != 0


def test_a_wrapper_starts_with_what_it_reads_beside_itself(yard):
    python = installation(yard)
    folder = yard.folder("wrappers/bin", {"settings": "CHOSEN=yes\n", "run": '#!/bin/sh\n. "${0%/*}/settings"\n'})
    with open(f"{folder}/run", "a") as file:
        file.write(f'export CHOSEN; exec "{python}" "$@"\n')
    os.chmod(f"{folder}/run", 0o755)

    shown = closure_of(yard, f"{folder}/run", ())

    assert folder in shown.folders
    assert start(yard, f"{folder}/run", "import os; print(os.environ['CHOSEN'])", shown)[:2] == [0, ["yes"]]
