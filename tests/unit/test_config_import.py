"""`config import`: the old workers' files become a configuration that works, and no password gets into it."""

from __future__ import annotations

import json
import os
import stat
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oldworkers import ISIS, SNS

from sandbox.limits import GiB, MiB
from supervisor import cli, configfiles, configimport
from supervisor.config import parse
from supervisor.configimport import ImportProblems, convert, family_of, read_old
from supervisor.settings import Settings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def converted(old, family=None, **more):
    more = {"name": "old.conf", "total_memory": 64 * GiB, **more}
    return convert(old, family or family_of(old), **more)


def problems(old, family):
    with pytest.raises(ImportProblems) as caught:
        converted(old, family)
    return caught.value.problems


def test_the_file_that_2016_shipped_gives_a_configuration_that_works():
    made = converted(ISIS)
    settings = parse(made.text, "made")

    assert made.family == "isis2016"
    assert [str(address) for address in settings.broker.addresses] == ["stomp+ssl://localhost:61613"]
    assert (settings.broker.user, settings.broker.password_file) == ("autoreduce", "/etc/autoreduce/password")
    assert settings.retry.by == "producer"
    assert settings.retry.delay == 21600
    own = Settings()
    assert settings.queues == own.queues
    assert settings.paths == own.paths
    assert settings.limits_for("GEM") == own.limits_for("GEM")


def test_nothing_but_the_files_of_this_host_is_missing_then():
    settings = parse(converted(ISIS).text, "made")

    found = configfiles.problems(settings, {})

    assert {text.split(":")[0] for text in found} <= {"broker.password_file", "interpreter.argv"}


def test_each_key_says_where_it_comes_from_and_what_was_left_out_says_why():
    text = converted(ISIS).text

    assert text.startswith("# Configuration of autoreduce-supervisor, converted from old.conf (isis2016).\n")
    assert "# From amq_queues.\npending = " in text
    assert 'Clear text is "stomp://localhost:61613"' in text
    assert "# From archive_directory; each %s has its name.\narchive_directory = " in text
    assert text.endswith(
        "# Keys of the old file that were not taken over:\n"
        "# postprocess_error: messages that cannot be read are answered on queues.error.\n"
    )


def test_what_a_site_changed_is_taken_over():
    settings = parse(
        converted(
            {
                **ISIS,
                "brokers": "mq.example:61614",
                "amq_queues": ["/queue/A", "/queue/B"],
                "temp_root_directory": "/scratch/",
                "archive_directory": "/data/%s/%s/100%%/%s/%s",
                "ceph_directory": "/ceph/%s/RB%s/%s",
                "ceph_instruments": ["gem"],
                "excitation_instruments": [],
            }
        ).text,
        "made",
    )

    assert settings.broker.addresses[0].port == 61614
    assert tuple(settings.queues.pending) == ("/queue/A", "/queue/B")
    assert settings.paths.archive_directory == "/data/{instrument}/{cycle}/100%/{rb}/{run}"
    assert settings.paths.ceph_directory == "/ceph/{instrument}/RB{rb}/{run}"
    assert settings.paths.excitation_directory == "/ceph/{instrument}/RB{rb}/"
    assert (settings.paths.ceph_instruments, settings.paths.excitation_instruments) == (("GEM",), ())
    assert settings.paths.windows_prefixes[1].windows == "\\\\autoreduce\\data\\"
    assert settings.paths.windows_prefixes[1].linux == "/scratch/data"
    assert "/scratch/data" in settings.paths.data_roots
    assert "/autoreducetmp/data" not in settings.paths.data_roots
    assert {"/data", "/ceph"} < set(settings.paths.result_roots)


def test_a_file_without_a_login_or_without_optional_keys_is_enough():
    made = converted({"brokers": "h:1", "amq_queues": ["/queue/A"], "amq_user": "", "amq_pwd": "geheim"})

    assert made.password == ""
    assert parse(made.text, "made").broker.user == ""
    assert ("amq_pwd", "there is no amq_user that it belongs to") in made.left_out


def test_a_user_without_a_password_is_told_where_to_write_it():
    made = converted({"brokers": "h:1", "amq_queues": ["/queue/A"], "amq_user": "u"})

    assert made.password == ""
    assert "write the password into this file" in made.text


