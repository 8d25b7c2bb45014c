"""Keys of a TOML file changed in place: whatever the form of the table, comments and order stay, and nothing else moves."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.tomledit import CannotEdit, Change, edit

MEMORY = Change(keys=("limits", "instrument", "ENGINX", "memory"), value="16 GiB", comment="tune: killed")

FORMS = {
    "none": "# top\n[broker]\nurl = 'none'  # no broker\n",
    "empty": "",
    "no newline": "[store]\npath = '/s'",
    "table": "[limits.instrument.ENGINX]\n# why\nmemory = '8 GiB'  # as agreed\nwall = '8 h'\n\n[spool]\npath = '/x'\n",
    "lower case": "[limits.instrument.enginx]\nmemory = '8 GiB'\n",
    "inline": "[limits]\ninstrument = { ENGINX = { memory = '8 GiB', wall = '8 h' } }  # all\n",
    "inline new": "[limits]\ninstrument = { GEM = { wall = '8 h' } }\n",
    "dotted": "limits.instrument.ENGINX.memory = '8 GiB'\n",
    "parent": "[limits]\nmemory = '8 GiB' # all\n\n# next\n[spool]\npath = '/x'\n",
    "out of order": "[limits]\nwall = '1 h'\n[spool]\npath = '/x'\n[limits.instrument.GEM]\nwall = '2 h'\n",
    "sibling key": "[limits.instrument.ENGINX]\nwall = '8 h'\n\n# about the spool\n[spool]\npath = '/x'\n",
    "windows": "[limits.instrument.ENGINX]\r\nmemory = '8 GiB'\r\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_the_key_is_set_in_every_form_of_the_table_and_every_comment_stays(form):
    old = FORMS[form]

    try:
        new = edit(old, [MEMORY])
    except CannotEdit:
        assert form == "inline new"  # a table that is closed by TOML itself: said, not written
        return

    limits = tomllib.loads(new)["limits"]["instrument"]
    assert {name.upper(): of.get("memory") for name, of in limits.items()}["ENGINX"] == "16 GiB"
    for line in old.splitlines():
        _, mark, comment = line.partition("#")
        assert mark + comment in new
    kept = [line for line in old.splitlines() if line and "8 GiB" not in line]
    assert [line for line in new.splitlines() if line in kept] == kept


def test_a_remark_stands_behind_a_new_value_and_never_takes_the_place_of_another():
    assert 'memory = "16 GiB" # tune: killed' in edit("[limits.instrument.ENGINX]\nmemory = '8 GiB'\n", [MEMORY])
    told = edit(FORMS["table"], [MEMORY])
    assert "# as agreed" in told
    assert "# tune" not in told


def test_all_changes_of_one_table_stand_in_one_table():
    wall = Change(keys=("limits", "instrument", "ENGINX", "wall"), value="8 h")

    assert edit("", [MEMORY, wall]).count("[limits.instrument.ENGINX]") == 1


def test_a_text_that_is_no_toml_and_a_key_below_a_value_are_refused():
    with pytest.raises(CannotEdit, match="not valid TOML"):
        edit("[limits", [MEMORY])
    with pytest.raises(CannotEdit):
        edit("limits = 3\n", [MEMORY])


names = st.text("ABCdef-_ 19.\"'", min_size=1, max_size=6)
tables = st.dictionaries(
    st.sampled_from(["limits", "broker", "spool"]),
    st.dictionaries(
        names, st.integers() | st.text(max_size=8) | st.dictionaries(names, st.integers(), max_size=3), max_size=4
    ),
    max_size=3,
)


@given(tables, names, names)
def test_whatever_the_document_the_result_is_the_old_one_and_the_key(document, table, key):
    import tomlkit

    old = tomlkit.dumps(document)

    try:
        new = edit(old, [Change(keys=("limits", "instrument", table, key), value=7, comment="why")])
    except CannotEdit:
        return

    after = tomllib.loads(new)
    before = tomllib.loads(old)
    changed = after["limits"]["instrument"]
    found = [(name, name_key) for name, of in changed.items() for name_key, value in of.items() if value == 7]
    assert any(name.strip().upper() == table.strip().upper() or name == table for name, _ in found)
    for name, content in before.items():
        if name != "limits":
            assert after[name] == content
