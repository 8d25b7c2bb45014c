"""The handoff: an order survives its writing, and whatever a hostile box leaves is read without harm."""

from __future__ import annotations

import errno
import json
import math
import os
import socket
import stat
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opendescriptors import none_left

from sandbox.handoff import (
    DEPTH_CAP,
    IN_NAME,
    OUT_NAME,
    SIZE_CAP,
    VERSION,
    HandoffIn,
    HandoffOut,
    HandoffProblem,
    read,
    write,
)

GOOD = {
    "version": VERSION,
    "ended": "returned",
    "exception_type": "",
    "exception_text": "",
    "line": None,
    "traceback": "",
    "extra_dirs": [],
    "skip_reason": "",
    "message": "",
    "exit_code": None,
    "environment": {"python": "3.8.18", "implementation": "CPython", "executable": "/usr/bin/python3", "packages": {}},
}
ENVIRONMENT = GOOD["environment"]


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def answer(tmp_path, data: bytes | str | dict) -> HandoffOut | HandoffProblem:
    """Return what is read where a box left `data`."""
    if isinstance(data, dict):
        data = json.dumps(data)
    (tmp_path / OUT_NAME).write_bytes(data if isinstance(data, bytes) else data.encode())
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return read(fd)
    finally:
        os.close(fd)


# --- the order


def test_an_order_is_written_whole_for_its_owner_only_and_leaves_nothing_beside(folder, tmp_path):
    old = os.umask(0)
    try:
        write(folder, HandoffIn(input_files=("/data/a.nxs",), output_dir="/out/", script="/script/reduce.py"))
    finally:
        os.umask(old)

    assert os.listdir(tmp_path) == [IN_NAME]
    assert stat.S_IMODE((tmp_path / IN_NAME).stat().st_mode) == 0o600
    assert json.loads((tmp_path / IN_NAME).read_text()) == {
        "version": 1,
        "input_files": ["/data/a.nxs"],
        "output_dir": "/out/",
        "script": "/script/reduce.py",
        "script_sha256": "",
        "mode": "module",
        "reduce_vars": {},
        "facts": {},
        "batch": False,
        "default_vars": None,
        "skip_anywhere": False,
        "script_args": [],
    }


def test_the_values_of_an_order_keep_their_types_and_odd_names(folder, tmp_path):
    variables = {
        "standard_vars": {"n": 1, "x": 1.0, "Minimum Extents": [2, 0.5], "é": None},
        "advanced_vars": {"nan": math.nan},
    }
    write(
        folder,
        HandoffIn(
            input_files=("/data/\udcff.nxs",),
            output_dir="/out",
            script="/s",
            reduce_vars=variables,
            facts={"run_number": "007"},
        ),
    )

    record = json.loads((tmp_path / IN_NAME).read_text())
    assert repr(record["reduce_vars"]) == repr(variables)
    assert record["facts"] == {"run_number": "007"}
    assert os.fsencode(record["input_files"][0]) == b"/data/\xff.nxs"


def test_an_order_that_json_cannot_say_leaves_no_file(folder, tmp_path):
    with pytest.raises(TypeError):
        write(folder, HandoffIn(input_files=(), output_dir="/out", script="/s", facts={"run": object()}))

    assert os.listdir(tmp_path) == []


def test_an_order_that_cannot_be_put_in_place_leaves_no_temporary_file(folder, tmp_path):
    (tmp_path / IN_NAME).mkdir()

    with pytest.raises(OSError, match=IN_NAME):
        write(folder, HandoffIn(input_files=(), output_dir="/out", script="/s"))

    assert os.listdir(tmp_path) == [IN_NAME]


# --- the claim


def test_a_valid_claim_is_read(tmp_path):
    def read_with(**changes):
        return answer(tmp_path, GOOD | changes)

    def claim(**parts):
        return HandoffOut(environment=ENVIRONMENT, **parts)

    error = {"exception_type": "ValueError", "exception_text": "no counts", "line": 12, "traceback": "Traceback"}
    left = {"exception_type": "SystemExit", "exit_code": 255}
    folders = claim(ended="returned", extra_dirs=("/x/é",), message="a\n\0b")
    assert read_with() == claim(ended="returned")
    assert read_with(extra_dirs=["/x/é"], message="a\n\0b") == folders
    assert read_with(ended="skipped", skip_reason="empty") == claim(ended="skipped", skip_reason="empty")
    assert read_with(ended="exit", **left) == claim(ended="exit", **left)
    assert read_with(ended="exception", **error) == claim(ended="exception", **error)


