"""Scripts in the shapes of the field, each in a real box: every one ends at the verdict and line that it should."""

from __future__ import annotations

import sys
from dataclasses import replace

import fieldscripts
import pytest
import scripttable
from fieldscripts import FOLDER, SCRIPTS

NAMES = [script.name for script in SCRIPTS]


@pytest.mark.parametrize("level", ["none", "contained"])
@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_of_the_field_ends_as_the_table_says(script, level, tmp_path):
    assert fieldscripts.under(sys.executable, (script,), tmp_path, level) == []


def test_the_table_has_every_script_once():
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.py"))
    assert len(set(NAMES)) == len(NAMES) >= 44


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_the_line_in_the_table_is_the_one_that_the_script_itself_names(script):
    marked = script.marked_line()
    if marked is None and script.line is not None:
        # A text that is wrong, or one that would no longer be what it is with a remark in it.
        wrong = ("SyntaxError", "IndentationError", "TabError", "script not implemented")
        assert any(word in script.sentence for word in wrong)
    else:
        assert marked == script.line


def test_the_texts_are_still_in_the_forms_of_the_field():
    """An editor or a checkout that mends line ends or tabs would take the meaning from these tests."""
    texts = {script.name: script.text for script in SCRIPTS}
    assert sum(text.startswith(b"\xef\xbb\xbf") for text in texts.values()) >= 3
    assert sum(b"\r\n" in text for text in texts.values()) >= 10
    assert b"\r" in texts["carriage_returns_only"]
    assert b"\n" not in texts["carriage_returns_only"]
    assert b"\n\tnames" in texts["maps_ordered_defaults"].replace(b"\r\n", b"\n")
    assert b"\0" in texts["null_byte"]
    assert texts["no_text_at_all"] == b""
    assert texts["latin_1_with_cookie"].count(b"\xc5") == 1
    assert max(map(len, texts.values())) > 50_000


def test_the_page_says_what_the_table_says():
    said = scripttable.PAGE.read_text(encoding="utf-8")
    assert said == scripttable.page(), "the table has changed: run python tests/support/scripttable.py --write"


def test_a_wrong_ending_is_not_let_pass(tmp_path):
    """The comparison itself: each point of the table, falsified, is a difference."""
    script = next(script for script in SCRIPTS if script.name == "returns_folders")
    site = fieldscripts.lay_out(tmp_path / "site")
    (tmp_path / "spool").mkdir()
    ran = fieldscripts.run(fieldscripts.box_of(script, site=site, spool=tmp_path / "spool"))
    assert fieldscripts.differences(script, ran, site=site) == []
    for change in (
        {"verdict": "skipped"},
        {"sentence": "completed after 1 year"},
        {"sentence": script.sentence + "; and a remark"},
        {"outputs": {"x": "y"}},
        {"extra_dirs": ()},
        {"message": "nothing of the kind"},
        {"said": ("never said",)},
    ):
        assert fieldscripts.differences(replace(script, **change), ran, site=site) != [], change
