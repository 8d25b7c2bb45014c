"""When `waiting/` is listed, and when its times alone say that nothing has changed."""

from __future__ import annotations

import os

import pytest
from storemaking import make_store, request

from supervisor import durable, waiting
from supervisor.entries import Entries


class Folder:
    """`waiting/` of a store, looked at by a clock that the test moves; counts the listings."""

    def __init__(self, root, monkeypatch):
        self.layout = make_store(root)
        self.now = 1000.0
        self.listings = 0
        self.entries = Entries(self.layout, lambda: self.now)
        listdir = os.listdir

        def counted(path):
            self.listings += 1
            return listdir(path)

        monkeypatch.setattr(os, "listdir", counted)

    def come(self, job):
        name = waiting.entry_of(request(job)).name
        with open(self.layout.path("waiting", name), "x"):
            return name

    def look(self, after, *, fresh=False):
        """Look so many seconds later; return how many entries there are, and whether the folder was listed."""
        self.now += after
        before = self.listings
        self.entries.refresh(fresh=fresh)
        return len(self.entries.all), self.listings > before


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return Folder(tmp_path, monkeypatch)


def test_a_folder_whose_times_stand_still_is_listed_every_ten_seconds(folder):
    folder.come("one")
    seen = [folder.look(1.0) for _ in range(25)]
    assert {count for count, _ in seen} == {1}
    listed = [number for number, (_, was) in enumerate(seen) if was]
    assert listed == [0, 1, 2, 3, 13, 23]


def test_what_comes_and_goes_is_seen_at_once(folder):
    folder.come("one")
    assert [folder.look(5.0) for _ in range(3)][-1] == (1, False)
    name = folder.come("other")
    assert folder.look(0.1) == (2, True)
    assert [folder.look(5.0) for _ in range(2)][-1] == (2, False)
    os.unlink(folder.layout.path("waiting", name))
    assert folder.look(0.1) == (1, True)


def test_a_change_within_one_step_of_the_clock_is_seen(folder, monkeypatch):
    """The file system gives both changes the same times: the second came after the first listing."""
    names_unless = durable.names_unless

    def coarse(path, seen):
        return (1, 2, 2, 3), None if seen == (1, 2, 2, 3) else names_unless(path, None)[1]

    monkeypatch.setattr(durable, "names_unless", coarse)
    folder.come("one")
    assert folder.look(1.0) == (1, True)
    folder.come("other")
    assert folder.look(0.5) == (2, True)
    assert [folder.look(1.0)[1] for _ in range(4)] == [True, True, True, False]


def test_a_folder_that_lies_about_its_times_is_seen_through(folder, monkeypatch):
    names_unless = durable.names_unless
    monkeypatch.setattr(
        durable,
        "names_unless",
        lambda path, seen: ((1, 2, 2, 3), None) if seen else ((1, 2, 2, 3), names_unless(path, None)[1]),
    )
    assert [folder.look(4.0) for _ in range(3)][-1] == (0, False)
    folder.come("one")
    assert [count for count, _ in (folder.look(2.0) for _ in range(5))][-1] == 1


def test_a_look_that_must_be_fresh_lists(folder):
    assert [folder.look(4.0) for _ in range(3)][-1] == (0, False)
    assert folder.look(0.1, fresh=True) == (0, True)


def test_the_seconds_of_a_look_that_hangs_do_not_count(folder, monkeypatch):
    """The times were seen when the look came back, not when it was asked for."""
    names_unless = durable.names_unless

    def slow(path, seen):
        found = names_unless(path, seen)
        folder.now += 5.0
        return found

    with monkeypatch.context() as patched:
        patched.setattr(durable, "names_unless", slow)
        assert folder.look(1.0) == (0, True)
    assert [folder.look(0.5)[1] for _ in range(8)] == [True] * 6 + [False] * 2


def test_a_folder_that_is_not_there_has_no_names_and_is_looked_for_again(folder):
    os.rmdir(folder.layout.waiting)
    assert [folder.look(5.0)[0] for _ in range(3)] == [0, 0, 0]
    os.mkdir(folder.layout.waiting)
    folder.come("one")
    assert folder.look(5.0)[0] == 1
