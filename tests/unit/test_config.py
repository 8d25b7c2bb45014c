"""The configuration: every default holds, every problem is named at once and in words an operator can act on."""

from __future__ import annotations

import argparse
import os
import stat
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opendescriptors import none_left
from pydantic import ValidationError

from sandbox.facilities import Facilities
from sandbox.limits import KEYS, GiB, Limits
from sandbox.proving import Proof
from supervisor import config, configfiles, offers
from supervisor.config import ConfigProblems, load, parse
from supervisor.configwords import sentences
from supervisor.settings import Settings
from supervisor.settings_runs import LimitOverrides
from supervisor.verbs import check_config


def problems(text):
    with pytest.raises(ConfigProblems) as caught:
        parse(text, "test.toml")
    return caught.value.problems


def problem(text):
    (only,) = problems(text)
    return only


def test_an_empty_file_has_the_defaults_of_2016():
    settings = parse("", "empty")

    assert settings == Settings()
    assert settings.queues.pending == ("/queue/ReductionPending",)
    assert (settings.queues.skipped, settings.queues.cancelled, settings.queues.cancel) == ("", "", "")
    assert settings.paths.excitation_instruments == ("LET", "MARI", "MAPS", "MERLIN", "WISH")
    assert settings.paths.ceph_instruments == ()
    assert settings.retry.delay == 21600
    assert (settings.replies.gap, settings.replies.max_bytes) == (0.2, 512 * 1024)
    assert (settings.lock.beat, settings.lock.self_kill_after, settings.lock.takeover_after) == (10, 60, 180)
    assert not settings.broker.enabled
    assert (settings.isolation.require, settings.isolation.allow_unsafe) == ("contained", False)


def test_the_default_limits_are_those_of_the_box():
    assert Settings().limits_for("GEM") == Limits()


def test_the_limits_of_the_file_are_those_of_the_box_and_no_others():
    assert tuple(LimitOverrides.model_fields) == KEYS


def test_an_instruments_limits_stand_over_the_common_ones_and_an_rbs_over_both():
    settings = parse(
        """
        [limits]
        memory = "4 GiB"
        wall = "1 h"
        processes = "none"
        [limits.instrument.engin-x]
        memory = "16 GiB"
        wall = "2 h"
        [limits.rb.rb7]
        wall = 60
        """,
        "x",
    )

    assert settings.limits_for("GEM") == Limits(memory=4 * GiB, wall=3600.0, processes=None)
    assert settings.limits_for("Engin-X") == Limits(memory=16 * GiB, wall=7200.0, processes=None)
    assert settings.limits_for("ENGIN-X", "RB7") == Limits(memory=16 * GiB, wall=60.0, processes=None)
    assert settings.limits_for("GEM", rb="RB7").wall == 60.0


def test_an_instrument_may_lift_a_common_limit():
    settings = parse('[limits]\nwall = "1 h"\n[limits.instrument.GEM]\nwall = "none"', "x")

    assert settings.limits_for("GEM").wall is None


def test_an_instrument_may_have_its_own_interpreter_and_adds_to_the_environment():
    settings = parse(
        """
        [interpreter]
        env = { A = "1", B = "2" }
        [interpreter.instrument.GEM]
        argv = ["/opt/mantid/bin/python", "-B"]
        env = { B = "3" }
        """,
        "x",
    )

    assert settings.interpreter_for("LET").argv == ("python3",)
    assert settings.interpreter_for("gem").argv == ("/opt/mantid/bin/python", "-B")
    assert settings.interpreter_for("GEM").env == {"A": "1", "B": "3"}


def test_an_instrument_may_be_disabled_in_any_letter_case():
    settings = parse('[instrument.let]\nenabled = false\nmode = "program"', "x")

    assert not settings.instrument_for("LET").enabled
    assert settings.instrument_for("LET").mode == "program"
    assert settings.instrument_for("GEM").enabled
    assert settings.instrument_for("GEM").mode == "auto"


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ('"none"', []),
        ('"stomp://h:61613"', ["stomp://h:61613"]),
        ('"stomp+ssl://h"', ["stomp+ssl://h:61614"]),
        ('["stomp+ssl://a:1", "stomp://[::1]:2/"]', ["stomp+ssl://a:1", "stomp://[::1]:2"]),
    ],
)
def test_a_broker_is_one_address_or_a_list_of_them(url, addresses):
    broker = parse(f"[broker]\nurl = {url}", "x").broker

    assert [str(address) for address in broker.addresses] == addresses
    assert broker.enabled is bool(addresses)


