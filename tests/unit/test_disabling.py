"""An instrument is disabled by one record in the store, told by its name, and looked up afresh."""

from __future__ import annotations

import json

import pytest
from embedded import Embedded
from storemaking import make_store, request

from supervisor import cli, config, disabling, durable, journal, polled, waiting
from supervisor.disabling import Disabled, DisabledInstruments
from supervisor.hostfacts import HostFacts
from supervisor.offers import Offers
from supervisor.order import Head
from supervisor.storepoller import Poller

WORD = Disabled(instrument="HIFI", who="operator anna", time=1_700_000_000.0, said_on="desk", why="no beam")


@pytest.fixture
def layout(tmp_path):
    return make_store(tmp_path)


def test_the_first_word_stands_until_it_is_taken_back(layout):
    assert disabling.disable(layout, WORD)
    assert not disabling.disable(layout, Disabled(instrument="HIFI", who="another"))
    assert disabling.read(layout, "HIFI") == WORD
    assert disabling.enable(layout, "HIFI") == WORD
    assert disabling.enable(layout, "HIFI") is None
    assert not disabling.is_disabled(layout, "HIFI")


def test_the_sentence_names_who_when_where_and_why():
    assert disabling.told(WORD) == (
        "instrument HIFI is disabled since 2023-11-14T22:13:20.000Z by operator anna on desk: no beam"
    )
    assert disabling.told(Disabled(instrument="HIFI", who="a\x1b[2J")) == "instrument HIFI is disabled by a\\x1b[2J"


def test_a_store_of_before_there_was_the_folder_gets_it(layout):
    durable.remove_folder(layout.path("disabled"), "store")
    known = DisabledInstruments(layout)
    assert not known.look()
    assert disabling.disable(layout, WORD)
    assert known.look()
    assert "HIFI" in known


def test_a_record_that_cannot_be_read_still_disables_and_a_strangers_file_does_not(layout):
    durable.replace(layout.disabled("HIFI"), b"spoilt", "disabled")
    durable.replace(layout.path("disabled", "README.txt"), b"hello", "disabled")
    known = DisabledInstruments(layout)
    assert known.look()
    assert known.sentences() == {"HIFI": "instrument HIFI is disabled by an operator whose record cannot be read"}
    assert not known.look(), "what does not change is no news"


@pytest.fixture
def poller(layout):
    facts = HostFacts(host="here", hostname="here", boot="boot", code_version="0")
    told = []
    made = Poller(config.load(None), layout, facts, None, Offers(level="contained"), told.append)
    made.told = told
    return made


def test_a_scan_steps_over_what_is_disabled_and_finds_it_at_once_when_it_is_enabled(poller, layout):
    journal.journal(layout, request("101", instrument="HIFI"))
    disabling.disable(layout, WORD)
    poller._do(polled.Scan())
    assert poller.told[-1].heads == ()
    assert list(poller.told[-1].disabled) == ["HIFI"]
    disabling.enable(layout, "HIFI")
    poller._do(polled.Scan())
    assert [head.job for head in poller.told[-1].heads] == ["101"]


def test_a_claim_that_meets_a_disable_is_given_back(poller, layout):
    of = request("101", instrument="HIFI")
    journal.journal(layout, of)
    poller._do(polled.Scan())
    (head,) = poller.told[-1].heads
    assert isinstance(head, Head)
    disabling.disable(layout, WORD)  # after the scan, before the claim
    poller._do(polled.Claim(head=head))
    assert isinstance(poller.told[-1], polled.NotClaimed)
    assert "facts changed" in poller.told[-1].why
    assert durable.exists(layout.path("waiting", waiting.entry_of(of).name))


@pytest.fixture
def said(tmp_path, capsys):
    site = Embedded(tmp_path)

    def say(*words):
        code = cli.main([*words, "--config", site.config])
        told = capsys.readouterr()
        return code, told.out, told.err

    say.site = site
    journal.open_store(site.layout, create=True)
    return say


def test_the_verbs_take_any_letter_case_and_say_what_waits(said):
    said.site.submit(said.site.message())
    code, out, _ = said("disable", "enginx", "--why", "bank\n2")
    assert code == 0
    assert "instrument ENGINX is disabled since" in out
    assert "bank\\n2" in out
    assert "1 of its jobs" in out
    assert "it was before" in said("disable", "ENGINX")[1]
    (row,) = json.loads(said("runs", "--json")[1])["waiting"]
    assert row["text"].startswith("instrument ENGINX is disabled since")
    assert "is disabled since" in said("why", row["job"])[1]
    assert "ENGINX is enabled" in said("enable", "EnginX")[1]
    assert "nothing changes" in said("enable", "ENGINX")[1]
    assert "disabled" not in json.loads(said("runs", "--json")[1])["waiting"][0]["text"]


def test_what_is_no_instrument_is_a_usage_error_and_a_reason_is_bounded(said):
    assert said("disable", "EN/GINX")[0] == 2
    assert said("enable", "ENGINX", "--why", "x")[0] == 2
    assert said("disable", "ENGINX", "--why", "x" * 5000)[0] == 0
    assert len(disabling.read(said.site.layout, "ENGINX").why) <= disabling.LONGEST


def test_enable_says_when_the_configuration_still_disables(said):
    said.site.configure(instrument={"ENGINX": {"enabled": False}})
    said("disable", "ENGINX")
    assert "instrument.ENGINX.enabled is false" in said("enable", "ENGINX")[1]
