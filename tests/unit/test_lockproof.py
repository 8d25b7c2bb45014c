"""Whether recorded probes prove the locks of a host, and what is said where they do not."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from embedded import Embedded
from injectedmount import NFS
from probeside import ground
from storemaking import make_store

from supervisor import checkstore, cli, config, lockproof, offers, probereport, storeground
from supervisor.checkup import Status, caution, failed, passed
from supervisor.mountrules import LockTimes
from supervisor.notify import Notifier
from supervisor.probefacts import SideFacts
from supervisor.probereport import ProbeReport
from supervisor.verbs.serve import serve

NOW = 1_800_000_000.0
DAY = 24 * 3600.0
TIMES = LockTimes()


def facts(host, on=None, boot=""):
    return SideFacts(
        host=host, boot=boot or host, pid=1, version="1", uid=1, gid=1, store="/s", inodes=(1, 2), format="f",
        ground=on or ground(), times=TIMES,
    )  # fmt: skip


def report(*, at=NOW - DAY, a="h1", b="h2", finding=None, same_machine=False, on=None):
    return ProbeReport(
        time=at,
        sides={"a": facts(a, on), "b": facts(b, on)},
        findings=[finding or passed("peer", "all", "is well")],
        same_machine=same_machine,
        name=probereport.name_of(at, "0123456789abcdef"),
    )


def weigh(*reports, host="h1", on=None):
    return lockproof.weigh(on or ground(), host, reports, TIMES, NOW)


@pytest.mark.parametrize("host", ["h1", "h2"])
@pytest.mark.parametrize("finding", [None, caution("peer", "clocks", "5 s apart")])
def test_a_pass_that_names_a_host_proves_its_locks(host, finding):
    proof = weigh(report(finding=finding), host=host)
    assert (proof.needed, proof.proven, proof.may_serve) == (True, True, True)
    assert proof.text == f"proven by the probe of 2027-01-14 with {'h2' if host == 'h1' else 'h1'}"
    assert proof.finding(unproven=False)[0].status is Status.PASS


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([], "no passed probe names host h1"),
        ([report(a="h3")], "no passed probe names host h1"),
        ([report(same_machine=True)], "no passed probe names host h1"),
        ([report(at=NOW - 366 * DAY)], "is older than a year"),
        ([report(finding=failed("peer", "many locks", "overlap"))], "failed"),
        ([report(finding=failed("peer", "x", "y")), report(at=NOW - 2 * DAY)], "failed"),
        (
            [report(on=ground(options="rw,vers=4.2,hard,local_lock=flock"))],
            "was local_lock=flock and is local_lock=none",
        ),
        ([report(on=ground(source="old:/export"))], "its source was old:/export and is server:/export"),
        ([report(on=ground(kind="ceph", options="rw"))], "the file system was ceph and is nfs4"),
    ],
)
def test_what_is_no_proof_is_told_with_why(reports, words):
    proof = weigh(*reports)
    assert (proof.needed, proof.proven) == (True, False)
    assert words in proof.text
    (found,) = proof.finding(unproven=False)
    assert (found.status, "doctor --peer" in found.remedy) == (Status.FAIL, True)
    assert proof.finding(unproven=True)[0].status is Status.CAUTION


@pytest.mark.parametrize(
    "reports",
    [
        [report(same_machine=True, finding=failed("peer", "x", "y")), report(at=NOW - 2 * DAY)],
        [report(a="h3", finding=failed("peer", "x", "y")), report(at=NOW - 2 * DAY)],
        [report(), report(at=NOW - 2 * DAY, finding=failed("peer", "x", "y"))],
        [report(on=ground(source="old:/export"), finding=failed("peer", "x", "y")), report(at=NOW - 2 * DAY)],
    ],
)
def test_the_newest_word_on_this_mount_and_host_counts(reports):
    assert weigh(*reports).proven


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "overlay"])
def test_a_file_system_of_one_host_needs_no_proof(kind):
    proof = weigh(on=ground(kind=kind, options="rw"))
    assert (proof.needed, proof.may_serve, proof.finding(unproven=False)) == (False, True, [])


def test_a_mount_that_breaks_locks_is_not_proven_by_any_probe():
    on = ground(options="rw,vers=4.2,soft,local_lock=none")
    proof = weigh(report(on=on), on=on)
    assert not proof.may_serve
    assert "mounted soft" in proof.text


@pytest.mark.parametrize("kind", ["beegfs", "wekafs"])
def test_a_kind_that_nobody_knows_is_proven_by_a_probe_alone(kind):
    on = ground(kind=kind, options="rw")
    assert not weigh(on=on).may_serve
    assert weigh(report(on=on), on=on).may_serve


def test_records_are_read_newest_first_and_spoilt_ones_prove_nothing(tmp_path):
    layout = make_store(tmp_path)
    assert list(probereport.newest_first(layout)) == []
    os.mkdir(layout.path("probes"))
    older, newer = report(at=NOW - 3 * DAY), report(at=NOW - DAY, b="h3")
    for each in (newer, older):
        probereport.write(layout, each)
    for name, text in (("record.2", "{"), ("record.3", '{"v": 1}'), ("record.4", '{"v": 1, "sides": []}'), ("x", "")):
        with open(layout.path("probes", name), "w") as file:
            file.write(text)
    assert [each.time for each in probereport.newest_first(layout)] == [newer.time, older.time]
    assert json.loads(json.dumps(newer.to_json())) == next(probereport.newest_first(layout)).to_json()


# --- the verbs


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path, host={"id": "h1", "slots": 1})
    make_store(tmp_path)
    return made


@pytest.fixture
def lies_on(monkeypatch):
    """`lies_on(kind=..., options=...)` has every store of this process lie on such a mount."""

    def inject(**mount):
        of = ground(**NFS | mount)
        monkeypatch.setattr(storeground, "read", lambda path: of)
        return of

    return inject


def test_serving_from_a_network_file_system_without_a_pass_is_refused_in_one_sentence(site, lies_on):
    lies_on()
    problem, status = serve(config.load_whole(site.config), lambda: None, [], notifier=Notifier.take({}))
    assert status == 78
    assert problem.startswith(f'cannot serve: store.path: locks of "{site.store}" are not proven')
    assert "no passed probe names host h1 on nfs4 (server:/export at /s)" in problem
    assert "`autoreduce-supervisor doctor --peer`" in problem
    assert "store.unproven = true" in problem
    assert not os.path.exists(os.path.join(site.store, "hosts", "h1.lock")), "nothing was begun"


def test_check_config_names_it_and_is_content_with_a_pass_or_with_unproven(site, lies_on, capsys, monkeypatch):
    monkeypatch.setattr(
        offers, "find_out_with", lambda *_: offers.Offers(level="none")
    )  # boxes have tests of their own
    lies_on()
    assert cli.main(["check-config", "--config", site.config]) == 78
    assert "are not proven to keep other hosts out" in capsys.readouterr().err
    site.configure(host={"id": "h1"}, store={"unproven": True})
    assert cli.main(["check-config", "--config", site.config]) == 0
    site.configure(host={"id": "h1"})
    os.mkdir(site.layout.path("probes"))
    probereport.write(site.layout, replace(report(), time=os.stat(site.store).st_mtime))
    assert cli.main(["check-config", "--config", site.config]) == 0


@pytest.mark.parametrize(
    ("mount", "unproven", "area", "status", "words"),
    [
        ({}, False, "lock", Status.FAIL, "no passed probe names host h1"),
        ({}, True, "lock", Status.CAUTION, "store.unproven lets it serve"),
        ({"options": "rw,vers=3,nolock"}, False, "mount", Status.FAIL, "NFS version 3"),
        ({"options": "rw,vers=3,nolock"}, True, "mount", Status.CAUTION, "store.unproven allows it"),
    ],
)
def test_doctor_tells_the_mount_and_the_proof(site, lies_on, mount, unproven, area, status, words):
    lies_on(**mount)
    found = checkstore.findings(site.store, unproven=unproven, several=True, host="h1", times=TIMES)
    of_area = [each for each in found if each.area == area and words in each.text]
    assert {each.status for each in of_area} == {status}, found


def test_a_store_that_cannot_be_asked_is_told_and_holds_nobody(site, lies_on, monkeypatch):
    lies_on()
    monkeypatch.setattr(probereport, "newest_first", lambda layout: 1 / 0)
    assert "cannot be told: ZeroDivisionError" in lockproof.asked(site.settings(), NOW)
    monkeypatch.setattr(probereport, "newest_first", lambda layout: __import__("signal").pause())
    monkeypatch.setattr(lockproof, "_PATIENCE", 0.5)
    assert "cannot be told: no answer: killed by SIGKILL" in lockproof.asked(site.settings(), NOW)