@pytest.mark.parametrize("old", [ISIS, SNS], ids=["isis", "sns"])
def test_the_password_is_handed_over_and_stands_nowhere_in_the_text(old):
    made = converted(old, password_file="/run/secret/stomp")

    assert made.password == old["amq_pwd"]
    assert "geheim" not in made.text
    assert "geheim" not in str(made.left_out)
    assert parse(made.text, "made").broker.password_file == "/run/secret/stomp"


def test_the_file_of_sns_gives_a_configuration_that_works():
    made = converted(SNS)
    settings = parse(made.text, "made")

    assert made.family == "sns"
    assert [str(address) for address in settings.broker.addresses] == ["stomp://broker1:61613", "stomp://broker2:61613"]
    assert tuple(settings.queues.pending) == ("/queue/REDUCTION.DATA_READY", "/queue/REDUCTION.HIMEM.DATA_READY")
    sns = settings.queues.sns
    assert [sns.started, sns.complete, sns.error, sns.disabled] == [
        f"/queue/REDUCTION.{name}" for name in ("STARTED", "COMPLETE", "ERROR", "DISABLED")
    ]
    assert settings.limits_for("EQSANS").memory == 16 * GiB
    assert settings.limits_for("EQSANS").wall == 90 * 60
    assert settings.host.slots == 4
    assert settings.interpreter_for("EQSANS").argv == ("python3", "-B")
    assert settings.service.log == "/var/log/SNS_applications/postprocessing.log"
    assert settings.retry.by == "supervisor"


def test_every_key_of_sns_is_taken_over_or_left_out_with_a_reason():
    made = converted(SNS)
    left = dict(made.left_out)

    assert left["colour"] == "is no key of the old worker"
    assert all(len(why) > 10 for why in left.values())
    for key in SNS:
        assert key in left or f"rom {key}" in made.text, key
    assert "# colour: is no key of the old worker.\n" in made.text


def test_heartbeats_and_pings_of_sns_go_on_where_they_went():
    queues = parse(converted(SNS).text, "made").queues
    assert queues.heartbeat == "/topic/SNS.COMMON.STATUS.POSTPROCESS.0"
    assert queues.ping == "/topic/SNS.COMMON.STATUS.PING"

    named = parse(converted({**SNS, "heart_beat": "BEAT", "heartbeat_ping": "/topic/P"}).text, "made").queues
    assert (named.heartbeat, named.ping) == ("/queue/BEAT", "/topic/P")


def test_defaults_of_the_old_worker_are_written_down_where_ours_differ():
    made = converted({"brokers": [["h", 1]], "heart_beat": "/topic/X"}, total_memory=10_000 * MiB)
    settings = parse(made.text, "made")

    assert settings.limits_for("X").memory == 7000 * MiB
    assert settings.limits_for("X").wall == 3600
    assert settings.host.slots == 5
    assert "The old default of max_procs." in made.text


def test_the_conda_wrapper_of_sns_is_asked_for_by_our_own_key():
    made = converted({**SNS, "python_exec": "python3 /opt/postprocessing/scripts/mantidpython.py"})

    assert parse(made.text, "made").interpreter.conda_argv[1:] == ("{env}", "--classic")


def test_half_minutes_and_names_with_a_prefix_are_kept():
    made = converted({**SNS, "task_time_limit_minutes": 0.5, "reduction_started": "/topic/STARTED"})
    settings = parse(made.text, "made")

    assert settings.limits_for("X").wall == 30
    assert settings.queues.sns.started == "/topic/STARTED"