def test_the_environment_of_a_claim_is_taken_as_it_stands(tmp_path):
    full = {
        "python": "3.13.0rc2+",
        "implementation": "PyPy",
        "executable": "/opt/é " + "x" * 4000,
        "packages": {f"package{n:03}" + "x" * 90: "1." + "0" * 98 for n in range(200)},
    }

    assert answer(tmp_path, GOOD | {"environment": full}).environment == full
    assert answer(tmp_path, GOOD | {"environment": full | {"executable": ""}}).environment["executable"] == ""


CONTENTS = {
    "empty": ("", "is empty"),
    "no json": ("ended: returned", "is not JSON at character 0"),
    "two records": (json.dumps(GOOD) * 2, f"is not JSON at character {len(json.dumps(GOOD))}"),
    "cut": (json.dumps(GOOD)[:-1], f"is not JSON at character {len(json.dumps(GOOD)) - 1}"),
    "byte order mark": ("\ufeff" + json.dumps(GOOD), "is not JSON at character 0"),
    "utf-16": (json.dumps(GOOD).encode("utf-16"), "is not UTF-8 at byte 0"),
    "latin-1": (json.dumps(GOOD | {"message": "é"}, ensure_ascii=False).encode("latin-1"), "is not UTF-8 at byte "),
    "nul bytes": (b"\0" * 1000, "is not JSON at character 0"),
    "too large": (b" " * (SIZE_CAP + 1), f"is larger than {SIZE_CAP} bytes"),
    "a list": ("[]", "is not a JSON object"),
    "null": ("null", "is not a JSON object"),
    "nan": ('{"line": NaN}', "has the number NaN, which JSON does not know"),
    "infinity": ('{"line": -Infinity}', "has the number -Infinity, which JSON does not know"),
    "1e999": ('{"line": 1e999}', "has a number out of range"),
    "long float": ('{"line": 0.' + "1" * 10**6 + "}", "has a number out of range"),
    "huge integer": ('{"line": ' + "1" * 10**6 + "}", "has a number out of range"),
    "just too deep": ("[" * (DEPTH_CAP + 1), f"is nested deeper than {DEPTH_CAP}"),
    "deep lists": ("[" * 10**5 + "]" * 10**5, f"is nested deeper than {DEPTH_CAP}"),
    "deep objects": ('{"a":' * 10**5, f"is nested deeper than {DEPTH_CAP}"),
    "deep behind quotes": (r'{"a\"": "\\", "b": ' + "[" * 10**5, f"is nested deeper than {DEPTH_CAP}"),
    "escaped quotes": ('"' + '\\"' * (SIZE_CAP // 2 - 1), "is not JSON at character 0"),
    "twins": ('{"version": 1, "version": 1}', "has a key twice"),
    "inner twins": ('{"version": 1, "x": [{"a": 1, "a": 2}]}', "has a key twice"),
    "lone surrogate": (json.dumps(GOOD | {"message": "\ud800"}), "has text under message that is not Unicode"),
    "lone surrogate in a path": (
        json.dumps(GOOD | {"extra_dirs": ["/\udcff"]}),
        "has an unusable path under extra_dirs",
    ),
    "lone surrogate in a key": (json.dumps(GOOD | {"\ud800": 1}), "has 1 unknown keys"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_malformed_content_is_a_problem_with_a_short_reason(tmp_path, case):
    data, reason = CONTENTS[case]

    problem = answer(tmp_path, data)

    assert isinstance(problem, HandoffProblem)
    assert problem.text.startswith(f"{OUT_NAME} {reason}")
    assert len(problem.text) < 120
    assert problem.text.isprintable()


WRONG = [
    ({"version": 2}, "has not version 1"),
    ({"version": "1"}, "has not version 1"),
    ({"version": True}, "has not version 1"),
    ({"version": 1.0}, "has not version 1"),
    ({"unknown": 1, "other": 2}, "has 2 unknown keys"),
    ({"ended": "well"}, "has an unknown value of ended"),
    ({"ended": None}, "has an unknown value of ended"),
    ({"ended": ["returned"]}, "has an unknown value of ended"),
    ({"message": 3}, "has no text under message"),
    ({"traceback": None}, "has no text under traceback"),
    ({"line": 0}, "has no number between 1 and"),
    ({"line": -4}, "has no number between 1 and"),
    ({"line": True}, "has no number between 1 and"),
    ({"line": 1.5}, "has no number between 1 and"),
    ({"line": "12"}, "has no number between 1 and"),
    ({"line": 10**12}, "has no number between 1 and"),
    ({"ended": "exit", "exception_type": "SystemExit", "exit_code": 256}, "has no number between 0 and 255"),
    ({"ended": "exit", "exception_type": "SystemExit"}, "has an exit_code that does not fit"),
    ({"exit_code": 0}, "has an exit_code that does not fit"),
    ({"ended": "exception"}, "has an exception_type that does not fit"),
    ({"exception_type": "ValueError"}, "has an exception_type that does not fit"),
    ({"extra_dirs": "/x"}, "has no list of at most 1000 under extra_dirs"),
    ({"extra_dirs": {}}, "has no list of at most 1000 under extra_dirs"),
    ({"extra_dirs": ["/x"] * 1001}, "has no list of at most 1000 under extra_dirs"),
    ({"extra_dirs": [None]}, "has something else than absolute paths"),
    ({"extra_dirs": [["/x"]]}, "has something else than absolute paths"),
    ({"extra_dirs": ["x"]}, "has something else than absolute paths"),
    ({"extra_dirs": [""]}, "has something else than absolute paths"),
    ({"extra_dirs": ["/x\0"]}, "has something else than absolute paths"),
    ({"extra_dirs": ["/" + "é" * 2100]}, "has an unusable path under extra_dirs"),
    ({"environment": None}, "has no record of python, implementation, executable and packages under environment"),
    ({"environment": {}}, "has no record of python, implementation"),
    ({"environment": ENVIRONMENT | {"more": ""}}, "has no record of python, implementation"),
    ({"environment": ENVIRONMENT | {"python": ""}}, "has no text of at most 100 characters under environment.python"),
    ({"environment": ENVIRONMENT | {"python": 3.11}}, "has no text of at most 100 characters under environment.python"),
    ({"environment": ENVIRONMENT | {"python": "3" * 101}}, "has no text of at most 100 characters under environment.p"),
    ({"environment": ENVIRONMENT | {"implementation": "C\n"}}, "has no text of at most 100 characters under environ"),
    ({"environment": ENVIRONMENT | {"executable": None}}, "has no usable path under environment.executable"),
    ({"environment": ENVIRONMENT | {"executable": "/\ud800"}}, "has no usable path under environment.executable"),
    ({"environment": ENVIRONMENT | {"executable": "é" * 2100}}, "has no usable path under environment.executable"),
    ({"environment": ENVIRONMENT | {"packages": []}}, "has no record of at most 200 under environment.packages"),
    (
        {"environment": ENVIRONMENT | {"packages": {f"p{n}": "1" for n in range(201)}}},
        "has no record of at most 200 under environment.packages",
    ),
    ({"environment": ENVIRONMENT | {"packages": {"": "1"}}}, "has something else than names and versions"),
    ({"environment": ENVIRONMENT | {"packages": {"é": "1"}}}, "has something else than names and versions"),
    ({"environment": ENVIRONMENT | {"packages": {"numpy": ""}}}, "has something else than names and versions"),
    ({"environment": ENVIRONMENT | {"packages": {"numpy": [1, 26]}}}, "has something else than names and versions"),
    ({"environment": ENVIRONMENT | {"packages": {"numpy": "1\x1b[2J"}}}, "has something else than names and versions"),
    ({"environment": ENVIRONMENT | {"packages": {"numpy": "1" * 101}}}, "has something else than names and versions"),
]


@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_a_claim_of_another_schema_is_a_problem(tmp_path, change, reason):
    problem = answer(tmp_path, GOOD | change)

    assert isinstance(problem, HandoffProblem)
    assert problem.text.startswith(f"{OUT_NAME} {reason}")


@pytest.mark.parametrize("key", GOOD)
def test_every_key_has_to_be_there(tmp_path, key):
    problem = answer(tmp_path, {name: value for name, value in GOOD.items() if name != key})

    assert problem == HandoffProblem(
        text=f"{OUT_NAME} " + ("has not version 1" if key == "version" else f"lacks the key {key}")
    )


def test_nothing_there_is_a_problem(folder):
    assert read(folder) == HandoffProblem(text="handoff.out.json is missing")


def test_a_link_is_not_followed_wherever_it_leads(folder, tmp_path):
    (tmp_path / "elsewhere.json").write_text(json.dumps(GOOD))
    for target in ("elsewhere.json", "/etc/passwd", "/nowhere", OUT_NAME):
        os.symlink(target, tmp_path / OUT_NAME)
        assert read(folder) == HandoffProblem(text="handoff.out.json is a symbolic link")
        os.unlink(tmp_path / OUT_NAME)


def test_a_hard_link_is_not_read(folder, tmp_path):
    (tmp_path / "elsewhere.json").write_text(json.dumps(GOOD))
    os.link(tmp_path / "elsewhere.json", tmp_path / OUT_NAME)

    assert read(folder) == HandoffProblem(text="handoff.out.json is a hard link to a file with another name")


def test_a_fifo_is_not_waited_for(folder, tmp_path):
    os.mkfifo(tmp_path / OUT_NAME)

    assert read(folder) == HandoffProblem(text="handoff.out.json is a FIFO")


def test_a_folder_and_a_socket_are_not_read(folder, tmp_path, monkeypatch):
    (tmp_path / OUT_NAME).mkdir()
    assert read(folder) == HandoffProblem(text="handoff.out.json is a folder")

    (tmp_path / OUT_NAME).rmdir()
    monkeypatch.chdir(tmp_path)  # The path of a socket is at most 108 bytes.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(OUT_NAME)
        assert read(folder) == HandoffProblem(text="handoff.out.json is a socket")


def test_a_folder_that_is_gone_is_a_problem(tmp_path):
    (tmp_path / "gone").mkdir()
    fd = os.open(tmp_path / "gone", os.O_RDONLY)
    try:
        (tmp_path / "gone").rmdir()
        assert read(fd) == HandoffProblem(text="handoff.out.json is missing")
    finally:
        os.close(fd)


@pytest.mark.parametrize("case", ["sparse", "escaped quotes", "deep lists", "huge integer", "many"])
def test_reading_takes_bounded_memory_and_time(folder, tmp_path, case):
    if case == "sparse":
        with open(tmp_path / OUT_NAME, "wb") as stream:
            stream.truncate(2 * 1024**3)
    else:
        data = CONTENTS[case][0] if case in CONTENTS else "[" + "{}," * 340_000 + "{}]"
        (tmp_path / OUT_NAME).write_text(data)

    tracemalloc.start()
    begun = time.process_time()
    try:
        problem = read(folder)
        used = time.process_time() - begun
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(problem, HandoffProblem)
    assert peak < 100 * SIZE_CAP
    assert used < 30


def test_reading_leaves_no_descriptor_behind(tmp_path):
    with none_left():
        for data in (json.dumps(GOOD), "", b"\xff", b" " * (SIZE_CAP + 1)):
            answer(tmp_path, data)
        (tmp_path / OUT_NAME).unlink()
        (tmp_path / OUT_NAME).mkdir()
        fd = os.open(tmp_path, os.O_RDONLY)
        read(fd)
        os.close(fd)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_opened_or_read_is_a_problem(folder, tmp_path, monkeypatch, number):
    (tmp_path / OUT_NAME).write_text(json.dumps(GOOD))

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    for call, what in (("read", "read"), ("open", "opened")):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            problem = read(folder)

        assert problem == HandoffProblem(text=f"handoff.out.json cannot be {what}: {os.strerror(number)}")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.one_of(st.binary(), st.text(), st.builds(json.dumps, VALUES)))
def test_no_content_makes_the_reader_raise(tmp_path, data):
    assert isinstance(
        answer(tmp_path, data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data), HandoffProblem
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(sorted(GOOD)), value=VALUES)
def test_no_value_under_a_key_makes_the_reader_raise(tmp_path, key, value):
    found = answer(tmp_path, GOOD | {key: value})

    assert isinstance(found, (HandoffOut, HandoffProblem))
    if isinstance(found, HandoffOut):
        assert repr(found).encode()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
SHORT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=100)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.builds(
        HandoffOut,
        ended=st.just("exception"),
        exception_type=TEXT.filter(bool),
        exception_text=TEXT,
        line=st.none() | st.integers(1, 10**9),
        traceback=TEXT,
        extra_dirs=st.lists(TEXT.map(lambda text: "/" + text.replace("\0", "")), max_size=5).map(tuple),
        skip_reason=TEXT,
        message=TEXT,
        environment=st.fixed_dictionaries(
            {
                "python": SHORT,
                "implementation": SHORT,
                "executable": TEXT,
                "packages": st.dictionaries(SHORT, SHORT, max_size=5),
            }
        ),
    )
)
def test_every_valid_claim_is_read_as_it_was_written(tmp_path, claim):
    record = {"version": VERSION} | {name: getattr(claim, name) for name in HandoffOut.__dataclass_fields__}

    assert answer(tmp_path, record | {"extra_dirs": list(claim.extra_dirs)}) == claim
