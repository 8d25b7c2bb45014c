"""`doctor` from its command line: with and without a configuration, on hosts that lack something."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest
from embedded import Embedded
from scriptedbroker import ScriptedBroker

from sandbox import guardfacts
from sandbox.facilities import Facilities
from sandbox.guardfacts import GuardFact
from sandbox.proving import Proof
from supervisor import checkbroker, checkstore, cli, config, hostcheck, journal, offers
from supervisor.checkup import Status
from supervisor.layout import Layout
from supervisor.settings_messages import Broker


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A host without a configuration."""
    monkeypatch.setattr(config, "DEFAULT_PATH", str(tmp_path / "none.toml"))


@pytest.fixture
def say(capsys):
    def said(*words):
        code = cli.main(["doctor", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return said


@pytest.fixture
def quick(monkeypatch):
    """Prove by saying so: the boxes have tests of their own."""

    def proves(level="contained", **changes):
        guards = {name: GuardFact(name=name, in_force=True, how="cgroup-v2") for name in guardfacts.NAMES}
        proof = Proof(level=level, guards=guards, facilities=Facilities())
        found = offers.Offers(**{"level": level, "proof": proof} | changes)
        monkeypatch.setattr(offers, "find_out_with", lambda *_: found)
        return found

    return proves


def site(tmp_path, **sections):
    made = Embedded(tmp_path, **sections)
    journal.open_store(Layout(made.store), create=True)
    os.makedirs(made.path("spool"), mode=0o700)
    os.makedirs(made.run_dir, mode=0o750)
    return made


def findings(out):
    return {(each["area"], each["name"]): each for each in json.loads(out)["findings"]}


def test_without_a_configuration_the_host_and_this_python_are_looked_at(bare, say):
    code, out, err = say("--json")

    told = json.loads(out)
    assert code == 0, out
    assert err == ""
    assert told["level"] in {"contained", "hostile"}
    assert told["met"] is True
    assert {each["area"] for each in told["findings"]} == {"kernel", "guard", "interpreter", "clock"}
    assert told["guards"]["net"]["in_force"] is True
    assert told["guards"]["net"]["acts"]["connect to a port of the host"]


def test_the_last_line_says_the_level_and_whether_it_is_enough(bare, say, quick):
    quick("contained")
    code, out, _ = say()
    assert code == 0
    assert out.splitlines()[-1] == 'level contained: isolation.require = "contained" is met'
    quick("none")
    code, out, _ = say()
    assert code == 1
    assert "is not met: this host takes no run that needs it" in out.splitlines()[-1]


def test_a_host_on_which_no_interpreter_starts_fails_and_says_so(bare, say, quick):
    quick("none", proof=None, failing={"interpreter": "/none does not run scripts"})
    code, out, _ = say()
    assert code == 1
    assert "FAIL     guard all: not tried: no interpreter starts on this host" in out
    assert "FAIL     interpreter interpreter: /none does not run scripts" in out
    assert "mend: autoreduce-supervisor doctor interpreter interpreter" in out


def test_an_interpreter_may_be_named_and_one_that_is_not_there_is_a_wrong_command(bare, say, quick):
    quick()
    assert say("--python", sys.executable)[0] == 0
    code, _, err = say("--python", "/none/python")
    assert code == 2
    assert 'cannot find the interpreter "/none/python"' in err


def test_a_wrong_configuration_is_told_as_by_check_config(tmp_path, say):
    path = tmp_path / "wrong.toml"
    path.write_text("[nothing]\n")
    code, out, err = say("--config", str(path))
    assert (code, out) == (78, "")
    assert "nothing" in err


def test_a_configured_host_is_looked_at_whole(tmp_path, say, quick):
    quick()
    made = site(tmp_path)
    code, out, _ = say("--config", made.config, "--json")

    found = findings(out)
    assert code == 0, out
    for area, name in (
        ("store", made.store),
        ("store", "write"),
        ("store", "room"),
        ("lock", "flock"),
        ("clock", "store"),
        ("data", made.data),
        ("result", made.archive),
        ("spool", made.path("spool")),
        ("run", made.run_dir),
        ("broker", "none"),
    ):
        assert found[area, name]["status"] != "fail", found[area, name]


def test_what_is_not_there_is_told_with_what_mends_it(tmp_path, say, quick):
    quick(failing={"interpreter.instrument.GEM": "/gem/python does not run scripts"})
    made = site(
        tmp_path,
        paths={"data_roots": ["/none/data"], "result_roots": ["/none/archive", str(tmp_path)]},
        broker={"url": "stomp://127.0.0.1:1", "connect_timeout": "2 s"},
        service={"user": "nobody-of-this-name"},
    )
    code, out, _ = say("--config", made.config, "--json")

    found = findings(out)
    assert code == 1
    assert found["data", "/none/data"]["status"] == "fail"
    assert found["result", "/none/archive"]["status"] == "caution"
    assert found["result", str(tmp_path)]["status"] == "pass"
    assert found["broker", "stomp://127.0.0.1:1"]["status"] == "fail"
    assert "Connection refused" in found["broker", "stomp://127.0.0.1:1"]["text"]
    assert found["interpreter", "interpreter.instrument.GEM"]["status"] == "fail"
    assert found["user", "nobody-of-this-name"]["status"] == "fail"


def test_a_store_that_hangs_is_told_and_all_else_goes_on(tmp_path, quick, monkeypatch):
    quick()
    made = site(tmp_path)
    monkeypatch.setattr(checkstore, "findings", lambda *_, **__: signal.pause())

    report = hostcheck.check(made.settings(), (), {}, configured=True, patience=2)

    found = {(each.area, each.name): each for each in report.findings}
    assert report.exit_status == 1
    assert "does not answer within 2 s" in found["store", made.store].text
    assert found["data", made.data].status is Status.PASS


def broker_of(port, **changes):
    return Broker(url=f"stomp://127.0.0.1:{port}", connect_timeout="5 s", **{"kind": "classic", **changes})


def logs_in(conversation):
    conversation.welcome(beats="1000,1000")
    conversation.confirm(conversation.read("DISCONNECT"))
    conversation.until_closed()


def test_a_broker_is_logged_in_at_and_left_without_a_subscription(tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    with ScriptedBroker(logs_in) as broker:
        (found,) = checkbroker.findings(broker_of(broker.port, user="auto", password_file=str(password)), {})
    assert found.status is Status.PASS, found
    assert found.text == "scripted/1 (ActiveMQ Classic, a window of 8 messages), logged in as auto, in clear text"


def test_a_broker_of_a_kind_that_nobody_knows_is_a_caution():
    with ScriptedBroker(logs_in) as broker:
        (found,) = checkbroker.findings(broker_of(broker.port, kind="auto"), {})
    assert found.status is Status.CAUTION
    assert 'calls itself "scripted/1": a message may come again under another message-id' in found.text
    assert "broker.kind" in found.text


def test_a_broker_without_heart_beats_is_a_caution():
    def mute(conversation):
        conversation.welcome()
        conversation.confirm(conversation.read("DISCONNECT"))
        conversation.until_closed()

    with ScriptedBroker(mute) as broker:
        (found,) = checkbroker.findings(broker_of(broker.port), {})
    assert found.status is Status.CAUTION
    assert "heart-beats" in found.text


def test_a_refused_login_says_so_and_tells_no_password(tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)

    def refuses(conversation):
        conversation.read("CONNECT")
        conversation.write("ERROR", b"User name [auto] or password [secret] is invalid", message="no")

    with ScriptedBroker(refuses) as broker:
        (found,) = checkbroker.findings(broker_of(broker.port, user="auto", password_file=str(password)), {})
    assert found.status is Status.FAIL
    assert "secret" not in found.text


def test_a_password_that_everybody_reads_fails_before_anything_is_sent(tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o644)
    (found,) = checkbroker.findings(broker_of(1, user="auto", password_file=str(password)), {})
    assert (found.name, found.status) == ("password", Status.FAIL)
    assert "chmod o=" in found.text


def test_an_interpreter_is_explained_tried_and_written_down(bare, say):
    code, out, _ = say("interpreter", sys.executable, "--import", "json", "--json")
    told = json.loads(out)
    assert code == 0, out
    assert told["works"] is True
    assert told["chain"][0] == sys.executable
    assert told["base_prefix"] == sys.base_prefix
    assert told["level"] in {"contained", "hostile"}
    assert told["toml"].splitlines()[:2] == ["[interpreter]", f'argv = ["{sys.executable}"]']


def test_an_interpreter_that_needs_what_is_not_shown_fails_with_what_to_write(bare, say, tmp_path):
    licence = tmp_path / "licence"
    licence.write_text("x")
    wrapper = tmp_path / "bin/python"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"#!/bin/sh\n[ -e {licence} ] || {{ echo \"No such file or directory: '{licence}'\" >&2; exit 3; }}\n"
        f'exec "{sys.executable}" "$@"\n'
    )
    wrapper.chmod(0o755)
    code, out, _ = say("interpreter", str(wrapper))
    assert code == 1
    assert f"starts   NO: {wrapper} does not start behind the tree of a box" in out
    assert f"mend     add {licence}, or the folder it lies in, to bind" in out

    path = tmp_path / "site.toml"
    path.write_text(f'[interpreter]\nargv = ["{wrapper}"]\nbind = ["{licence}"]\n')
    code, out, _ = say("interpreter", "--config", str(path))
    assert code == 0, out
    assert f'bind = ["{licence}"]' in out


def test_a_program_that_is_none_is_told_without_a_traceback(bare, say):
    code, out, err = say("interpreter", "/none/python")
    assert code == 1
    assert "starts   NO: /none/python does not run scripts" in out
    assert err == ""