@pytest.mark.parametrize(
    ("family", "change", "expected"),
    [
        ("isis2016", {"brokers": 5}, "brokers: 5 must be a text"),
        ("isis2016", {"brokers": None}, "brokers: is missing"),
        ("isis2016", {"brokers": "localhost"}, 'brokers: "localhost" is not one host:port'),
        ("isis2016", {"brokers": "a:1,b:2"}, 'brokers: "a:1,b:2" is not one host:port'),
        ("isis2016", {"amq_queues": "/queue/A"}, 'amq_queues: "/queue/A" must be a list of texts'),
        ("isis2016", {"amq_queues": []}, "amq_queues: a list must not be empty"),
        ("isis2016", {"amq_pwd": 5}, "amq_pwd: must be a text"),
        ("isis2016", {"amq_pwd": "a\nb"}, "amq_pwd: must be a text on one line"),
        ("isis2016", {"archive_directory": "/isis/%s/%s"}, 'archive_directory: "/isis/%s/%s" must have %s 4 times'),
        ("isis2016", {"archive_directory": "/isis/%d/%s/%s/%s"}, "archive_directory: "),
        ("isis2016", {"archive_directory": "isis/%s/%s/%s/%s"}, "archive_directory: "),
        ("isis2016", {"temp_root_directory": "tmp"}, 'temp_root_directory: "tmp" must be an absolute path'),
        ("isis2016", {"ceph_instruments": [1]}, "ceph_instruments: a list must be a list of texts"),
        ("isis2016", {"ceph_instruments": ["a b"]}, "the converted configuration: paths.ceph_instruments.0: "),
        ("isis2016", {"reduction_started": ""}, 'reduction_started: "" must be a text on one line that is not'),
        ("isis2016", {"reduction_error": "/queue/ReductionPending"}, "the converted configuration: queues: error is"),
        ("sns", {"brokers": "h:1"}, 'brokers: "h:1" must be a list of host and port'),
        ("sns", {"brokers": [["h"]]}, "brokers: a list must be a list of host and port"),
        ("sns", {"brokers": [["h", True]]}, "brokers: a list must be"),
        ("sns", {"brokers": [["h", 99999]]}, "brokers: a list must be"),
        ("sns", {"max_procs": 0}, "max_procs: 0 must be a whole number above 0, at most 10000; write for example 5"),
        ("sns", {"max_procs": 1.5}, "max_procs: 1.5 must be"),
        ("sns", {"max_procs": True}, "max_procs: true must be"),
        ("sns", {"system_mem_limit_perc": 130}, "system_mem_limit_perc: 130 must be a number above 0, at most 100"),
        ("sns", {"system_mem_limit_perc": 10**300}, "system_mem_limit_perc: so large a number must be"),
        ("sns", {"task_time_limit_minutes": "60"}, 'task_time_limit_minutes: "60" must be a number'),
        ("sns", {"python_exec": "python3 'x"}, 'python_exec: "python3 \'x" must be a program'),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_key_value_and_remedy(family, change, expected):
    (only,) = problems({**(ISIS if family == "isis2016" else SNS), **change}, family)

    assert only.startswith(expected)
    assert "write" in only or "use letters" in only


def test_the_guide_shows_what_is_really_made():
    with open(os.path.join(ROOT, "docs", "how-to", "configure.md"), encoding="utf-8") as file:
        blocks = [block.partition("```")[0] for block in file.read().split("```toml\n")[1:]]
    made = converted(ISIS, name="post_process_consumer.conf").text

    shown = [block for block in blocks if "From brokers" in block or "producer" in block]
    assert len(shown) == 2
    assert made.startswith(shown[0])
    assert made.endswith(shown[1])


def test_all_problems_are_told_at_once():
    found = problems({**ISIS, "brokers": "x", "ceph_directory": "/%s", "amq_queues": 3}, "isis2016")

    assert [text.split(":")[0] for text in found] == ["brokers", "amq_queues", "ceph_directory"]


def test_whose_file_it_is_is_told_by_its_keys():
    assert family_of(ISIS) == "isis2016"
    assert family_of(SNS) == "sns"
    with pytest.raises(ImportProblems, match="write --family isis2016 or --family sns"):
        family_of({"brokers": "h:1"})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff{}", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"brokers = 3"])
def test_what_is_no_json_object_is_told(body):
    with pytest.raises(ImportProblems, match="an old configuration is one JSON object"):
        read_old(body)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("/%s/%s/%s"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.sampled_from(["isis2016", "sns"]),
    st.dictionaries(st.sampled_from(sorted({*ISIS, *SNS})) | st.text(max_size=5), JUNK, max_size=4),
)
def test_any_old_file_is_converted_into_what_loads_or_told_in_sentences(family, change):
    old = {**(ISIS if family == "isis2016" else SNS), **change}
    try:
        made = converted(old, family)
    except ImportProblems:
        return
    parse(made.text, "made")
    assert "geheim" not in made.text


@pytest.fixture
def say(tmp_path, capsys):
    old = tmp_path / "post_process_consumer.conf"
    old.write_text(json.dumps(ISIS))

    def said(*words):
        code = cli.main(["config", "import", str(old), *words])
        told = capsys.readouterr()
        assert "geheim" not in told.out + told.err
        return code, told.out, told.err

    said.old = old
    said.folder = tmp_path
    return said


def test_the_verb_prints_the_result_and_says_that_the_password_is_still_to_be_written(say):
    code, out, err = say()

    assert code == 0
    assert parse(out, "out").broker.user == "autoreduce"
    assert "the password was not taken over: write it into /etc/autoreduce/password" in err
    assert "1 key was not taken over" in err


def test_the_verb_writes_the_result_and_the_password_each_into_a_file_of_its_own(say):
    out, secret = say.folder / "supervisor.toml", say.folder / "password"

    code, printed, err = say("--out", str(out), "--password-file", str(secret))

    assert (code, printed) == (0, "")
    settings = parse(out.read_text(), "out")
    assert settings.broker.password_file == str(secret)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(out.stat().st_mode) & 0o137 == 0
    assert configfiles.password(settings.broker, {}) == ISIS["amq_pwd"]
    assert "geheim" not in out.read_text()
    assert str(out) in err


def test_check_config_passes_on_the_result(say, capsys):
    out, secret = say.folder / "supervisor.toml", say.folder / "password"
    assert say("--out", str(out), "--password-file", str(secret))[0] == 0

    assert cli.main(["check-config", "--config", str(out)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("which", ["out", "password"])
def test_a_file_that_is_there_is_never_written_over(say, which):
    paths = {"out": say.folder / "supervisor.toml", "password": say.folder / "password"}
    paths[which].write_text("mine")

    code, printed, err = say("--out", str(paths["out"]), "--password-file", str(paths["password"]))

    assert (code, printed) == (2, "")
    assert "file exists; nothing was written" in err
    assert paths[which].read_text() == "mine"
    assert sorted(os.listdir(say.folder)) == sorted([say.old.name, paths[which].name])


def test_a_link_in_place_of_the_password_is_not_followed(say):
    os.symlink(say.folder / "elsewhere", say.folder / "password")

    assert say("--password-file", str(say.folder / "password"))[0] == 2
    assert not (say.folder / "elsewhere").exists()


def test_the_memory_of_the_host_can_be_named(say):
    say.old.write_text(json.dumps(SNS))

    code, out, _ = say("--total-memory", "40 GiB")

    assert code == 0
    assert parse(out, "out").limits_for("X").memory == 10 * GiB
    assert say()[0] == 0
    assert say("--total-memory", "much")[0] == 2


def test_a_family_that_is_named_is_not_guessed(say):
    say.old.write_text(json.dumps({"brokers": "h:1"}))

    assert "write --family" in say()[2]
    code, out, _ = say("--family", "isis2016")
    assert code == 0
    assert tomllib.loads(out)["broker"]["url"] == "stomp+ssl://h:1"


def test_faults_of_the_old_file_are_told_on_lines_of_their_own(say):
    say.old.write_text(json.dumps({**ISIS, "brokers": "x", "amq_queues": 3}))

    code, out, err = say()

    assert (code, out) == (78, "")
    assert [line.removeprefix(f"{say.old}: ").split(":")[0] for line in err.splitlines()] == ["brokers", "amq_queues"]


def test_an_old_file_that_is_not_there_or_endless_is_told(say):
    say.old.unlink()
    assert "cannot be read: no such file" in say()[2]

    say.old.write_text(" " * 2**21)
    assert say()[0] == 78


def test_no_password_means_no_password_file(say):
    say.old.write_text(json.dumps({**ISIS, "amq_user": ""}))
    path = say.folder / "password"

    code, _, err = say("--password-file", str(path))

    assert code == 0
    assert "was not written" in err
    assert not path.exists()
    assert configimport.PASSWORD_FILE not in err
