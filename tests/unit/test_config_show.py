"""`config show`: what is in force, loadable as it is printed, and where each value comes from."""

from __future__ import annotations

import os
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.limits import KEYS
from supervisor import cli, config, configdoc, configshow
from supervisor.config import parse, tables
from supervisor.configorigin import Lines
from supervisor.settings import Settings
from supervisor.tomltext import bare, toml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = """\
# A site's file.
[limits]
memory = "4 GiB"      # for all
output = "1 GiB"
[limits.instrument.gem]
wall = "1 h"
memory = "16 GiB"
[limits.rb."1510188"]
wall = "12 h"

[interpreter]
argv = ["/usr/bin/python3"]
env = { A = "1", B = "2" }
[interpreter.instrument]
GEM.env.B = "3"
GEM.env."C" = "4"

[[paths.root_map]]
from = "/isis"
to = "/mnt/isis"
[[paths.root_map]]
from = "/archive"
to = "/mnt/archive"

[isolation]
require = "contained"
[instrument.GEM]
mode = "program"
network = true
read_only = [
  "/isis/NDX{instrument}/user/masks",
]
"""


def whole(text, *, origins=False, everything=False, name="x.toml"):
    return configshow.whole(tables(text, name), text, name, origins=origins, everything=everything)


def for_run(text, instrument, rb="", *, origins=True):
    return configshow.for_run(tables(text, "x"), text, "x.toml", instrument=instrument, rb=rb, origins=origins)


def row(shown, key, table):
    """Returns the line of a key below its table."""
    part = shown.split(f"[{table}]\n")[1].split("\n[")[0]
    (found,) = (line for line in part.split("\n") if line.startswith(f"{key} = "))
    return found


@pytest.mark.parametrize("text", ["", FILE, configdoc.sample()])
@pytest.mark.parametrize("origins", [True, False])
@pytest.mark.parametrize("everything", [True, False])
def test_what_is_shown_can_be_loaded_again_and_means_the_same(text, origins, everything):
    shown = whole(text, origins=origins, everything=everything)

    assert parse(shown, "shown") == parse(text, "file")
    assert whole(shown, everything=everything).split("\n", 1)[1] == whole(text, everything=everything).split("\n", 1)[1]


def test_all_shows_every_key_of_the_model():
    shown = tomllib.loads(whole("", everything=True))

    assert set(shown) == set(Settings.model_fields) - {"instrument"}
    assert shown["broker"]["user"] == ""
    assert shown["paths"]["root_map"] == []
    assert "user" not in tomllib.loads(whole(""))["broker"]


def test_each_key_says_in_which_line_it_stands_or_that_it_is_the_default():
    shown = whole(FILE, origins=True)

    assert row(shown, "memory", "limits") == 'memory = "4 GiB"  # line 3 of x.toml'
    assert row(shown, "wall", "limits") == 'wall = "4 h"  # default'
    assert row(shown, "wall", "limits.instrument.gem") == 'wall = "1 h"  # line 6 of x.toml'
    assert row(shown, "wall", "limits.rb.1510188") == 'wall = "12 h"  # line 9 of x.toml'
    assert row(shown, "env", "interpreter") == 'env = { A = "1", B = "2" }  # line 13 of x.toml'
    assert row(shown, "env", "interpreter.instrument.GEM") == 'env = { B = "3", C = "4" }  # line 15 of x.toml'
    assert "# line 18 of x.toml" in shown.split("root_map = ")[1].split("\n")[0]
    assert row(shown, "enabled", "instrument.GEM") == "enabled = true  # default"


def test_without_origin_no_line_is_named():
    assert "line " not in whole(FILE)
    assert "# default" not in whole(FILE)


