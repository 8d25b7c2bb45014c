"""The record of a run: what stands in it, under which names, and within which bounds."""

from __future__ import annotations

import hashlib
import json

import pytest

from sandbox.limits import Limits
from sandbox.outcome import Guards, Measure, Outcome, OutputFile, Sample, Usage, decode_status
from sandbox.verdict import Verdict
from supervisor import provenance, replaying
from supervisor.datadigest import PIECE
from supervisor.ondisk import Found
from supervisor.profiles import Profile
from supervisor.provenance import Origin
from supervisor.recorder import Recorder
from supervisor.runplan import RunPlan, pack_script

SCRIPT = b"\xef\xbb\xbfdef main(i, o):\r\n\treturn ''\r\n"
VARIABLES = {"standard_vars": {"b": 1, "a": [1.5, None]}, "advanced_vars": {"\u00e9": True}}
KEYS = {
    "v", "job", "instrument", "rb", "run", "version", "family", "attempt", "epoch", "host", "supervisor_version",
    "started", "ended", "verdict", "sentence", "script", "arguments", "data", "interpreter", "mode", "call", "facts",
    "limits", "usage", "guards", "outputs", "message",
}  # fmt: skip


def sha(data):
    return hashlib.sha256(data).hexdigest()


def outcome(**changes):
    fields = {
        "verdict": Verdict.completed,
        "sentence": "completed after 3 s",
        "exit": decode_status(0),
        "usage": Usage(
            wall=Measure(value=3.0, source="clock", exact=True), curve=(Sample(t=0.1, rss=1, cpu=0.1, processes=1),)
        ),
        "limits": Limits(),
        "guards": Guards(facts={"level": "none"}),
        "message": "a remark",
        "environment": {
            "python": "3.10.12",
            "implementation": "CPython",
            "executable": "/opt/python",
            "packages": {"numpy": "1.26.4"},
        },
    }
    return Outcome(**(fields | changes))


def origin(**changes):
    fields = {
        "job": "j", "instrument": "ENGINX", "rb": "15", "run": "9", "version": 2, "family": "isis2016", "attempt": 3,
        "epoch": 7, "host": "h", "supervisor_version": "1", "script": SCRIPT, "variables": VARIABLES, "data": ("/d",),
        "argv": ("/opt/python", "-u"), "env": {"A": "1"}, "facts": {"run_number": "0009"},
    }  # fmt: skip
    return Origin(**(fields | changes))


OUTPUTS = (OutputFile(path="a.nxs", size=3, sha256="0" * 64),)
DATA = [{"path": "/d", "bytes": 6, "mtime": "2026-01-01T12:00:00.000Z", "sha256": "1" * 64}]


def papers(of=None, ended=None, outputs=OUTPUTS, data=DATA):
    return provenance.papers(
        of or origin(), ended or outcome(), outputs=outputs, data=data, started=1_767_268_800.0, ended=1_767_268_803.5
    )


def record(**changes):
    return json.loads(papers(**changes)[provenance.RECORD])


def test_the_record_has_these_keys_and_what_the_run_was_made_of():
    told = record()
    assert set(told) == KEYS
    assert (told["v"], told["job"], told["rb"], told["run"], told["version"]) == (1, "j", "15", "9", 2)
    assert (told["attempt"], told["epoch"], told["family"], told["host"]) == (3, 7, "isis2016", "h")
    assert (told["started"], told["ended"]) == ("2026-01-01T12:00:00.000Z", "2026-01-01T12:00:03.500Z")
    assert (told["verdict"], told["sentence"], told["message"]) == ("completed", "completed after 3 s", "a remark")
    script = {"name": "reduce.py", "sha256": sha(SCRIPT), "bytes": len(SCRIPT), "origin": "message"}
    assert told["script"] == script
    assert told["data"] == DATA
    assert told["interpreter"] == {
        "argv": ["/opt/python", "-u"],
        "env": {"A": "1"},
        "python": "3.10.12",
        "implementation": "CPython",
        "executable": "/opt/python",
        "packages": {"numpy": "1.26.4"},
    }
    assert told["facts"] == {"run_number": "0009"}
    assert told["limits"] == Limits().to_json()
    assert told["usage"]["wall"] == {"value": 3.0, "source": "clock", "exact": True}
    assert "curve" not in told["usage"]
    assert told["outputs"] == [{"path": "a.nxs", "bytes": 3, "sha256": "0" * 64}]


