from __future__ import annotations

import json

import pytest
from storemaking import request

from supervisor import records
from supervisor.records import CorruptRecord, Epoch, Identity, Outcome, Request, RunRecord, Target


def test_a_record_comes_back_as_it_was_written():
    epoch = Epoch(host="h", boot="b", job="j", time=1.5)
    assert records.from_record(Epoch, "p", records.to_record(epoch)) == epoch
    of = request("a/b é", headers={"priority": "9"})
    assert records.from_record(Request, "p", records.to_record(of)) == of


def test_a_run_record_comes_back_with_its_identities():
    who = Identity(pid=4, start=5, boot="b")
    run = RunRecord(host="h", shepherd=who, builder=who, token="t", scratch="/s", version="1", time=2.0)
    assert records.from_record(RunRecord, "p", records.to_record(run)) == run


def test_unknown_fields_are_passed_over_by_values_and_kept_in_the_record():
    data = json.dumps({"v": 1, "host": "h", "boot": "b", "job": "j", "time": 0, "colour": "red"}).encode()
    assert records.from_record(Epoch, "p", data) == Epoch(host="h", boot="b", job="j", time=0)
    assert records.unpack("p", data)["colour"] == "red"


def test_missing_fields_with_a_default_are_filled():
    assert records.from_record(Outcome, "p", b'{"v":1,"kind":"retry"}').targets == []
    assert records.build(Target, "p", {"path": "/t", "staging": "/s", "mode": "replace"}).files == []


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_version_that_is_not_known_is_refused(version):
    with pytest.raises(CorruptRecord, match="upgrade this host"):
        records.unpack("p", json.dumps({"v": version, "kind": "x"}).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000], ids=range(6))
def test_what_is_no_record_is_told_with_its_path(data):
    with pytest.raises(CorruptRecord, match='"/store/cell"') as caught:
        records.unpack("/store/cell", data)
    assert caught.value.path == "/store/cell"


def test_a_record_without_what_it_needs_is_corrupt():
    with pytest.raises(CorruptRecord, match="not a record of Epoch"):
        records.from_record(Epoch, "p", b'{"v":1,"host":"h"}')


def test_a_record_is_one_line_of_ascii():
    data = records.pack({"text": "é\n\u2028"})
    assert data.isascii()
    assert data.count(b"\n") == 1