def test_slots_are_one_for_each_core_unless_they_are_named():
    assert Settings().host.slot_count(12) == 12
    assert Settings().host.slot_count(0) == 1
    assert parse("[host]\nslots = 3", "x").host.slot_count(12) == 3


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().lock.beat = 3.0  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("storr = 1", 'storr: unknown section; did you mean "store"?'),
        ("[lokc]", 'lokc: unknown section; did you mean "lock"?'),
        ("[lock]\nself_kil_after = 1", 'lock.self_kil_after: unknown key; did you mean "self_kill_after"?'),
        ("[limits]\nwall_time = 1", 'limits.wall_time: unknown key; did you mean "wall"?'),
        ("[limits]\nbeat = 3", 'limits.beat: unknown key; did you mean "lock.beat"?'),
        ('[broker]\ncolour = ""', "broker.colour: unknown key; there are url, user,"),
        ('[broker]\nuser-name = ""', 'broker.user-name: unknown key; did you mean "user"?'),
        ("broker = 3", "broker: 3 must be a section; write [broker] on a line of its own"),
        ('[limits]\nmemory = "8 GG"', 'limits.memory: "8 GG" is not a size; write for example "8 GiB"'),
        ("[limits]\nwall = true", "limits.wall: "),
        ("[limits]\ncpus = 0", "limits.cpus: "),
        ('[limits]\nlog = "none"', "limits.log: cannot be none"),
        ("[limits.instrument.GEM]\nfiles = 1.5", "limits.instrument.GEM.files: "),
        ('[limits.instrument."a b"]\nfiles = 1', 'limits.instrument."A B": '),
        ("[limits.instrument.GEM]\nmemery = 1", 'limits.instrument.GEM.memery: unknown key; did you mean "memory"?'),
        ('[broker]\nheartbeat = "10 parsecs"', 'broker.heartbeat: "10 parsecs" is not a time'),
        ('[broker]\nprefetch = "8"', 'broker.prefetch: "8" must be a whole number; write for example 8'),
        ("[broker]\nprefetch = true", "broker.prefetch: true must be a whole number"),
        ("[broker]\nprefetch = 0", "broker.prefetch: 0 must be at least 1"),
        ("[broker]\ntext_messages = 1", "broker.text_messages: 1 must be true or false"),
        ("[broker]\nuser = 5", "broker.user: 5 must be a text in quotes"),
        ('[broker]\nuser = "a\\nb"', "broker.user: "),
        ('[broker]\nurl = "http://h"', "broker.url: is not the address of a broker; write "),
        ('[broker]\nurl = "stomp://h:x"', "broker.url: is not the address of a broker"),
        ('[broker]\nurl = "stomp://h:0"', "broker.url: has the port 0"),
        ("[broker]\nurl = []", "broker.url: "),
        ('[broker]\nurl = ["none", "stomp://h"]', "broker.url: "),
        ('[store]\npath = "store"', 'store.path: "store" must be an absolute path'),
        ('[store]\npath = "/"', "store.path: "),
        ('[spool]\npath = "/var/../etc"', "spool.path: "),
        ('[host]\nid = "a b"', "host.id: "),
        ('[queues]\npending = ""', 'queues.pending: "" must not be empty; write for example "/queue/ReductionPending"'),
        ('[replies]\nextension = "heders"', 'replies.extension: "heders" must be "auto" or "key" or "headers" or'),
        ("[replies]\nmax_bytes = 10", "replies.max_bytes: 10 must be at least 4096"),
        ("[retry]\njitter = 2", "retry.jitter: 2 must be at most 1"),
        ("[retry]\njitter = nan", "retry.jitter: nan must be a finite number"),
        ('[lock]\nbeat = "0 s"', 'lock.beat: "0 s" must be more than 0'),
        (
            '[isolation]\nrequire = "contain"',
            'isolation.require: "contain" must be "none" or "contained" or "hostile"; did',
        ),
        ('[instrument.GEM]\nenabled = "yes"', 'instrument.GEM.enabled: "yes" must be true or false'),
        ("[instrument.GEM]\n[instrument.gem]", "instrument: names GEM twice"),
        ("[interpreter]\nargv = []", "interpreter.argv: "),
        ('[interpreter]\nargv = "python3"', 'interpreter.argv: "python3" must be a list'),
        ('[interpreter]\nenv = { AUTOREDUCE_BOX = "x" }', "interpreter.env: AUTOREDUCE_BOX is set by the box itself"),
        ('[interpreter]\nenv = { "A B" = "x" }', "interpreter.env: 'A B' is no name"),
        ("[paths]\ndata_roots = []", "paths.data_roots: [] must not be empty"),
        ('[paths]\narchive_directory = "/isis/%s/%s"', "paths.archive_directory: "),
        ('[paths]\nroot_map = [{ from = "/isis" }]', "paths.root_map.0.to: is missing; this table needs from and to"),
        ('[[paths.root_map]]\nsource = "/a"\nfrom = "/a"\nto = "/b"', "paths.root_map.0.source: unknown key"),
        ('[[paths.windows_prefixes]]\nwindows = "isis"\nlinux = "/isis"', "paths.windows_prefixes.0: windows is"),
        ("a = ", "is not valid TOML: invalid value"),
        ("[a]\n[a]", "is not valid TOML: cannot declare"),
    ],
)
def test_a_problem_names_the_key_the_value_and_what_to_write(text, expected):
    assert problem(text).startswith(expected)


