"""Reports of our own processes: whole lines, bounded, never trusted to have the right types."""

from __future__ import annotations

import os
import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import reports
from sandbox.environment import environment
from sandbox.evidence import Evidence
from sandbox.linux.proctree import Identity
from sandbox.reports import ReportReader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["stage", "errno", "detail", "script", "init", "at", "floor", "signalled", "status", "wall", "cpu", "peak",
        "landed", "empty", "leftovers", "io"]  # fmt: skip


@pytest.fixture
def pipe():
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            continue


def test_records_arrive_whole_and_the_end_of_the_pipe_is_noticed(pipe):
    reader = ReportReader(pipe[0])
    reports.write(pipe[1], {"empty": True})
    os.write(pipe[1], b'{"half": ')

    assert reader.read() == [{"empty": True}]
    assert not reader.closed
    os.write(pipe[1], b"1}\n")
    os.close(pipe[1])
    assert reader.read() == [{"half": 1}]
    assert reader.closed


def test_a_long_detail_is_cut_so_that_the_line_stays_atomic(pipe):
    reports.write(pipe[1], {"stage": "exec", "errno": 2, "detail": "\U0001f600" * 100_000})

    assert select.select([pipe[0]], [], [], 0)[0]
    assert len(os.read(pipe[0], 1 << 16)) < select.PIPE_BUF
    reports.write(pipe[1], {"stage": "exec", "errno": 2, "detail": "\n" * 100_000})
    (record,) = ReportReader(pipe[0]).read()
    assert record["stage"] == "exec"
    assert record["detail"].strip("\n") == ""


def test_what_is_no_record_is_left_out(pipe):
    os.write(pipe[1], b'\xff\n[1]\n{"a":\n' + b"[" * 2000 + b'\n{"empty": true}\n')

    assert ReportReader(pipe[0]).read() == [{"empty": True}]


def test_a_reader_that_is_gone_is_no_error(pipe):
    os.close(pipe[0])

    reports.write(pipe[1], {"empty": True})


def test_the_whole_life_of_a_script():
    evidence = Evidence()
    for record in (
        {"script": [12, 100], "init": [11, 99], "at": 5.0, "floor": 7},
        {"signalled": 15},
        {"status": 15, "wall": 1.5, "cpu": 0.5, "peak": 10, "landed": True},
        {"empty": True, "leftovers": 2, "killed": 2, "cpu": 0.7, "peak": 20, "io": [1, 2]},
    ):
        evidence.note(record)

    assert (evidence.script, evidence.init) == (Identity(12, 100), Identity(11, 99))
    assert (evidence.status, evidence.landed, evidence.wall) == (15, True, 1.5)
    assert (evidence.cpu, evidence.peak, evidence.io) == (0.7, 20, (1, 2))
    assert (evidence.empty, evidence.leftovers) == (True, 2)


def test_the_first_status_stays():
    evidence = Evidence()
    evidence.note({"status": 0, "wall": 1, "cpu": 1, "peak": 1, "landed": False})
    evidence.note({"status": 9, "wall": 1, "cpu": 1, "peak": 1, "landed": True})

    assert evidence.status == 0


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON), max_size=5))
def test_no_record_can_raise(records):
    evidence = Evidence()

    for record in records:
        evidence.note(record)

    assert evidence.status is None or isinstance(evidence.status, int)


def test_the_environment_lets_the_profile_stand_above_the_defaults_but_not_above_the_token():
    made = environment(
        token="t", home="/h", tmp="/t", interpreter="/opt/py/bin/python", threads=2,
        extra={"LANG": "de_DE", "AUTOREDUCE_BOX": "forged"},
    )  # fmt: skip

    assert made["LANG"] == "de_DE"
    assert made["AUTOREDUCE_BOX"] == "t"
    assert made["PATH"].startswith("/opt/py/bin:")
    assert made["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("extra", [{"": "x"}, {"a=b": "x"}, {"a": "x\0y"}])
def test_a_variable_that_the_kernel_cannot_pass_on_is_refused(extra):
    with pytest.raises(ValueError, match="variable"):
        environment(token="t", home="/h", tmp="/t", interpreter="python", threads=1, extra=extra)