def test_beside_it_lie_the_script_byte_for_byte_and_the_variables_with_their_types():
    made = papers()
    assert set(made) == {"reduction.json", "reduce.py", "reduce_vars.json"} == set(origin().names)
    assert made["reduce.py"] == SCRIPT
    assert json.loads(made["reduce_vars.json"]) == VARIABLES
    assert list(json.loads(made["reduce_vars.json"])["standard_vars"]) == ["b", "a"]


def test_the_instruments_own_defaults_are_copied_and_digested_as_well():
    with_defaults = origin(defaults=b"standard_vars = {}\n", defaults_from="/i/reduce_vars.py")
    made = papers(of=with_defaults)
    assert made["reduce_vars.py"] == b"standard_vars = {}\n"
    assert set(made) == set(with_defaults.names)
    told = json.loads(made["reduction.json"])["arguments"]["defaults"]
    assert told == {"path": "/i/reduce_vars.py", "bytes": 19, "sha256": sha(b"standard_vars = {}\n")}


def test_the_digest_of_the_variables_knows_no_order_and_no_blanks_but_types():
    def digest(variables):
        return record(of=origin(variables=variables))["arguments"]["sha256"]

    same = {"advanced_vars": {"\u00e9": True}, "standard_vars": {"a": [1.5, None], "b": 1}}
    assert digest(VARIABLES) == digest(same)
    assert digest({}) == digest({"standard_vars": {}, "advanced_vars": {}})
    one = {"standard_vars": {"a": 1}}
    assert len({digest({"standard_vars": {"a": value}}) for value in (1, 1.0, "1", True)}) == 4
    assert provenance.canonical(one) == b'{"advanced_vars":{},"standard_vars":{"a":1}}'


def test_a_record_is_read_again_as_it_was_written():
    read = replaying.read(papers()["reduction.json"])
    assert (read.run, read.epoch, read.argv, read.env) == ("9", 7, ("/opt/python", "-u"), {"A": "1"})
    assert read.outputs == {"a.nxs": "0" * 64}
    assert (read.data[0].path, read.data[0].sha256, read.limits) == ("/d", "1" * 64, Limits())
    assert (read.python, read.packages) == ("3.10.12", {"numpy": "1.26.4"})


def test_a_run_that_says_nothing_of_itself_has_a_record_that_can_be_read():
    read = replaying.read(papers(ended=outcome(environment={}, message=""))["reduction.json"])
    assert (read.python, read.packages) == ("", {})


def test_what_comes_from_outside_is_bounded_and_text():
    odd = {"half \ud800": "x" * 100_000, "list": list(range(20_000))}
    deep: object = "end"
    for _ in range(100):
        deep = {"in": deep}
    told = record(of=origin(facts={"odd": odd, "deep": deep}, data=("/\udcff",)), data=[{"path": "/\udcff"}])
    assert len(told["facts"]["odd"]["half \\ud800"]) == 65536
    assert len(told["facts"]["odd"]["list"]) == 10_000
    assert json.dumps(told["facts"]["deep"]).count("in") < 30
    assert told["data"][0]["path"] == "/\\udcff"


def test_more_outputs_than_there_is_room_for_are_counted():
    many = [OutputFile(path=f"{n:05}{'x' * 2000}", size=1, sha256="0" * 64) for n in range(7000)]
    body = papers(outputs=many)["reduction.json"]
    assert len(body) < provenance.LONGEST
    told = json.loads(body)
    assert len(told["outputs"]) + told["outputs_left_out"] == 7000
    assert told["outputs_left_out"] > 0
    assert replaying.read(body).outputs_left_out == told["outputs_left_out"]


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (["RB1510188Run75513v0e3Script.out", "RB1510188Run75513v0e3Mantid.log"], "RB1510188Run75513v0e3"),
        (["RB1510188Run75513Script.out", "RB1510188Run75513Mantid.log"], "RB1510188Run75513"),
        (["REF_L_1.nxs.h5.log", "REF_L_1.nxs.h5.err"], "REF_L_1.nxs.h5."),
        (["Script.out", "Mantid.log"], ""),
        ([], ""),
    ],
)
def test_the_stem_is_what_the_names_of_the_two_logs_have_in_common(names, stem):
    assert provenance.stem_of(names) == stem