def test_all_problems_are_named_at_once():
    found = problems(
        """
        [limits]
        memory = "8 GG"
        wal = 3
        [lock]
        beat = "30 s"
        takeover_after = "70 s"
        [queues]
        started = "/queue/ReductionPending"
        cancel = "/queue/ReductionPending"
        [brokr]
        """
    )

    assert [text.split(":")[0] for text in found] == [
        "queues",
        "queues",
        "limits.memory",
        "limits.wal",
        "lock",
        "lock",
        "brokr",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('beat = "25 s"', "self_kill_after (60 s) is less than three beats of 25 s"),
        ('self_kill_after = "100 s"', "takeover_after (180 s) is less than twice self_kill_after (100 s)"),
        ('takeover_after = "60 s"', "takeover_after (60 s) is less than twice self_kill_after (60 s)"),
    ],
)
def test_the_times_of_the_lock_keep_their_distance_and_the_reason_is_told(text, why):
    assert why in problem(f"[lock]\n{text}")


def test_short_times_of_the_lock_are_allowed_in_proportion():
    lock = parse('[lock]\nbeat = "200 ms"\nself_kill_after = "2 s"\ntakeover_after = "5 s"', "x").lock

    assert (lock.beat, lock.self_kill_after, lock.takeover_after) == (0.2, 2, 5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('user = "u"', "there is no password"),
        ('password_file = "/p"', "there is a password but no user"),
        ('user = "u"\npassword_file = "/p"\ncredential = "c"', "keep one"),
        ('cert_file = "/c"', "belong together"),
        ('url = "stomp://h"\nca_file = "/c"', "no address uses TLS"),
    ],
)
def test_what_contradicts_itself_about_the_broker_is_told(text, why):
    assert why in problem(f"[broker]\n{text}")


@pytest.mark.parametrize(
    "text",
    [
        'url = "stomp://u:geheim@h"',
        'password = "geheim"',
        'url = ["stomp://h", "geheim"]',
        "url = { geheim = 1 }",
        'credential = "geheim/x"',
        'pasword_file = "geheim"',
    ],
)
def test_a_secret_is_never_repeated(text):
    assert "geheim" not in problem(f"[broker]\n{text}").replace("[broker]", "")


