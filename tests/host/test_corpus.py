"""The hostile corpus: every case ends as its table demands, is denied what it is to be denied, and the host is as before.

`tests/host/corpus/README.md` says what a case is. Here runs the strongest level that this user can have on this host;
the soak runs every level, and as an ordinary user too.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import subprocess
import sys
import threading
from dataclasses import fields, replace
from pathlib import Path

import corpus
import corpus_users
import pytest
from corpus import Case, CorpusError, Place

from sandbox import levels

CASES = corpus.load()
corpus.load_setups()
LABELS = [case.label for case in CASES]
ROOT = os.geteuid() == 0
GROUPS = corpus.boxes_have_groups()
#: The strongest one that this user can have.
STRONGEST = Place(
    level="hostile" if GROUPS else "contained",
    holder="group" if GROUPS else "sampler",
    person=corpus.person(),
    host=corpus.host(),
)
REPOSITORY = Path(__file__).parents[2]


def run_here(case, place, folder, **changes):
    if reason := corpus.reason_to_skip(case, place):
        pytest.skip(reason)
    return corpus.play(case, place, str(folder), **changes)


@pytest.mark.parametrize("case", CASES, ids=LABELS)
def test_a_case_ends_as_it_must_and_the_host_does_not_notice(case, tmp_path):
    assert run_here(case, STRONGEST, tmp_path) == []


@pytest.mark.soak
@pytest.mark.skipif(not GROUPS, reason="no control group holds memory and processes: the weaker level is the strongest")
@pytest.mark.parametrize("case", CASES, ids=LABELS)
def test_a_case_ends_as_it_must_where_scratch_is_watched(case, tmp_path):
    assert run_here(case, replace(STRONGEST, level="contained"), tmp_path) == []


@pytest.mark.soak
@pytest.mark.skipif(not ROOT, reason="only root becomes another user")
@pytest.mark.parametrize("level", ["contained", "hostile"])
def test_every_case_ends_as_it_must_for_an_ordinary_user(level):
    """On version 1 of control groups an ordinary user has none of his own, so hostile needs what root hands over."""
    results = corpus_users.run_all(level, delegated=level == "hostile")
    assert [line for result in results for line in result["differences"]] == []
    assert sum(not result["skipped"] for result in results) >= 0.9 * len(CASES)


# What holds what


@pytest.mark.skipif(not ROOT or not GROUPS, reason="guards are left out of the strongest box")
@pytest.mark.parametrize("case", [case for case in CASES if case.held_by], ids=lambda case: case.label)
def test_without_its_guards_a_case_turns_red(case, tmp_path):
    if reason := corpus.reason_to_skip(case, STRONGEST):
        pytest.skip(reason)
    stage = corpus.Stage(case.at(STRONGEST), STRONGEST, str(tmp_path))
    found = corpus.perform(stage, without=frozenset(case.held_by))
    assert stage.outcome.verdict != "setup_failed", stage.outcome.sentence
    assert found, f"{case.label} is held without {', '.join(case.held_by)}: what holds it is something else"


def test_every_guard_holds_something():
    """A mount namespace is what the tree presupposes: without it there is nothing to be tried."""
    assert levels.GUARDS - {guard for case in CASES for guard in case.held_by} == {"mnt"}


# The corpus itself


def test_every_number_is_a_case_or_says_why_not():
    absent = corpus.load_absent()
    there = {case.number for case in CASES}
    told = {each.number for each in absent}
    assert sorted(set(range(1, 171)) - there - told) == []
    assert there | told <= set(range(1, 171))
    for each in absent:
        assert len(each.reason) > 20, each


@pytest.mark.parametrize("absent", [each for each in corpus.load_absent() if each.test], ids=lambda each: each.name)
def test_what_is_shown_elsewhere_is_there(absent):
    path, _, name = absent.test.partition("::")
    text = (REPOSITORY / path).read_text("utf-8")
    assert not name or re.search(rf"^def {re.escape(name.partition('[')[0])}\(", text, re.MULTILINE), absent.test


def test_every_script_is_a_case():
    scripts = {path.relative_to(corpus.FOLDER / "scripts") for path in (corpus.FOLDER / "scripts").rglob("*.py")}
    assert scripts == {case.script.relative_to(corpus.FOLDER / "scripts") for case in CASES if case.text == "file"}


def test_the_page_explains_every_key():
    page = (corpus.FOLDER / "README.md").read_text("utf-8")
    names = {each.name for each in fields(Case)} - {"group"}
    assert [name for name in sorted(names) if f"`{name}`" not in page and f"{name} =" not in page] == []


def test_every_setup_is_there_and_needed_by_a_case():
    assert set(corpus.SETUPS) == {case.setup for case in CASES if case.setup}


GOOD = 'number = 5\nname = "sleep_forever"\nsource = "O"\nverdict = "wall_limit"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD + "colour = 1", "unknown key colour"),
        (GOOD.replace("wall_limit", "timeout"), "timeout"),
        (GOOD.replace("5", '"5"', 1), "number is not a whole number"),
        (GOOD + 'says = "one text"', "says is not a list of texts"),
        (GOOD + 'says = ["(open"]', "missing \\)"),
        (GOOD + 'limits = { walls = "1 s" }', "unknown limit"),
        (GOOD + 'where = { heaven = { verdict = "completed" } }', "no place is called 'heaven'"),
        (GOOD + 'where = { hostile = { setup = "x" } }', "unknown key setup"),
        (GOOD + 'levels = ["strict"]', "strict is not known"),
        (GOOD.replace("sleep_forever", "sleep_for_a_day"), "there is no"),
        ('number = 5\nname = "sleep_forever"\nverdict = "completed"', "missing source"),
        (GOOD + 'held_by = ["luck"]', "no guard is called luck"),
        (GOOD + 'held_by = ["mnt"]', "would be the host's"),
    ],
)
def test_a_case_that_is_not_written_as_it_should_be_is_an_error(tmp_path, text, complaint):
    (tmp_path / "processes.toml").write_text("[[case]]\n" + text)
    with pytest.raises(CorpusError, match=complaint):
        corpus.load(tmp_path)


SLEEPER = next(case for case in CASES if case.name == "stdout_dup_to_helper")


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "crash"},
        {"says": ("nobody says this",)},
        {"says_not": ("^main ends$",)},
        {"errors": ("nobody says this",)},
        {"sentence": ("nobody says this",)},
        {"message": ("nobody says this",)},
        {"traceback": ("nobody says this",)},
        {"exit": {"code": 1}},
        {"ceilings": ("log",)},
        {"leftovers": 2},
        {"outputs": ("result.txt",)},
        {"seconds": 0.01},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_wrong_ending_is_not_let_pass(tmp_path, change):
    place = replace(STRONGEST, level="none")
    assert corpus.play(replace(SLEEPER, **change), place, str(tmp_path)) != []


#: Of a box that never was; another worker's tests have another one, or their processes would be found here.
TOKEN = secrets.token_hex(8)


class _Watched:
    """A host seen before, of a case without a box."""

    def __init__(self, folder):
        self.stage = corpus.Stage(SLEEPER, STRONGEST, str(folder))
        self.host = corpus.Host(self.stage)

    def told(self, **how):
        return " ".join(self.host.changes(TOKEN, **how))


def test_an_unchanged_host_shows_no_change(tmp_path):
    assert _Watched(tmp_path).told() == ""


def test_a_process_that_is_left_shows(tmp_path):
    watched = _Watched(tmp_path)
    carrying = {"AUTOREDUCE_BOX": TOKEN}
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE, env=carrying) as left:
        assert "processes are left" in (told := watched.told())
        assert f"process {left.pid} carries the token" in told


def test_a_descriptor_and_a_thread_that_are_left_show(tmp_path):
    watched = _Watched(tmp_path)
    over = threading.Event()
    left = threading.Thread(target=over.wait)
    left.start()
    with open(os.devnull, "rb"):
        told = watched.told()
    over.set()
    left.join()
    assert "descriptors changed" in told
    assert "threads changed" in told


def test_a_scratch_and_a_changed_input_and_memory_show(tmp_path):
    watched = _Watched(tmp_path)
    Path(watched.stage.spool, "left").mkdir()
    Path(watched.stage.data, "ENGINX00075513.nxs").write_bytes(b"counts 6\n")
    kept = [bytearray(b"x") * (corpus.GROWTH + (8 << 20))]
    # And more, piece by piece: what earlier tests have left to the allocator may go at this moment.
    while "has grown by" not in (told := watched.told()) and len(kept) < 32:
        kept.append(bytearray(b"x") * (8 << 20))
    assert "scratch is left" in told
    assert "data changed" in told
    assert "has grown by" in told
    assert sum(map(len, kept)) > corpus.GROWTH


@pytest.fixture
def segment(tmp_path):
    """Leave shared memory whose maker is gone; it is removed in the end."""
    made = []

    def elsewhere(call: str) -> int:
        text = f"import ctypes; print(ctypes.CDLL(None).{call})"
        return int(subprocess.check_output([sys.executable, "-I", "-S", "-c", text]))

    def leave() -> int:
        made.append(elsewhere("shmget(0, 4096, 0o1600)"))
        return made[0]

    def remove() -> None:
        for number in made:
            assert elsewhere(f"shmctl({number}, 0, None)") == 0
        made.clear()

    leave.remove = remove
    yield leave
    remove()


def test_shared_memory_that_is_left_shows(tmp_path, segment):
    watched = _Watched(tmp_path)
    number = segment()
    assert watched.told(patience=0.05) == f"SysV shared memory {number} is left"


def test_shared_memory_of_somebody_elses_box_that_goes_meanwhile_does_not_show(tmp_path, segment, monkeypatch):
    watched = _Watched(tmp_path)
    number = segment()
    looks = []

    def orphaned(look=corpus._orphaned_shm):
        looks.append(look())
        segment.remove()
        return looks[-1]

    monkeypatch.setattr(corpus, "_orphaned_shm", orphaned)
    assert watched.told() == ""
    assert str(number) in looks[0]


@pytest.mark.skipif(not ROOT or not GROUPS, reason="only who may make a control group can leave one")
def test_a_control_group_that_is_left_shows(tmp_path):
    from sandbox.cgroups import Groups
    from sandbox.limits import Limits

    watched = _Watched(tmp_path)
    group = Groups.find().make(TOKEN, Limits())
    try:
        assert "control group" in watched.told()
    finally:
        group.remove()


def test_locks_that_are_taken_or_replaced_show(tmp_path):
    stage = corpus.Stage(SLEEPER, STRONGEST, str(tmp_path))
    with corpus.locks_watched(stage) as nothing:
        pass
    assert nothing == []
    with open(stage.locks["free"], "rb") as file:
        with corpus.locks_watched(stage) as problems:
            fcntl.flock(file, fcntl.LOCK_EX)
        assert problems == ["somebody holds the free lock"]
    with corpus.locks_watched(stage) as problems:
        os.replace(stage.locks["free"], stage.locks["held"])
    assert problems == ["a lock file was changed, removed or replaced"]


def test_a_dangerous_case_runs_nowhere_but_where_a_group_holds_it(tmp_path):
    bomb = replace(next(case for case in CASES if case.dangerous), levels=("none",))
    place = Place(level="none", holder="sampler", person=STRONGEST.person)
    assert "dangerous" in corpus.reason_to_skip(bomb, place)
    with pytest.raises(RuntimeError, match="dangerous"):
        corpus.play(bomb, place, str(tmp_path))
    assert os.listdir(tmp_path / "spool") == []


def test_what_a_host_is_changes_a_case():
    case = Case(
        group="memory",
        number=21,
        name="bomb",
        source="O",
        verdict="memory_limit",
        needs=(corpus.SCOPES,),
        where={"v2": {"oom_kills": "some"}, "older": {"says": ("^older$",)}, "user": {"oom_kills": 3}},
    )
    grouped = Place(level="hostile", holder="group", person="root", host=("v2", "older"))
    assert (case.at(grouped).oom_kills, case.at(grouped).says) == ("some", ("^older$",))
    assert case.at(replace(grouped, person="user")).oom_kills == 3, "the person comes last"
    assert case.at(replace(grouped, holder="sampler")).oom_kills is None, "no group of any version holds it there"
    assert corpus.reason_to_skip(case, grouped) == "needs scopes of Landlock"
    assert corpus.reason_to_skip(case, replace(grouped, host=("v2",))) == ""


def test_a_slow_machine_has_more_time():
    case = Case(group="memory", number=21, name="bomb", source="O", verdict="wall_limit", seconds=2.5)
    assert (case.at_pace(4).seconds, case.at_pace(4).limits["wall"]) == (10.0, 40.0)
    assert replace(case, seconds=None, limits={"wall": "none"}).at_pace(4).limits["wall"] == "none"
    assert replace(case, limits={"wall": "1500 ms"}).at_pace(2).limits["wall"] == 3.0


def test_the_words_that_choose_a_case():
    case = Case(group="memory", number=21, name="bomb", source="O", verdict="memory_limit")
    assert case.chosen(())
    assert case.chosen(("21",))
    assert case.chosen(("021",))
    assert case.chosen(("bomb",))
    assert case.chosen(("021_bomb",))
    assert case.chosen(("memory",))
    assert not case.chosen(("22", "disk"))
