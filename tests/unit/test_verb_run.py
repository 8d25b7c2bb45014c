"""The verb `run` before and after its box: what it is told, what it shows, and how results come into place."""

from __future__ import annotations

import io
import os

import pytest

from sandbox.copyout import OutputRejected, inspect
from sandbox.limits import GiB, LimitError, Limits, MiB
from supervisor import cli, config, localvars, terminal
from supervisor.localfiles import Destination
from supervisor.localrun import DataName, name_of
from supervisor.verbs import run


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "reduce.py"
    path.write_text("def main(input_file, output_dir):\n    return ''\n")
    return str(path)


def asked(script, *more):
    return ["run", script, "data.nxs", "--out", "never-made", *more]


# --- what it is told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "instrument", "number"),
    [
        ("/isis/ENGINX00241391.nxs", "ENGINX", "00241391"),
        ("PLP0016596.nx.hdf", "PLP", "0016596"),
        ("hifi_84448.nxs", "HIFI", "84448"),
        ("12.nxs", "", "12"),
        ("/data/calibration.nxs", "", ""),
    ],
)
def test_the_name_of_a_data_file_says_instrument_and_run(path, instrument, number):
    assert name_of(path) == DataName(instrument, number)


def test_a_level_that_is_not_to_be_had_ends_in_77_with_a_sentence(script, tmp_path, monkeypatch, capsys):
    from supervisor import localwalls
    from supervisor.offers import Offers

    monkeypatch.setattr(localwalls.offers, "find_out_with", lambda profiles, spool: Offers(level="contained"))
    config = tmp_path / "supervisor.toml"
    config.write_text('[isolation]\nrequire = "hostile"\n')
    told = 'isolation "hostile" cannot be had: this host proves "contained" only; '
    for asking in (["--isolation", "hostile"], ["--config", str(config)]):
        assert cli.main(asked(script, *asking)) == 77
        assert capsys.readouterr().err.startswith(told)


