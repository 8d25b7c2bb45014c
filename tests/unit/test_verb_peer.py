"""`doctor --peer` from its command line: two processes of the command on one store."""

from __future__ import annotations

import json
import subprocess

import pytest
from embedded import Embedded
from injectedmount import MountedElsewhere
from storemaking import make_store

from supervisor import cli

pytestmark = pytest.mark.timeout(200)
QUICK = ("--cells", "5", "--wait", "60")


@pytest.fixture
def begin():
    """`begin(site, words...)` starts a probe of a site; it is ended with the test."""
    made = []

    def start(site, *words):
        made.append(
            subprocess.Popen(
                site.command("doctor", "--peer", *words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=site.folder,
            )
        )
        return made[-1]

    yield start
    for each in made:
        if each.poll() is None:
            each.kill()
        each.communicate()


def test_two_on_one_machine_are_tried_and_prove_nothing(tmp_path, begin):
    site = Embedded(tmp_path)
    both = [begin(site, *QUICK, "--same-machine", *words) for words in (["--json"], [])]
    (out, err), (text, _) = (each.communicate(timeout=150) for each in both)
    assert [each.returncode for each in both] == [0, 0], (out, err, text)
    told = json.loads(out)
    assert (told["status"], told["same_machine"]) == ("caution", True)
    assert "waiting up to 60 s for another host" in err
    assert "step race took" in err
    last = text.splitlines()[-1]
    assert last.startswith("CAUTION: ")
    assert last.endswith(f"one machine, which proves nothing of others; recorded as {told['name']}")
    assert "PASS     many locks: 200 holds of 4 locks" in text


def test_a_store_that_no_other_host_can_see_is_told_at_once(tmp_path, capsys):
    site = Embedded(tmp_path)
    assert cli.main(["doctor", "--peer", "--config", site.config]) == 1
    told = capsys.readouterr()
    assert "which no other host can see" in told.err
    assert "--same-machine" in told.err


def test_nobody_comes_and_the_command_to_say_there_is_told(tmp_path, begin):
    site = MountedElsewhere(tmp_path)
    make_store(tmp_path)
    probe = begin(site, "--wait", "0.5", "--json")
    out, err = probe.communicate(timeout=100)
    assert probe.returncode == 70
    assert "nobody came within 0.5 s: run `autoreduce-supervisor doctor --peer` on another host of the fleet" in err
    assert json.loads(out) == {"status": "fail", "problem": err.splitlines()[-1].removeprefix("cannot probe: ")}


def test_two_probes_of_one_machine_are_refused_without_the_word_for_it(tmp_path, begin):
    site = MountedElsewhere(tmp_path)
    make_store(tmp_path)
    both = [begin(site, "--wait", "12") for _ in range(2)]
    said = [each.communicate(timeout=150)[1] for each in both]
    assert sorted(each.returncode for each in both) == [1, 70], said
    assert sum("another probe waits on this very machine" in each for each in said) == 1
    assert sum("nobody came" in each for each in said) == 1


@pytest.mark.parametrize("words", [["--cells", "0"], ["--cells", "x"], ["--cells", "100001"], ["--wait", "x"]])
def test_a_wrong_number_is_a_wrong_command(words, capsys):
    assert cli.main(["doctor", "--peer", *words]) == 2
    assert "invalid" in capsys.readouterr().err
