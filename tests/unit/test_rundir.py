"""What the run directory remembers of the places where boxes had their control groups."""

from __future__ import annotations

import pytest

from supervisor import rundir


def test_places_of_all_versions_are_found_the_newest_of_each_first(tmp_path):
    run_dir = str(tmp_path)
    first, second, other = {"memory": "/a", "pids": "/b"}, {"": "/sys/fs/cgroup/x"}, {"": "/sys/fs/cgroup/y"}
    rundir.note_place(run_dir, "1.0", first)
    rundir.note_place(run_dir, "1.0", second)
    rundir.note_place(run_dir, "2.0", other)
    assert rundir.places(run_dir) == [second, first, other]


def test_a_place_that_is_used_again_is_kept_once(tmp_path):
    for folder in ("/a", "/b", "/a"):
        rundir.note_place(str(tmp_path), "1.0", {"": folder})
    assert rundir.places(str(tmp_path)) == [{"": "/a"}, {"": "/b"}]


def test_the_places_of_a_version_are_bounded(tmp_path):
    for number in range(40):
        rundir.note_place(str(tmp_path), "1.0", {"": f"/{number}"})
    places = rundir.places(str(tmp_path))
    assert len(places) == 16
    assert places[0] == {"": "/39"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"places": 3}', '{"places": ["x", 7]}'])
def test_a_spoilt_record_is_no_place(tmp_path, text):
    (tmp_path / "groups-1.0.json").write_text(text)
    assert rundir.places(str(tmp_path)) == []
    rundir.note_place(str(tmp_path), "1.0", {"": "/a"})
    assert rundir.places(str(tmp_path)) == [{"": "/a"}]