def test_a_configuration_that_cannot_be_read_ends_in_78(script, tmp_path, capsys):
    assert cli.main(asked(script, "--config", str(tmp_path / "absent.toml"))) == 78
    assert "absent.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit", "wal=3 s"], 'did you mean "wall"?'),
        (["--limit", "memory"], 'limit "memory" has no value'),
        (["--python", "no-such-python"], 'cannot find the interpreter "no-such-python"'),
        (["--vars", "absent.json"], 'cannot read variables "absent.json"'),
        (["--json", "no/such/folder/o.json"], 'cannot write "no/such/folder/o.json"'),
        (["--mode", "sideways"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_ends_in_2_and_names_what_is_wrong(script, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.toml").write_text('[broker]\nurl = "none"\n')
    assert cli.main(asked(script, "--config", "site.toml", *words)) == 2
    assert said in capsys.readouterr().err
    assert not os.path.exists("never-made")


def test_a_script_that_is_not_there_ends_in_2(tmp_path, capsys):
    (tmp_path / "site.toml").write_text('[broker]\nurl = "none"\n')
    assert cli.main(asked(str(tmp_path / "absent.py"), "--config", str(tmp_path / "site.toml"))) == 2
    assert "cannot read script" in capsys.readouterr().err


def test_limits_of_the_command_line_stand_above_those_of_the_site():
    base = Limits(memory=GiB, wall=60.0)
    limits = run.limits_from(["memory=512 MiB", " cpu = none"], base)
    assert (limits.memory, limits.wall, limits.cpu) == (512 * MiB, 60.0, None)
    with pytest.raises(LimitError, match="memory"):
        run.limits_from(["memory=much"], base)


def test_without_python_the_configurations_interpreter_is_taken_and_else_that_of_this_command(tmp_path):
    import sys

    def settings(text):
        path = tmp_path / "site.toml"
        path.write_text('[broker]\nurl = "none"\n' + text)
        return config.load(str(path))

    assert run._interpreter(None, settings(""), "DEMO") == (sys.executable,)
    common = '[interpreter]\nargv = ["/usr/bin/python3", "-u"]\n'
    assert run._interpreter(None, settings(common), "DEMO") == ("/usr/bin/python3", "-u")
    own = common + '[interpreter.instrument.DEMO]\nargv = ["/opt/mantid/python"]\n'
    assert run._interpreter(None, settings(own), "DEMO") == ("/opt/mantid/python",)
    assert run._interpreter("sh", settings(own), "DEMO")[0].startswith("/")


# --- variables --------------------------------------------------------------------------------------------------------


def test_variables_are_taken_as_a_message_has_them_bare_or_in_a_whole_message():
    groups = {"standard_vars": {"d min": 1.5}, "advanced_vars": {}}
    assert localvars.decode(b'{"standard_vars": {"d min": 1.5}, "advanced_vars": {}}', "v.json") == groups
    assert localvars.decode(b'{"run_number": 1, "reduction_arguments": {"standard_vars": {}}}', "v") == {
        "standard_vars": {}
    }
    assert localvars.decode(b"{}", "v.json") == {}


@pytest.mark.parametrize(
    "body", [b"[1]", b"{", b'{"a": 1}', b'{"standard_vars": 3}', b'{"standard_vars": {"a": NaN}}', b"\xff"]
)
def test_variables_of_another_shape_are_refused_by_the_name_of_their_file(body):
    with pytest.raises(localvars.BadVars, match=r'cannot use variables "v\.json": .*; write '):
        localvars.decode(body, "v.json")


def test_a_python_file_of_variables_is_only_named_and_never_run_here(tmp_path):
    marker = tmp_path / "was_run"
    named = tmp_path / "other_vars.py"
    named.write_text(f"open({str(marker)!r}, 'w')\n")
    script = str(tmp_path / "reduce.py")
    assert localvars.read(str(named), script) == localvars.Variables(defaults=str(named))
    assert localvars.read(None, script) == localvars.Variables()
    beside = tmp_path / "reduce_vars.py"
    beside.write_text(f"open({str(marker)!r}, 'w')\n")
    assert localvars.read(None, script).defaults == str(beside)
    values = tmp_path / "v.json"
    values.write_text('{"standard_vars": {"a": 1}}')
    both = localvars.read(str(values), script)
    assert (both.values, both.defaults) == ({"standard_vars": {"a": 1}}, str(beside))
    assert not marker.exists()


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_a_measure_is_shown_in_the_unit_of_its_limit():
    assert terminal.of_limit(7.6 * GiB, 8 * GiB) == "7.6 of 8 GiB"
    assert terminal.of_limit(100 * MiB, 400 * MiB) == "100 of 400 MiB"
    assert terminal.of_limit(100 * MiB, None) == "100.0 MiB"
    assert terminal.progress_line(212.4, 198.0, 7.6 * GiB, 3, 8 * GiB) == "212 s  cpu 198 s  mem 7.6 of 8 GiB  procs 3"


def test_a_curve_keeps_its_peaks_and_shows_what_is_not_nothing():
    assert terminal.curve([], 1.0) == ""
    assert terminal.curve([0.0, 0.001, 0.5, 1.0], 1.0) == " ▁▄█"
    drawn = terminal.curve([0.0] * 50 + [1.0] + [0.0] * 149, 1.0, width=10)
    assert len(drawn) == 10
    assert drawn.count("█") == 1


def test_a_strangers_text_can_move_no_cursor():
    assert terminal.printable("one\n\ttwo\x1b[2J\u202e") == "one\n        two\\x1b[2J\\u202e"


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_live_line_replaces_itself_on_a_terminal_and_goes_away(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    stream = _Terminal()
    line = terminal.LiveLine(stream)
    assert not line.is_due()
    now[0] += 0.25
    assert line.is_due()
    line.show("1 s")
    line.clear()
    line.clear()
    assert stream.getvalue() == "\r  1 s\x1b[K\r\x1b[K"


def test_where_nobody_watches_lines_are_plain_and_ever_rarer(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    line = terminal.LiveLine(stream)
    shown = []
    for second in range(1, 101):
        now[0] = float(second)
        if line.is_due():
            line.show(f"{second} s")
            shown.append(second)
    line.clear()
    assert shown == [10, 30, 70]
    assert stream.getvalue() == "  10 s\n  30 s\n  70 s\n"


# --- results into place -----------------------------------------------------------------------------------------------


class _Made:
    """Results as a script left them, and a place for them."""

    def __init__(self, folder, **files):
        self.source = os.path.join(folder, "made")
        self.out = os.path.join(folder, "results")
        for name, text in files.items():
            path = os.path.join(self.source, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def file(self, logs=None):
        destination = Destination(self.out)
        fd = os.open(self.source, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return destination.file_results(inspect(fd, Limits()), fd, logs or {"Script.out": b"said\n"})
        finally:
            os.close(fd)
            destination.close()

    def there(self):
        found = {}
        for folder, _, names in os.walk(self.out):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    found[os.path.relpath(path, self.out)] = "-> " + os.readlink(path)
                    continue
                with open(path, encoding="utf-8") as file:
                    found[os.path.relpath(path, self.out)] = file.read()
        return found

    def before(self, **files):
        for name, text in files.items():
            path = os.path.join(self.out, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def test_results_replace_their_namesakes_and_leave_what_else_is_there(tmp_path):
    made = _Made(str(tmp_path), **{"a.dat": "new", "sub/b.dat": "b"})
    made.before(**{"a.dat": "old", "mine.txt": "mine", "sub/c.dat": "c"})
    outputs = made.file()
    assert [output.path for output in outputs] == ["a.dat", "sub/b.dat"]
    assert made.there() == {
        "a.dat": "new", "mine.txt": "mine", "sub/b.dat": "b", "sub/c.dat": "c", "reduction_log/Script.out": "said\n",
    }  # fmt: skip


def test_a_result_that_cannot_go_into_its_place_changes_nothing(tmp_path):
    made = _Made(str(tmp_path), **{"a.dat": "new", "b.dat": "new"})
    made.before(**{"a.dat": "old", "b.dat/inside": "kept"})
    before = made.there()
    with pytest.raises(IsADirectoryError):
        made.file()
    assert made.there() == before


def test_a_link_in_the_results_folder_is_replaced_and_never_written_through(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    made = _Made(str(tmp_path), **{"a.dat": "new", "sub/b.dat": "b"})
    os.makedirs(made.out)
    os.symlink(elsewhere, os.path.join(made.out, "a.dat"))
    made.file()
    assert elsewhere.read_text() == "precious"
    assert made.there()["a.dat"] == "new"


def test_a_linked_folder_among_the_results_is_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = _Made(str(tmp_path), **{"sub/b.dat": "b"})
    os.makedirs(made.out)
    os.symlink(elsewhere, os.path.join(made.out, "sub"))
    with pytest.raises(NotADirectoryError):
        made.file()
    assert os.listdir(elsewhere) == []


def test_a_result_named_like_the_log_folder_is_rejected(tmp_path):
    made = _Made(str(tmp_path), reduction_log="mine")
    with pytest.raises(OutputRejected, match="reduction_log"):
        made.file()
    assert made.there() == {}


def test_a_log_that_the_script_wrote_gives_way_to_ours(tmp_path):
    made = _Made(str(tmp_path), **{"reduction_log/Script.out": "forged", "reduction_log/more.log": "more"})
    outputs = made.file()
    assert [output.path for output in outputs] == ["reduction_log/more.log"]
    assert made.there() == {"reduction_log/Script.out": "said\n", "reduction_log/more.log": "more"}
