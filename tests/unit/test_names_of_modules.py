"""What keeps two programs of one import name apart, and the layers as drawn."""

from __future__ import annotations

import ast
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Modules of PyPI's `supervisor`: none of ours may bear such a name, so that both work in one environment.
THEIRS = frozenset(
    """
    childutils compat confecho datatypes dispatchers events http http_client loggers medusa options pidproxy poller
    process rpcinterface scripts skel socket_manager states supervisorctl supervisord templating tests ui version web
    xmlrpc
    """.split()  # noqa: SIM905  # a list of words reads best as words
)


def modules(package):
    for folder, _, files in os.walk(os.path.join(ROOT, package)):
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def test_no_module_bears_a_name_of_the_other_supervisor():
    ours = {os.path.splitext(name)[0] for name in os.listdir(os.path.join(ROOT, "supervisor"))}
    assert not ours & THEIRS


@pytest.mark.parametrize("package", ["supervisor", "sandbox"])
def test_the_package_files_hold_a_docstring_only(package):
    with open(os.path.join(ROOT, package, "__init__.py"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("package", ["supervisor", "sandbox"])
def test_every_module_says_what_it_is(package):
    for path in modules(package):
        with open(path, encoding="utf-8") as file:
            assert ast.get_docstring(ast.parse(file.read())), path


def test_nothing_is_started_by_a_shell():
    for package in ("supervisor", "sandbox"):
        for path in modules(package):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            assert "shell=True" not in text, path
            assert "os.system(" not in text, path
