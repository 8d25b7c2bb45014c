"""Digests of data files, piece by piece."""

from __future__ import annotations

import hashlib
import os

import pytest
from opendescriptors import none_left

from supervisor import utc
from supervisor.datadigest import END, PIECE, DataDigest


def sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.nxs"
    path.write_bytes(os.urandom(2 * PIECE + 17))
    os.utime(path, ns=(0, 1_767_268_800_250_000_000))
    return path


def test_a_file_is_described_by_path_size_time_and_digest(data):
    assert DataDigest([str(data)]).finish() == [
        {
            "path": str(data),
            "bytes": 2 * PIECE + 17,
            "mtime": "2026-01-01T12:00:00.250Z",
            "sha256": sha(data.read_bytes()),
        }
    ]


def test_one_step_reads_one_piece_at_most(data, monkeypatch):
    lengths = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, offset: lengths.append(count) or pread(fd, count, offset))
    digest = DataDigest([str(data), str(data)])
    steps = 1
    while digest.step():
        assert len(lengths) == steps
        steps += 1
    assert lengths == [PIECE, PIECE, 17] * 2
    assert digest.done
    assert not digest.step()


def test_between_the_pieces_something_else_can_be_done(data):
    turns = []
    DataDigest([str(data)]).finish(lambda: turns.append(1))
    assert len(turns) == 3


def test_of_a_file_above_the_limit_head_and_tail_are_digested(data):
    body = data.read_bytes()
    (facts,) = DataDigest([str(data)], limit=len(body) - 1).finish()
    assert "sha256" not in facts
    assert (facts["sha256_head"], facts["sha256_tail"]) == (sha(body[:END]), sha(body[-END:]))
    (whole,) = DataDigest([str(data)], limit=len(body)).finish()
    assert whole["sha256"] == sha(body)


def test_a_small_file_above_a_limit_of_none_is_its_own_head_and_tail(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"abc")
    (facts,) = DataDigest([str(path)], limit=0).finish()
    assert facts["sha256_head"] == facts["sha256_tail"] == sha(b"abc")


@pytest.mark.parametrize("kind", ["absent", "folder", "fifo", "device"])
def test_what_cannot_be_read_is_told_and_hides_no_other(data, tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/null"
    odd, good = DataDigest([str(path), str(data)]).finish()
    words = {"absent": "cannot be read: no such file or directory"}.get(kind, "is no plain file")
    assert odd == {"path": str(path), "problem": words}
    assert good["sha256"] == sha(data.read_bytes())


def test_a_file_that_was_changed_since_its_reading_began_is_told_as_changed(data):
    digest = DataDigest([str(data)])
    digest.step()
    with open(data, "ab") as file:
        file.write(b"more")
    (facts,) = digest.finish()
    assert facts["changed"] is True
    assert facts["bytes"] == 2 * PIECE + 17
    (again,) = DataDigest([str(data)]).finish()
    assert "changed" not in again


def test_a_file_that_another_replaced_or_removed_is_told_as_changed(data):
    digest = DataDigest([str(data)])
    before = sha(data.read_bytes())
    digest.step()
    os.unlink(data)
    (facts,) = digest.finish()
    assert (facts["changed"], facts["sha256"]) == (True, before)


def test_a_file_that_became_shorter_has_a_problem_and_no_digest(data):
    digest = DataDigest([str(data)])
    digest.step()
    os.truncate(data, 1)
    (facts,) = digest.finish()
    assert "shorter" in facts["problem"]
    assert "sha256" not in facts


def test_what_was_not_read_to_its_end_has_no_digest(data):
    digest = DataDigest([str(data), str(data)])
    digest.step()
    first, second = digest.facts()
    assert "sha256" not in first
    assert "before the run ended" in first["problem"]
    assert second == {"path": str(data), "problem": first["problem"]}


def test_a_digest_leaves_no_descriptor_open(data):
    with none_left():
        DataDigest([str(data), "/nonexistent"]).finish()


def test_a_time_is_utc_to_the_millisecond_and_an_impossible_one_is_nothing():
    assert utc.iso(0.9996) == "1970-01-01T00:00:01.000Z"
    assert utc.iso(-1.5) == "1969-12-31T23:59:58.500Z"
    assert [utc.iso(odd) for odd in (float("nan"), float("inf"), 1e18, -1e18)] == ["", "", "", ""]