def test_a_run_gets_what_the_most_special_table_says_and_is_told_which():
    shown = for_run(FILE, "GEM", "1510188")

    assert row(shown, "memory", "limits") == 'memory = "16 GiB"  # [limits.instrument.GEM] line 7'
    assert row(shown, "wall", "limits") == 'wall = "12 h"  # [limits.rb.1510188] line 9'
    assert row(shown, "output", "limits") == 'output = "1 GiB"  # [limits] line 4'
    assert row(shown, "files", "limits") == "files = 100000  # default"
    assert row(shown, "argv", "interpreter") == 'argv = ["/usr/bin/python3"]  # [interpreter] line 12'
    assert row(shown, "A", "interpreter.env") == 'A = "1"  # [interpreter.env] line 13'
    assert row(shown, "B", "interpreter.env") == 'B = "3"  # [interpreter.instrument.GEM.env] line 15'
    assert row(shown, "C", "interpreter.env") == 'C = "4"  # [interpreter.instrument.GEM.env] line 16'
    assert row(shown, "mode", "instrument.GEM") == 'mode = "program"  # [instrument.GEM] line 28'
    assert row(shown, "require", "instrument.GEM") == 'require = "contained"  # [isolation] line 26'
    assert row(shown, "enabled", "instrument.GEM") == "enabled = true  # default"


@pytest.mark.parametrize(("instrument", "rb"), [("GEM", "1510188"), ("GEM", ""), ("LET", "1510188"), ("LET", "7")])
def test_what_a_run_is_said_to_get_is_what_it_gets(instrument, rb):
    settings = parse(FILE, "x")
    shown = parse(for_run(FILE, instrument, rb), "shown")

    assert shown.limits_for("X") == settings.limits_for(instrument, rb)
    told, given_ = shown.interpreter_for(instrument), settings.interpreter_for(instrument)
    assert (told.argv, dict(told.env)) == (given_.argv, dict(given_.env))
    assert shown.floor_for(instrument) == settings.floor_for(instrument)
    assert shown.instrument_for(instrument).mode == settings.instrument_for(instrument).mode


def test_every_limit_is_shown_for_a_run():
    assert tuple(tomllib.loads(for_run("", "GEM"))["limits"]) == KEYS


def test_the_guide_shows_what_is_really_shown():
    with open(os.path.join(ROOT, "docs", "how-to", "configure.md"), encoding="utf-8") as file:
        guide = file.read()
    site = guide.split("```toml\n")[1].partition("```")[0]
    said = guide.split("--instrument GEM --rb 1510188\n")[1].partition("```")[0]

    assert for_run(site, "GEM", "1510188") == said.replace("by supervisor.toml.", "by x.toml.")


TRICKY = '''\
a.b = 1
"x.y".'z"' = """
[no]
k = 2
""""
c = \'\'\'
# [no]
\'\'\'
"q\\"=" = "a # b = [c]"   # "
[t.u] # c
k = [1, { p = 2, q.r = '3' }, # ]
  [4], "]",
]
[t]
v = 1979-05-27 07:32:00
[[l]]
a = 1
[l.sub]
b = 2
[[l.m]]
c = 3
[[l.m]]
c = 4
[[l]]
a = 5
[[l.m]]
d = 1
["ʎ" . "\\u006b"]
e = { }
'''


