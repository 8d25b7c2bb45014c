"""The words of limits: what people write is read exactly, and what cannot be used is refused with a remedy."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import (
    KEYS,
    LARGEST,
    LONGEST,
    GiB,
    KiB,
    LimitError,
    Limits,
    MiB,
    TiB,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from sandbox.linux import rlimits


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8 GiB", 8 * GiB),
        ("512MiB", 512 * MiB),
        ("1.5 gib", 3 * GiB // 2),
        ("10 MB", 10_000_000),
        ("3 kB", 3000),
        ("2 TiB", 2 * TiB),
        ("4096", 4096),
        (" 4096 B ", 4096),
        ("0.3 GB", 300_000_000),
        (4096, 4096),
        (0, 0),
        (LARGEST, LARGEST),
    ],
)
def test_sizes_are_read_exactly(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value",
    ["", "GiB", "8 GiB of RAM", "-1", -1, "1e9", "8 Gb/s", "nan", "1_000", "٣ GiB", "1.5.2 GiB", "9999999 TiB", 2**63, True, 1.5, math.nan, None, [1], pytest.param("1" * 10**6, id="long"), pytest.param(10**5000, id="huge")],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_an_example(value):
    with pytest.raises(LimitError, match='write for example "8 GiB"') as caught:
        parse_size(value)

    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 h", 7200),
        ("90 s", 90),
        ("1 h 30 min", 5400),
        ("1h30min", 5400),
        ("200 ms", 0.2),
        ("3", 3),
        ("1.5 hours", 5400),
        ("1 Day 1 SEC", 86401),
        (3, 3),
        (0.25, 0.25),
        ("365 d", LONGEST),
    ],
)
def test_times_are_read_exactly(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "value",
    ["", "h", "2 fortnights", "1 h 30", "30 1 h", "1 h 2 h", "1 min 1 minute", "-1 s", -0.1, "366 d", math.nan, math.inf, "1e3", "2 m", True, None, pytest.param(10**5000, id="huge"), pytest.param("1 s" * 10**5, id="long")],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_an_example(value):
    with pytest.raises(LimitError, match='write for example "2 h"') as caught:
        parse_duration(value)

    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("size", "text", "measured"),
    [
        (0, "0 B", "0 B"),
        (1000, "1000 B", "1000 B"),
        (KiB, "1 KiB", "1.0 KiB"),
        (8 * GiB, "8 GiB", "8.0 GiB"),
        (8 * GiB - 1, "8.0 GiB", "8.0 GiB"),
        (1536 * MiB, "1.5 GiB", "1.5 GiB"),
        (GiB - 1, "1.0 GiB", "1.0 GiB"),
        (5000 * TiB, "5000 TiB", "5000.0 TiB"),
    ],
)
def test_sizes_are_written_for_people(size, text, measured):
    assert format_size(size) == text
    assert format_size(size, measured=True) == measured


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.04, "40 ms"),
        (0.0999, "0.1 s"),
        (0.4, "0.4 s"),
        (0.25, "0.25 s"),
        (0.999, "1 s"),
        (3, "3 s"),
        (9.96, "10 s"),
        (212.4, "212 s"),
        (599.6, "10 min"),
        (725, "12 min 5 s"),
        (3599.9, "1 h"),
        (9000, "2 h 30 min"),
        (14400, "4 h"),
        (100 * 3600, "100 h"),
    ],
)
def test_times_are_written_for_people(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(0, 2**62))
def test_a_written_size_is_read_back_within_its_rounding(size):
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.05, abs=0.5)


@given(st.floats(0.001, LONGEST - 60))
def test_a_written_time_is_read_back_within_its_rounding(seconds):
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.051, abs=0.0006)


@pytest.mark.parametrize(("parse", "most"), [(parse_size, LARGEST), (parse_duration, LONGEST)])
@given(value=st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_readers_answer_or_refuse_whatever_they_get(parse, most, value):
    refused = ""
    try:
        answer = parse(value)
    except LimitError as error:
        refused = str(error)

    assert refused.isprintable() if refused else 0 <= answer <= most


def test_the_names_of_the_limits_are_the_fields_in_their_order():
    assert tuple(field.name for field in fields(Limits)) == KEYS


def test_the_defaults_are_those_of_the_design():
    assert Limits().to_json() == {
        "memory": 8 * GiB,
        "wall": 14400,
        "cpu": None,
        "processes": 256,
        "open_files": 1024,
        "file_size": None,
        "output": 20 * GiB,
        "files": 100_000,
        "log": 10 * MiB,
        "tmp": 2 * GiB,
        "grace": 10,
        "cpus": None,
    }


def test_limits_are_replaced_by_what_a_person_wrote():
    limits = Limits().replace_from(
        {
            "memory": "2 GiB",
            "wall": "30 min",
            "cpu": 3,
            "files": "100 000",
            "processes": "none",
            "cpus": "0.5",
            "tmp": None,
        }
    )

    assert limits == Limits(memory=2 * GiB, wall=1800, cpu=3, processes=None, cpus=0.5, tmp=None)


def test_all_problems_come_at_once_each_with_its_remedy():
    with pytest.raises(LimitError) as caught:
        Limits().replace_from(
            {
                "memroy": "1 GiB",
                "wall": 0,
                "output": "-3",
                "log": "none",
                "open_files": 1.5,
                "grace": "0 s",
                "zzz": 1,
                "cpus": True,
            }
        )

    assert caught.value.problems == (
        'unknown limit "memroy"; did you mean "memory"?',
        'limits.wall: 0.0 is not more than zero and at most 31536000; write for example "90 s", or "none" for no limit',
        'limits.output: "-3" is not a size; write for example "8 GiB", "512 MiB" or 4096',
        'limits.log cannot be none: it bounds every run; write for example "8 GiB"',
        'limits.open_files: 1.5 is not a count; write a whole number such as 256, or "none" for no limit',
        'limits.grace: 0.0 is not more than zero and at most 31536000; write for example "90 s"',
        f'unknown limit "zzz"; the limits are {", ".join(KEYS)}',
        'limits.cpus: True is not a number of processors; write for example 2 or 0.5, or "none" for all of them',
    )
    assert str(caught.value) == "; ".join(caught.value.problems)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "value", [0, -1, "0", math.nan, math.inf, True, "\x1b[2J\n", [], pytest.param(10**5000, id="huge")]
)
def test_no_limit_is_zero_negative_or_another_kind_of_thing(key, value):
    with pytest.raises(LimitError) as caught:
        Limits().replace_from({key: value})

    assert str(caught.value).startswith(f"limits.{key}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("values", [{"memory": 0}, {"wall": -1.0}, {"grace": None}, {"files": 2.0}, {"cpu": math.nan}])
def test_limits_made_in_code_are_checked_too(values):
    with pytest.raises(LimitError):
        Limits(**values)


def test_a_record_is_read_back_and_unknown_keys_of_a_newer_version_are_ignored():
    limits = Limits(memory=None, wall=12.5, cpus=2)
    record = json.loads(json.dumps(limits.to_json())) | {"gpus": 1}

    assert Limits.from_json(record) == limits
    assert Limits.from_json({}) == Limits()
    with pytest.raises(LimitError):
        Limits.from_json({"memory": "8 GiB"})


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.1.0-18-amd64", True),
        ("5.14.0-427.el9.x86_64", True),
        ("5.13.19", False),
        ("4.18.0-553.el8", False),
        ("6", False),
        ("odd", False),
        ("10.0-rc1", True),
    ],
)
def test_since_when_a_kernel_counts_tasks_by_namespace(release, expected):
    assert rlimits.counts_tasks_by_namespace(release) is expected
