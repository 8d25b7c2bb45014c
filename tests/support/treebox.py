"""A box of namespaces and tree alone, as a program: `python treebox.py < order.json`; it prints what was found inside.

It needs the `sandbox` package beside it and the standard library, so an ordinary user's bare Python can run it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict

#: An ordinary user that no host has.
STRANGER = 4242
PATIENCE = 60.0


def people() -> tuple[str, ...]:
    """Who can be tried here: root and an ordinary user, or just the one who runs the tests."""
    return ("root", "user") if os.geteuid() == 0 else ("self",)


class Yard:
    """A folder outside of everybody's home, with the folders of a box in it, made for one person."""

    def __init__(self, person: str) -> None:
        self.person = person
        self.path = tempfile.mkdtemp(prefix="yard")
        os.chmod(self.path, 0o755)
        here = os.path.dirname(os.path.abspath(__file__))
        package = os.path.join(here, "../../sandbox")
        shutil.copytree(package, self.place("code/sandbox"), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(__file__, self.place("code/treebox.py"))
        for name in ("out", "home", "handoff", "data"):
            self.folder(name)
        os.mkdir(self.place("root"))

    def place(self, name: str) -> str:
        return os.path.join(self.path, name)

    def folder(self, name: str, content: dict[str, str] | None = None) -> str:
        """Make a folder that belongs to the person, with files."""
        path = self.place(name)
        os.makedirs(path)
        for file, text in (content or {}).items():
            with open(os.path.join(path, file), "w", encoding="utf-8") as opened:
                opened.write(text)
        if self.person == "user":
            for each in (path, *(os.path.join(path, file) for file in content or {})):
                os.chown(each, STRANGER, STRANGER)
        return path

    def uid(self) -> int:
        return STRANGER if self.person == "user" else os.geteuid()

    def facts(self, **changes):
        """What `plan_tree` is asked for this yard."""
        from sandbox import tree

        values = {
            "system": tree.host_system(),
            "etc": tree.host_etc(),
            "processors": tree.host_processors(),
            "uid": self.uid(),
            "gid": STRANGER if self.person == "user" else os.getegid(),
            "hostname": "box",
            "out": self.place("out"),
            "home": self.place("home"),
            "handoff": self.place("handoff"),
            "tmp_size": 1 << 20,
            "tmp_inodes": 100,
        }
        return tree.TreeFacts(**values | changes)

    def command(self, python: str) -> list[str]:
        drop = []
        if self.person == "user":
            drop = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
        return [*drop, python, "-I", "-B", self.place("code/treebox.py")]

    def ask(self, act: str, *, tree=None, keep=True, modern=None, before: str = ""):
        """Run the text `act` in a box of this tree, or without any box, and return what it called `result`."""
        python = system_python()
        order = {
            "act": act,
            "before": before,
            "tree": None if tree is None else asdict(tree),
            "root": self.place("root"),
            "modern": modern,
            "keep": keep,
        }
        done = subprocess.run(
            self.command(python),
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd="/",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        if "error" in answer:
            raise Failed(*answer["error"])
        return answer["result"]

    def remove(self) -> None:
        shutil.rmtree(self.path)


class Failed(Exception):
    """What went wrong in the box or in its building: type, errno, text, traceback."""

    def __init__(self, kind: str, number: int, text: str, where: str) -> None:
        super().__init__(f"{kind} {number}: {text}\n{where}")
        self.kind, self.number, self.text = kind, number, text


def system_python() -> str:
    """The distribution's own Python, which everybody may run and which lies in /usr."""
    for name in ("python3.11", "python3.12", "python3.13", "python3.14", "python3"):
        path = f"/usr/bin/{name}"
        if os.path.exists(path):
            return path
    raise AssertionError(
        "no Python 3.11 or later in /usr/bin; install it: apt-get install python3 or dnf install python3.11"
    )


def _live(order) -> dict:
    from sandbox import rootfs
    from sandbox.linux import capabilities, fork, loopback, mounts, namespaces
    from sandbox.tree import Bind, Tmpfs, Tree

    if order["tree"] is None:
        return _act(order)
    given = order["tree"]
    tree = Tree(
        binds=tuple(Bind(**each) for each in given["binds"]),
        tmpfs=tuple(Tmpfs(**each) for each in given["tmpfs"]),
        links=given["links"],
        files=given["files"],
        folders=tuple(given["folders"]),
    )
    names = {"tree": tree}
    exec(order["before"], names)  # what somebody does to the sources, before there is a box
    tree = names["tree"]
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(tuple(namespaces.FLAGS))
    namespaces.write_maps(uid, gid, uid, gid)
    namespaces.set_hostname("box")
    loopback.bring_up()
    mounts.make_private("/")
    rootfs.build(tree, order["root"], modern=order["modern"])
    read, write = os.pipe()

    def init() -> int:
        try:
            rootfs.mount_proc(order["root"], modern=order["modern"])
            rootfs.enter(order["root"])
            if order["keep"]:
                capabilities.drop_all()
            fork.default_signals()
            fork.unblock_signals()
            answer = _act(order)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is told
            answer = _told(error)
        with open(write, "w") as pipe:
            json.dump(answer, pipe)
        return 0

    child = fork.fork_into(init)
    os.close(write)
    with open(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if text else {"error": ["End", status, f"raw status {status}", ""]}


def _act(order) -> dict:
    names: dict = {}
    exec(order["act"], names)
    return {"result": names["result"]}


def _told(error: BaseException) -> dict:
    number = getattr(error, "errno", None) or 0
    return {"error": [type(error).__name__, number, str(error), traceback.format_exc()]}


def main() -> int:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    order = json.load(sys.stdin)
    try:
        answer = _live(order)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test is told
        answer = _told(error)
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