@pytest.mark.parametrize("queue", ["started", "complete", "error", "skipped", "cancelled"])
def test_replies_cannot_go_where_runs_come_from(queue):
    assert "our own replies would come back as runs" in problem(f'[queues]\n{queue} = "/queue/ReductionPending"')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('result_roots = ["/instrument"]', "archive_directory lies below none of result_roots"),
        ('archive_directory = "/isis/{instrument}/{rb}"', "must contain {rb} and {run}"),
        ('excitation_directory = "/instrument/x"', "must contain {rb}"),
        ('root_map = [{ from = "/isis", to = "/a" }, { from = "/isis/", to = "/b" }]', 'twice under "from"'),
        ('root_map = [{ from = "/isis", to = "/a" }, { from = "/archive", to = "/a" }]', 'twice under "to"'),
    ],
)
def test_path_rules_under_which_results_would_mix_are_refused(text, why):
    assert why in problem(f"[paths]\n{text}")


def test_the_paths_of_the_file_become_rules():
    rules = parse(
        '[paths]\nceph_instruments = ["gem"]\nroot_map = [{ from = "/isis", to = "/mnt/isis" }]', "x"
    ).paths.rules()

    assert rules.ceph_instruments == {"GEM"}
    assert rules.local("/isis/x") == "/mnt/isis/x"
    assert rules.archive("/mnt/isis/x") == "/isis/x"


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters(codec="ascii")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "from", "GEM"]), inner, max_size=3)
    ),
    max_leaves=5,
)


PLACES = [
    (name, key)
    for name, field in Settings.model_fields.items()
    for key in getattr(field.annotation, "model_fields", {"GEM": None})
]


@given(st.sampled_from(PLACES), VALUES)
def test_any_value_is_taken_or_refused_in_our_own_words(place, value):
    document = {place[0]: {place[1]: value}}
    try:
        Settings.model_validate(document)
    except ValidationError as error:
        found = sentences(error, document)
    else:
        return

    assert found
    for text in found:
        assert text.startswith(place[0])
        assert "pydantic" not in text
        assert "Input should" not in text
        assert "input should" not in text
        assert "http" not in text


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    with pytest.raises(ConfigProblems, match="cannot be read: no such file or directory"):
        load(str(tmp_path / "none.toml"))


def test_a_file_that_is_no_text_is_a_problem(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"[host]\nid = '\xff'\n")

    with pytest.raises(ConfigProblems, match=r"is not UTF-8 text \(line 2\)"):
        load(str(tmp_path / "x.toml"))