def test_a_stem_never_makes_a_name_too_long_and_two_of_them_stay_two():
    stems = {provenance.stem_of([f"{'é' * 122}{n}S.out", f"{'é' * 122}{n}M.log"]) for n in range(3)}
    assert len(stems) == 3
    assert all(len((stem + provenance.VARIABLES).encode()) <= 255 for stem in stems)


def plan(**changes):
    fields = {
        "errand": "run", "store": "/s", "rb": "15", "n": 7, "job": "j", "host": "id", "boot": "b", "hostname": "h",
        "code_version": "1", "instrument": "ENGINX", "run": "9", "version": 2, "family": "sns",
        "box": {
            "interpreter": ["/opt/python"], "env": {"A": "1"}, "script": pack_script(SCRIPT), "script_name": "r.py",
            "mode": "program", "input_files": ["/d"], "output_slash": True, "facts": {"run_number": 9},
            "reduce_vars": VARIABLES,
        },
        "replies": {"attempt": 3},
    }  # fmt: skip
    return RunPlan(**(fields | changes))


def test_the_plan_of_a_shepherd_says_all_that_was_known_before():
    told = provenance.of_plan(plan(), Found())
    assert told == Origin(
        job="j", instrument="ENGINX", rb="15", run="9", version=2, family="sns", attempt=3, epoch=7, host="h",
        supervisor_version="1", script=SCRIPT, script_name="r.py", variables=VARIABLES, data=("/d",),
        argv=("/opt/python",), env={"A": "1"}, mode="program", facts={"run_number": 9}, output_slash=True,
    )  # fmt: skip


def test_what_was_found_on_disk_stands_above_the_plan():
    profile = Profile(name="x", argv=("/conda/python",), env={"B": "2"})
    found = Found(script=b"x = 1\n", profile=profile, defaults=b"y = 2\n")
    told = provenance.of_plan(plan(script_on_disk={"path": "/i/reduce.py"}, default_vars="/i/reduce_vars.py"), found)
    assert (told.script, told.script_from) == (b"x = 1\n", "/i/reduce.py")
    assert (told.argv, told.env) == (("/conda/python",), {"B": "2"})
    assert (told.defaults, told.defaults_from) == (b"y = 2\n", "/i/reduce_vars.py")


# --- the recorder -----------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.nxs"
    path.write_bytes(b"x" * (2 * PIECE + 1))
    return path


def made_by(recorder, ended, between=lambda: None):
    return json.loads(recorder.papers(ended, between).make(OUTPUTS)["reduction.json"])


def test_a_recorder_reads_as_long_as_it_may_and_the_rest_at_the_end(data):
    recorder = Recorder(origin(data=(str(data),)), 1 << 40)
    turns = iter([True, False])
    recorder.read_on(lambda: next(turns))
    beats = []
    told = made_by(recorder, outcome(), lambda: beats.append(1))
    assert told["data"][0]["sha256"] == sha(data.read_bytes())
    assert len(beats) == 2
    assert told["started"] <= told["ended"]
    assert told["outputs"][0]["path"] == "a.nxs"


def test_a_cancelled_run_does_not_wait_for_its_data(data):
    recorder = Recorder(origin(data=(str(data),)), 1 << 40)
    told = made_by(recorder, outcome(verdict=Verdict.cancelled))
    assert "before the run ended" in told["data"][0]["problem"]


def test_data_that_cannot_be_read_harm_no_record(tmp_path):
    recorder = Recorder(origin(data=(str(tmp_path / "gone"),)), 1 << 40)
    recorder.read_on(lambda: True)
    assert made_by(recorder, outcome())["data"] == [
        {"path": str(tmp_path / "gone"), "problem": "cannot be read: no such file or directory"}
    ]
