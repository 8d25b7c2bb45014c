"""The pages: they build without a warning, the generated ones are as old as the code, and a browser shows them whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import documented
import pytest
import troublepage
from chromium import Chromium

from supervisor import cli, commanddoc

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.xdist_group("pages"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pages, built as `make docs` builds them."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT / "docs", source / "docs")
    for name in ("SECURITY.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    for builder in ("html", "man"):
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", builder, "docs", out / builder],
            cwd=source,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("browser")) as made:
        yield made


def pages(built):
    """The pages but for Sphinx's own search and index of words, which have no text of ours."""
    return sorted(
        path for path in (built / "html").rglob("*.html") if path.name not in {"genindex.html", "search.html"}
    )


def test_the_pages_build_without_a_warning(built):
    pages = {path.relative_to(built / "html").with_suffix(".md") for path in (built / "html").rglob("*.html")}
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert written <= pages


def test_nothing_in_the_pages_is_fetched_from_elsewhere(built):
    loads = re.compile(r"<(?:script|img|iframe)[^>]*\ssrc=\"(?!data:)([a-z]+:)?//|<link[^>]*\shref=\"([a-z]+:)?//")
    for page in (built / "html").rglob("*.html"):
        assert not loads.search(page.read_text(encoding="utf-8")), page


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
def test_a_browser_shows_every_page_whole_asks_nobody_for_anything_and_has_no_complaint(built, browser, width, dark):
    faults = []
    for page in pages(built):
        seen = browser.open(page.as_uri(), width=width, dark=dark)
        ours = ("data:", (built / "html").as_uri())
        faults += [f"{page.name} asks for {address}" for address in seen.requests if not address.startswith(ours)]
        faults += [f"{page.name}: {line}" for line in seen.console]
        shown = browser.evaluate(
            "({wide: document.documentElement.scrollWidth, headings: document.querySelectorAll('h1').length,"
            " named: document.documentElement.lang == 'en' && [...document.images].every(image => image.alt)})"
        )
        faults += [f"{page.name} is {shown['wide']} wide on {width}"] if shown["wide"] > width else []
        faults += [] if shown["headings"] == 1 and shown["named"] else [f"{page.name} cannot be read aloud: {shown}"]
    assert faults == []


def test_the_manual_pages_have_every_verb_and_every_section_of_the_configuration(built):
    command = (built / "man" / "autoreduce-supervisor.8").read_text(encoding="utf-8")
    for verb in cli.VERBS:
        assert re.search(rf"^\.SS {re.escape(verb.replace('-', chr(92) + '-'))}$", command, re.MULTILINE), verb
    config = (built / "man" / "supervisor.toml.5").read_text(encoding="utf-8")
    for key in ("broker.url", "limits.memory", "lock.self_kill_after"):
        assert key in config, key


def test_the_page_of_the_command_is_the_one_of_the_parsers():
    written = (ROOT / commanddoc.PAGE).read_text(encoding="utf-8")
    assert written == commanddoc.page(), "older than the verbs; run: python -m supervisor.commanddoc"


def test_the_page_of_troubles_is_the_one_of_sentences_and_advice():
    again = "run: PYTHONPATH=.:tests/support python tests/support/troublepage.py --write"
    assert troublepage.PAGE.read_text(encoding="utf-8") == troublepage.page(), f"older than the sentences; {again}"


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_an_example_in_the_pages(verb):
    assert any(command.verb == verb for command in documented.commands())