def test_a_file_is_read_and_its_problems_name_it(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('[host]\nid = "gem1"\n', encoding="utf-8-sig")
    assert load(str(path)).host.id == "gem1"

    path.write_text("[hots]\n")
    with pytest.raises(ConfigProblems) as caught:
        load(str(path))
    assert str(caught.value) == f'{path}: hots: unknown section; did you mean "host"?'


def test_without_a_file_the_usual_place_is_read_and_else_the_defaults(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "DEFAULT_PATH", str(tmp_path / "supervisor.toml"))
    assert load(None) == Settings()

    (tmp_path / "supervisor.toml").write_text('[host]\nid = "gem1"\n')
    assert load(None).host.id == "gem1"


def with_password(path):
    return parse(f'[broker]\nuser = "u"\npassword_file = "{path}"', "x").broker


def test_the_password_is_the_first_line_of_its_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("geheim ü\nsecond line\n", encoding="utf-8")
    path.chmod(0o600)

    assert configfiles.password(with_password(path), {}) == "geheim ü"
    assert configfiles.password(Settings().broker, {}) == ""


def test_the_password_may_be_a_credential_of_systemd(tmp_path):
    broker = parse('[broker]\nuser = "u"\ncredential = "stomp"', "x").broker
    (tmp_path / "stomp").write_text("geheim")
    (tmp_path / "stomp").chmod(0o400)

    assert configfiles.password(broker, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "geheim"
    with pytest.raises(configfiles.PasswordError, match="LoadCredential=stomp"):
        configfiles.password(broker, {})


@pytest.mark.parametrize(
    ("body", "mode", "why"),
    [
        (b"", 0o600, "is empty"),
        (b"\nsecond", 0o600, "is empty"),
        (b"geheim", 0o644, "chmod o="),
        (b"x" * 5000, 0o600, "longer than"),
        (b"\xff", 0o600, "not UTF-8"),
        (None, 0, "no such file"),
    ],
)
def test_a_password_that_cannot_be_used_is_told_without_showing_it(tmp_path, body, mode, why):
    path = tmp_path / "password"
    if body is not None:
        path.write_bytes(body)
        path.chmod(mode)

    with pytest.raises(configfiles.PasswordError, match=why) as caught:
        configfiles.password(with_password(path), {})
    assert "geheim" not in str(caught.value)


def test_a_fifo_in_place_of_the_password_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "password", 0o600)

    with pytest.raises(configfiles.PasswordError, match="is empty"):
        configfiles.password(with_password(tmp_path / "password"), {})


def checked(path, *, no_files=False):
    return check_config.main(argparse.Namespace(config=str(path), no_files=no_files))


def test_check_config_finds_no_fault_in_a_good_file(tmp_path, capsys):
    path = tmp_path / "x.toml"
    path.write_text(f'[interpreter]\nargv = ["{sys.executable}"]\n')

    assert checked(path) == 0
    assert capsys.readouterr().out == f"{path}: no problem found\n"


def test_check_config_tries_every_interpreter_that_is_named(tmp_path, capsys):
    path = tmp_path / "x.toml"
    path.write_text(
        f"""
        [interpreter]
        argv = ["{sys.executable}"]
        conda_argv = ["/nowhere/wrap", "{{env}}"]
        software."Mantid 6.2.0".argv = ["/nowhere/python"]
        conda.sans.argv = ["/nowhere/sans"]
        instrument.GEM.env = {{ A = "1" }}
        """
    )

    assert checked(path) == 78
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "interpreter.conda_argv",
        'interpreter.software."Mantid 6.2.0".argv',
        "interpreter.conda.sans.argv",
    ]


def test_check_config_tells_a_floor_that_this_host_does_not_prove(tmp_path, capsys, monkeypatch):
    path = tmp_path / "x.toml"
    path.write_text('[isolation]\nrequire = "contained"\n')
    proof = Proof(level="none", guards={}, facilities=Facilities())
    monkeypatch.setattr(offers, "find_out_with", lambda *_: offers.Offers(proof=proof))

    assert checked(path) == 78
    assert 'isolation.require: this host proves level "none" only' in capsys.readouterr().err
    assert checked(path, no_files=True) == 0


def test_check_config_prints_every_problem_on_a_line(tmp_path, capsys):
    path = tmp_path / "x.toml"
    path.write_text('[lokc]\n[limits]\nmemory = "8 GG"\n')

    assert checked(path) == 78
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_check_config_asks_for_the_files_too(tmp_path, capsys):
    path = tmp_path / "x.toml"
    (tmp_path / "ca.pem").write_text("no certificate")
    path.write_text(
        f"""
        [broker]
        url = "stomp+ssl://h"
        user = "u"
        password_file = "{tmp_path}/none"
        ca_file = "{tmp_path}/ca.pem"
        cert_file = "{tmp_path}/cert.pem"
        key_file = "{tmp_path}/key.pem"
        [interpreter]
        argv = ["{sys.executable}"]
        [interpreter.instrument.GEM]
        argv = ["{tmp_path}/python"]
        """
    )

    assert checked(path) == 78
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in lines] == [
        "broker.password_file",
        "broker.ca_file",
        "broker.cert_file",
        "broker.key_file",
        "interpreter.instrument.GEM.argv",
    ]
    assert checked(path, no_files=True) == 0


def test_check_config_declares_what_it_takes():
    parser = argparse.ArgumentParser()
    check_config.arguments(parser)

    args = parser.parse_args(["--config", "x.toml", "--no-files"])
    assert (args.config, args.no_files) == ("x.toml", True)


def test_the_password_file_is_not_left_open(tmp_path):
    path = tmp_path / "password"
    path.write_text("x")
    path.chmod(0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with none_left():
        for _ in range(5):
            configfiles.password(with_password(path), {})
