"""How Sphinx builds the pages and the two manual pages: `make docs`; any warning fails it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _PROJECT["name"]
version = release = _PROJECT["version"]
author = "the autoreduce-supervisor developers"
project_copyright = author  # no year: the same tree makes the same pages

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
#: Headings down to this depth are targets of links such as page.md#see-who-holds-what, as they are where the
#: repository is browsed.
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
#: The pages are read on machines without a network: nothing is fetched, and no search of a third party is used.
html_theme_options = {"top_of_page_buttons": []}

man_pages = [
    ("reference/commands", "autoreduce-supervisor", "run reductions in limited boxes, once, and lose none", author, 8),
    ("reference/config", "supervisor.toml", "configuration of autoreduce-supervisor", author, 5),
]

#: Links that lead out of these pages into the repository: [text][name] with "[name]: ../../x", and [text](../../x).
_NAMED_OUTSIDE = re.compile(r"^\[(\w+)\]: \.\./\.\./\S+\n", re.MULTILINE)
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./\.\./[^)]*\)")


def setup(app):
    """Has links into the repository shown as names: a page that was built stands without it."""
    app.connect("source-read", _keep_inside)


def _keep_inside(_app, _page, source):
    text = source[0].replace("](../../SECURITY.md", "](../security.md")
    outside = set(_NAMED_OUTSIDE.findall(text))
    text = _NAMED_OUTSIDE.sub("", text)
    text = re.sub(r"\[([^\]]+)\]\[(\w+)\]", lambda link: f"`{link[1]}`" if link[2] in outside else link[0], text)
    source[0] = _OUTSIDE.sub(r"\1", text)
