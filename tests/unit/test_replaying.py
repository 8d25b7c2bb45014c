"""The reading of records and the comparison of two runs."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import Limits
from sandbox.outcome import OutputFile
from sandbox.verdict import Verdict
from supervisor import replaying
from supervisor.replayfolder import NoRecord, bytes_of, find
from supervisor.replaying import BadRecord, DataRef, Recorded, State

A, B = "a" * 64, "b" * 64
GOOD = {
    "v": 1, "job": "j", "instrument": "ENGINX", "rb": "15", "run": "75513", "version": 0, "family": "isis2016",
    "attempt": 1, "epoch": 3, "host": "h", "supervisor_version": "1", "started": "", "ended": "",
    "verdict": "completed", "sentence": "completed after 3 s",
    "script": {"name": "reduce.py", "sha256": A, "bytes": 3, "origin": "message"},
    "arguments": {"sha256": A},
    "data": [{"path": "/d", "bytes": 6, "mtime": "", "sha256": A}],
    "interpreter": {
        "argv": ["/py"], "env": {"A": "1"}, "python": "3.11.7", "implementation": "CPython", "executable": "/py",
        "packages": {"numpy": "1.0", "scipy": "1.0"},
    },
    "mode": "module", "call": {"batch": False, "output_slash": False, "skip_anywhere": False, "script_args": []},
    "facts": {"run_number": 1}, "limits": Limits().to_json(), "usage": {}, "guards": {}, "message": "",
    "outputs": [{"path": "x.nxs", "bytes": 1, "sha256": A}, {"path": "sub/y", "bytes": 1, "sha256": B}],
}  # fmt: skip


def body(changes=(), **top):
    record = copy.deepcopy(GOOD) | top
    for where, value in dict(changes).items():
        *way, last = where.split(".")
        inner = record
        for step in way:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        inner[int(last) if isinstance(inner, list) else last] = value
    return json.dumps(record).encode()


def test_a_good_record_is_read():
    read = replaying.read(body())
    assert (read.run, read.verdict, read.mode, read.limits) == ("75513", Verdict.completed, "module", Limits())
    assert read.data == (DataRef(path="/d", size=6, sha256=A),)
    assert read.outputs == {"x.nxs": A, "sub/y": B}
    assert read.named == "ENGINX run 75513"
    assert replaying.read(body(surplus=1)) == read


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("v", 2),
        ("v", True),
        ("run", 75513),
        ("run", "x" * 2000),
        ("run", "a\0b"),
        ("version", -1),
        ("version", 1.0),
        ("verdict", "eaten"),
        ("verdict", None),
        ("script", []),
        ("script.name", "../reduce.py"),
        ("script.name", ".."),
        ("script.name", ""),
        ("script.sha256", "A" * 64),
        ("script.sha256", "a" * 63),
        ("arguments.sha256", None),
        ("arguments", {"sha256": A, "defaults": {}}),
        ("data", []),
        ("data", [1]),
        ("data.0.path", "relative"),
        ("data.0.path", 7),
        ("data.0.bytes", "6"),
        ("data.0.sha256", ""),
        ("data.0.sha256_head", A),
        ("data.0.changed", 1),
        ("interpreter.argv", []),
        ("interpreter.argv", "/py"),
        ("interpreter.argv", ["/py", 1]),
        ("interpreter.argv", ["/p\0y"]),
        ("interpreter.argv", ["x"] * 2000),
        ("interpreter.env", {"A=B": "1"}),
        ("interpreter.env", {"": "1"}),
        ("interpreter.env", {"A": 1}),
        ("interpreter.packages", ["numpy"]),
        ("mode", "sideways"),
        ("call.batch", "yes"),
        ("call.script_args", None),
        ("facts", []),
        ("limits.memory", "much"),
        ("limits.memory", -5),
        ("limits", None),
        ("outputs", {}),
        ("outputs.0.path", "/etc/passwd"),
        ("outputs.0.path", "../x"),
        ("outputs.0.path", "a//b"),
        ("outputs.0.path", "sub/y"),
        ("outputs.0.sha256", None),
        ("outputs_left_out", -1),
    ],
)
def test_what_no_run_writes_is_refused_by_the_name_of_its_key(where, value):
    with pytest.raises(BadRecord) as refused:
        replaying.read(body({where: value}))
    text = str(refused.value)
    assert len(text.splitlines()) == 1
    assert where.split(".")[-1].rstrip("0123456789") in text or where.split(".")[0] in text or where == "v"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b'{"v":1,"v":1}', b'{"v":NaN}', b"{}", b'{"v":' + b"[" * 99999]
)
def test_what_is_no_strict_json_is_refused_in_one_sentence(data):
    with pytest.raises(BadRecord) as refused:
        replaying.read(data)
    assert len(str(refused.value).splitlines()) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
PLACES = [*GOOD, *(f"{key}.{inner}" for key, value in GOOD.items() if isinstance(value, dict) for inner in value)]


@given(st.dictionaries(st.sampled_from(PLACES), json_values, max_size=3))
def test_an_edited_record_is_read_or_refused_and_nothing_else(changes):
    inner_first = dict(sorted(changes.items(), key=lambda pair: "." not in pair[0]))
    with contextlib.suppress(BadRecord):
        assert isinstance(replaying.read(body(inner_first)), Recorded)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_nothing_else(data):
    with pytest.raises(BadRecord):
        replaying.read(data)


# --- one run against another ------------------------------------------------------------------------------------------


def files(digests):
    return [OutputFile(path=path, size=1, sha256=digest) for path, digest in digests.items()]


@pytest.mark.parametrize(
    ("now", "states", "said"),
    [
        ({"x.nxs": A, "sub/y": B}, {"x.nxs": "identical", "sub/y": "identical"}, "all 2 outputs are the same"),
        ({"x.nxs": B, "sub/y": B}, {"x.nxs": "differs", "sub/y": "identical"}, "1 of 2 outputs identical, 1 differs"),
        ({"x.nxs": A}, {"x.nxs": "identical", "sub/y": "missing"}, "1 of 2 outputs identical, 1 is missing"),
        (
            {"x.nxs": B, "sub/y": A, "z": A, "zz": A},
            {"x.nxs": "differs", "sub/y": "differs", "z": "new", "zz": "new"},
            "0 of 4 outputs identical, 2 differ, 2 are new",
        ),
    ],
)
def test_outputs_are_compared_by_name_and_digest(now, states, said):
    recorded = replaying.read(body())
    compared = replaying.compare(recorded, files(now))
    assert {row.path: str(row.state) for row in compared} == states
    same = set(states.values()) == {"identical"}
    assert replaying.is_same(recorded, Verdict.completed, compared) == same
    sentence = replaying.sentence(recorded, Verdict.completed, compared)
    assert said in sentence
    assert ("not identical" in sentence) != same
    assert sentence.startswith("the replay of ENGINX run 75513 ")


def test_runs_without_outputs_are_compared_by_how_they_ended():
    failed = replaying.read(body(verdict="script_error", outputs=[]))
    assert replaying.is_same(failed, Verdict.script_error, [])
    assert "ended as the run did: script_error" in replaying.sentence(failed, Verdict.script_error, [])
    assert not replaying.is_same(failed, Verdict.completed, [])
    assert "ended as script_error, and its replay as completed" in replaying.sentence(failed, Verdict.completed, [])
    empty = replaying.read(body(outputs=[]))
    assert "neither run made an output" in replaying.sentence(empty, Verdict.completed, [])
    assert replaying.is_same(empty, Verdict.completed, [])


def test_another_python_and_other_packages_are_named():
    recorded = replaying.read(body())
    same = {"python": "3.11.7", "implementation": "CPython", "packages": {"numpy": "1.0", "scipy": "1.0"}}
    assert replaying.environment_changes(recorded, same) == []
    other = {"python": "3.12.1", "implementation": "CPython", "packages": {"numpy": "2.0", "h5py": "3.0"}}
    assert replaying.environment_changes(recorded, other) == [
        "python: 3.11.7 in the record, 3.12.1 now",
        "h5py: not loaded in the record, 3.0 now",
        "numpy: 1.0 in the record, 2.0 now",
        "scipy: 1.0 in the record, not loaded now",
    ]


@pytest.mark.parametrize(
    ("ref", "found", "said"),
    [
        ({"size": 6, "sha256": A}, {"path": "/d", "bytes": 6, "sha256": A}, ""),
        ({"size": 6, "sha256": A}, {"path": "/d", "bytes": 7, "sha256": A}, "6 bytes then, 7 now"),
        (
            {"size": 6, "sha256": A},
            {"path": "/d", "bytes": 6, "sha256": B},
            "sha256 aaaaaaaaaaaa... then, bbbbbbbbbbbb",
        ),
        (
            {"size": 6, "sha256_head": A, "sha256_tail": A},
            {"path": "/d", "bytes": 6, "sha256_head": A, "sha256_tail": B},
            "sha256_tail",
        ),
        ({"problem": "cannot be read"}, {"path": "/d", "bytes": 6, "sha256": A}, ""),
        ({"size": 6, "sha256": A}, {"path": "/d", "problem": "is no plain file"}, '"/d" is no plain file'),
        ({"size": 6, "sha256": A}, {"path": "/d", "bytes": 6, "problem": "cannot be read: i/o"}, "sha256"),
    ],
)
def test_data_are_held_against_what_the_record_knows_of_them(ref, found, said):
    told = replaying.check_data(DataRef(path="/d", **ref), found)
    assert said in told
    assert bool(said) == bool(told)


def test_of_several_records_of_a_run_the_newest_completed_is_the_one():
    def read(**changes):
        return replaying.read(body(**changes))

    found = {
        "e1": read(epoch=1),
        "e2": read(epoch=2),
        "e3": read(epoch=3, verdict="crash", outputs=[]),
        "other": read(run="9", verdict="crash"),
    }
    assert replaying.choose(found) == {"75513": ["e2", "e1", "e3"], "9": ["other"]}


# --- the folder -------------------------------------------------------------------------------------------------------


@pytest.fixture
def result(tmp_path):
    folder = tmp_path / "result" / "reduction_log"
    folder.mkdir(parents=True)
    (folder / "reduction.json").write_bytes(body())
    return tmp_path / "result"


def test_a_record_is_found_by_its_result_its_folder_and_its_own_name(result):
    logs = result / "reduction_log"
    for path in (result, logs, logs / "reduction.json"):
        beside = find(str(path), None)
        assert beside.path == str(logs / "reduction.json")
        assert beside.result == str(result)
        assert (beside.script, beside.variables) == (str(logs / "reduce.py"), str(logs / "reduce_vars.json"))


def test_several_runs_are_named_and_one_is_chosen_by_its_number(result):
    logs = result / "reduction_log"
    (logs / "RB15Run00012reduction.json").write_bytes(body(run="00012"))
    with pytest.raises(NoRecord, match="runs 00012, 75513; say which with --run"):
        find(str(result), None)
    assert find(str(result), "12").path == str(logs / "RB15Run00012reduction.json")
    assert find(str(result), "12").script == str(logs / "RB15Run00012reduce.py")
    assert find(str(result), "75513").recorded.run == "75513"
    with pytest.raises(NoRecord, match="no record of run 13; there are: 00012, 75513"):
        find(str(result), "13")


def test_failed_attempts_beside_a_result_are_named_and_not_chosen(result):
    (result / "reduction_log" / "RB15Run75513v0e9reduction.json").write_bytes(body(epoch=9, verdict="crash"))
    beside = find(str(result), None)
    assert os.path.basename(beside.path) == "reduction.json"
    assert beside.others == ("RB15Run75513v0e9reduction.json",)


def test_a_broken_record_hides_no_good_one_and_is_told_where_it_is_alone(result):
    logs = result / "reduction_log"
    (logs / "RB15Run9reduction.json").write_bytes(b"{")
    assert find(str(result), None).recorded.run == "75513"
    (logs / "reduction.json").unlink()
    with pytest.raises(BadRecord, match=r"RB15Run9reduction\.json.*not JSON"):
        find(str(result), None)


def test_no_record_is_one_sentence(tmp_path):
    for path, said in ((tmp_path, "there is no record"), (tmp_path / "absent", "neither a result folder nor a record")):
        with pytest.raises(NoRecord, match=said):
            find(str(path), None)
    with pytest.raises(BadRecord, match="no such file"):
        find(str(tmp_path / "reduction.json"), None)


@pytest.mark.parametrize("kind", ["link", "fifo", "long", "folder"])
def test_a_record_that_is_no_plain_file_is_neither_followed_nor_waited_for(tmp_path, result, kind):
    path = result / "reduction_log" / "reduction.json"
    body_path = path.rename(tmp_path / "elsewhere.json")
    if kind == "link":
        path.symlink_to(body_path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with open(path, "wb") as file:
            file.truncate(17 * 1024 * 1024)
    with pytest.raises(BadRecord, match=r"reduction\.json"):
        find(str(result), None)


def test_a_copy_is_bytes_for_bytes_and_bounded(tmp_path):
    path = tmp_path / "reduce.py"
    path.write_bytes(b"\xff\r\n")
    assert bytes_of(str(path)) == b"\xff\r\n"
    with pytest.raises(BadRecord, match="longer than 2 bytes"):
        bytes_of(str(path), 2)
    assert replaying.is_text(hashlib.sha256(b"\xff\r\n").hexdigest(), bytes_of(str(path)))
    assert not replaying.is_text(A, b"")


def test_every_state_is_a_word_of_the_table():
    assert [str(state) for state in State] == ["identical", "differs", "missing", "new"]