def keys_of(value, place=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key)
            yield from keys_of(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield (*place, number)
            yield from keys_of(inner, (*place, number))


def test_the_lines_of_keys_in_every_form_are_right():
    lines = Lines(TRICKY).lines

    assert set(lines) == set(keys_of(tomllib.loads(TRICKY)))
    expected = {
        ("a", "b"): 1,
        ("x.y", 'z"'): 2,
        ("c",): 6,
        ('q"=',): 9,
        ("t",): 10,
        ("t", "u", "k"): 11,
        ("t", "u", "k", 1, "q", "r"): 11,
        ("t", "u", "k", 2): 12,
        ("t", "v"): 15,
        ("l", 0, "a"): 17,
        ("l", 0, "sub", "b"): 19,
        ("l", 0, "m", 1, "c"): 23,
        ("l", 1, "a"): 25,
        ("l", 1, "m", 0, "d"): 27,
        ("ʎ", "k", "e"): 29,
    }
    assert {place: lines[place] for place in expected} == expected


def test_the_lines_are_those_of_an_editor_whatever_ends_them():
    text = TRICKY.replace("\n", "\r\n")

    assert Lines(text).lines == Lines(TRICKY).lines
    assert Lines("").lines == {}
    assert Lines("a=1").of(("a",)) == 1


def test_names_of_instruments_are_found_in_any_letter_case():
    lines = Lines("[x.gem]\na = 1\nA = 2\n")

    assert lines.of(("x", "GEM")) == 1
    assert [lines.of(("x", "gem", key)) for key in ("a", "A")] == [2, 3]
    assert lines.of(("x", "LET")) is None


WORD = st.text("ab.\"'#=[] \\\n\té", min_size=1, max_size=4)
VALUE = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text("a\"'#=[]{},\\\n", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.tuples(st.sampled_from(["[{}]", "[[{}]]"]), st.lists(WORD, min_size=1, max_size=3), VALUE), max_size=4)
)
@example([("[[{}]]", ["a"], 1), ("[[{}]]", ["a", "b"], 1), ("[[{}]]", ["a"], 1), ("[{}]", ["a", "b"], 1)])
def test_every_key_of_any_document_has_its_line(blocks):
    rows, kept = [], []
    for form, names, value in blocks:
        more = [form.format(" . ".join(map(bare, names))), f"{bare(names[-1])} = {toml(value)}  # [c]"]
        try:
            tomllib.loads("\n".join(rows + more))
        except tomllib.TOMLDecodeError:
            continue  # the same table twice: no document
        kept.append((len(rows) + 2, value))
        rows += more
    text = "\n".join(rows)

    lines = Lines(text).lines

    assert set(lines) == set(keys_of(tomllib.loads(text)))
    assert {line for line, _ in kept} <= set(lines.values())


@pytest.fixture
def say(tmp_path, capsys):
    path = tmp_path / "site.toml"
    path.write_text(FILE)

    def said(*words):
        code = cli.main(["config", "show", "--config", str(path), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    said.path = path
    return said


def test_the_verb_shows_the_file(say):
    code, out, err = say("--origin")

    assert (code, err) == (0, "")
    assert out.startswith(f"# The configuration in force: {say.path}.\n")
    assert f'memory = "4 GiB"  # line 3 of {say.path}\n' in out
    assert parse(out, "shown") == parse(FILE, "file")


def test_the_verb_shows_a_run(say):
    code, out, _ = say("--origin", "--instrument", " gem", "--rb", "1510188")

    assert code == 0
    assert out.startswith(f"# What a run of GEM, RB 1510188 gets by {say.path}.\n")
    assert "[limits.rb.1510188] line 9" in out


def test_without_a_file_the_defaults_are_shown(say, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(config, "DEFAULT_PATH", str(tmp_path / "none.toml"))

    assert cli.main(["config", "show", "--origin"]) == 0
    out = capsys.readouterr().out
    assert parse(out, "shown") == Settings()
    assert "line " not in out


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--rb", "7"], 2, "--rb needs --instrument"),
        (["--instrument", "a b"], 2, "is no instrument name"),
        (["--config", "/nowhere/x.toml"], 78, "cannot be read"),
    ],
)
def test_what_cannot_be_shown_is_told(say, words, status, why):
    code, out, err = say(*words)

    assert (code, out) == (status, "")
    assert why in err
    assert err.count("\n") == 1


def test_a_file_with_problems_is_not_shown_and_all_are_told(say):
    say.path.write_text('[lokc]\n[limits]\nmemory = "8 GG"\n')

    code, out, err = say()

    assert (code, out) == (78, "")
    assert len(err.splitlines()) == 2


def test_a_file_name_that_would_end_the_comment_stays_in_it(tmp_path, capsys):
    path = tmp_path / "a\nb = 1.toml"
    path.write_text("[limits]\nfiles = 7\n")

    assert cli.main(["config", "show", "--origin", "--config", str(path)]) == 0
    assert parse(capsys.readouterr().out, "shown").limits_for("GEM").files == 7
