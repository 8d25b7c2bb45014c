"""The consumers of each family take every reply of good, failed, skipped, cancelled and late runs."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from acceptancesite import KNOCK, PATIENCE, Door, Run, Site
from consumers import Consumer, Strict2021, WebApp2016, WorkflowSns
from stompclient import StompClient
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.broker

#: What a run is to do stands in its data file, because a script of SNS hears nothing else.
DOES = f"""{KNOCK}

def do(input_file, output_dir):
    with open(input_file) as file:
        word = file.read()
    print("this run is", word)
    if word == "failed":
        print(1 / 0)
    if word == "skipped":
        raise Exception("Skip: an empty beam")
    if word == "cancelled":
        knock(input_file)
    with open(output_dir + "result-" + os.path.basename(input_file) + ".txt", "w") as result:
        result.write(word)
"""
MODULE = f"{DOES}\n\ndef main(input_file, output_dir):\n    do(input_file, output_dir + '/')\n"
PROGRAM = f"import sys\n{DOES}\ndo(sys.argv[1], sys.argv[2])\n"
KINDS = ("good", "failed", "skipped", "cancelled", "late")


@dataclass
class Facility:
    """One site with the consumer of its family."""

    site: Site
    consumer: Consumer
    #: The queue of each kind of reply that the consumer reads.
    queues: dict[str, str]
    #: Makes the message of a run.
    message: Callable[[str, int], Run]
    runs: dict[str, Run] = field(default_factory=dict)

    def send(self, kind: str, number: int) -> Run:
        """Send a run of one kind; a late one has no data yet."""
        return self._send(self.message(kind, number), kind)

    def hold(self, number: int) -> tuple[Run, Door]:
        """Send a run that rings and waits, and return its door."""
        run = self.message("cancelled", number)
        run.data.parent.mkdir(parents=True, exist_ok=True)
        door = self.site.door(run)
        return self._send(run, "cancelled"), door

    def _send(self, run: Run, kind: str) -> Run:
        self.runs[kind] = run
        run.data.parent.mkdir(parents=True, exist_ok=True)
        if kind != "late":
            run.data.write_text(kind)
        self.consumer.submit(run.message)
        return self.site.send(run)

    def __post_init__(self) -> None:
        self.client = StompClient(self.site.broker.port)
        self.consumer.subscribe(self.client, self.queues)

    def take_all(self, kind: str) -> None:
        """Have the consumer take what comes, until it was told how a run ended; a cancel is not answered here."""
        run = self.runs[kind]
        wait_until(functools.partial(os.path.exists, self.site.place(run).published), PATIENCE, f"the end of {kind}")
        frozen = self.site.outcome(run).replies.get("done")
        if frozen is not None:
            wanted = json.loads(frozen["body"])
            self.consumer.listen(self.client, lambda: wanted in self._bodies(), PATIENCE)

    def _bodies(self) -> list[Any]:
        return [body for _, body in self.consumer.accepted] + [json.loads(one.body) for one in self.consumer.refused]

    def status(self, kind: str) -> str:
        """What the consumer shows of a run."""
        return str(self.consumer.shown(self.runs[kind].message).status)

    def text(self, kind: str) -> str:
        """What the consumer shows as its message."""
        return str(self.consumer.shown(self.runs[kind].message).message)


def isis2016(make_site: Callable[..., Site]) -> Facility:
    site = make_site()

    def message(kind: str, number: int) -> Run:
        del kind
        return site.run(MODULE, run=number, data=False, message="")

    queues = {kind: site.queue(kind) for kind in ("started", "complete", "error")}
    return Facility(site, WebApp2016(), queues, message)


def isis2018(make_site: Callable[..., Site]) -> Facility:
    site = make_site(queues={"skipped": "skipped"})

    def message(kind: str, number: int) -> Run:
        others: dict[str, Any] = {
            "description": f"a {kind} run",
            "software": {"name": "Mantid", "version": "latest"},
            "run_title": f"title of {number}",
            "started_by": 0,
            "message": None,
            "retry_in": None,
            "reduction_data": None,
            "run_version": 1,
        }
        return site.run(MODULE, run=number, data=False, **others)

    queues = {kind: site.queue(kind) for kind in ("started", "complete", "error", "skipped")}
    return Facility(site, Strict2021(), queues, message)


def sns(make_site: Callable[..., Site]) -> Facility:
    names = {kind: kind for kind in ("started", "complete", "error", "disabled")}
    site = make_site(queues={"sns": names})
    shared = site.archive / "SNS" / "EQSANS" / "shared" / "autoreduce"
    shared.mkdir(parents=True)
    (shared / "reduce_EQSANS.py").write_text(PROGRAM)
    (site.archive / "SNS" / "HYS" / "shared" / "autoreduce").mkdir(parents=True)

    def message(kind: str, number: int) -> Run:
        instrument = "HYS" if kind == "disabled" else "EQSANS"
        below = f"{instrument}/IPTS-10674/0/{number}/NeXus/{instrument}_{number}_event.nxs"
        body = {
            "facility": "SNS",
            "instrument": instrument,
            "ipts": "IPTS-10674",
            "run_number": str(number),
            "data_file": f"/SNS/{below}",
        }
        made = site.run("", run=number, data=False)
        result = site.archive / "SNS" / instrument / "IPTS-10674" / "shared" / "autoreduce"
        return Run(job=made.job, message=body, data=site.archive / "SNS" / below, result=result)

    return Facility(site, WorkflowSns(), {kind: site.queue(kind) for kind in names}, message)


#: The last status of each kind of run, as each consumer shows it; of a cancel none of them is told.
ENDS = {
    isis2016: dict(zip(KINDS, ("Completed", "Error", "Error", "Processing", "Completed"), strict=True)),
    isis2018: dict(zip(KINDS, ("Completed", "Error", "Skipped", "Processing", "Completed"), strict=True)),
    sns: dict(zip(KINDS, ("Reduced", "Error", "Error", "Reducing", "Reduced"), strict=True)),
}


@pytest.mark.parametrize("family", ENDS, ids=lambda family: family.__name__)
def test_every_reply_of_every_kind_of_run_is_taken(make_site, family):
    facility = family(make_site)
    site = facility.site
    for number, kind in enumerate(("good", "failed", "skipped"), start=101):
        facility.send(kind, number)
        facility.take_all(kind)
    late = facility.send("late", 104)
    wait_until(functools.partial(os.path.exists, site.place(late).not_before), PATIENCE, "the first retry")
    late.data.write_text("late")
    facility.take_all("late")
    held, door = facility.hold(105)
    door.rung()
    site.cancel(held)
    assert site.outcome(held).verdict == "cancelled"
    facility.take_all("cancelled")

    facility.consumer.listen_on(facility.client)
    facility.client.close()

    assert facility.consumer.refused == []
    assert {kind: facility.status(kind) for kind in KINDS} == ENDS[family]
    assert "ZeroDivisionError" in facility.text("failed")
    assert "kipped" in facility.text("skipped")
    assert site.outcome(facility.runs["skipped"]).verdict == "skipped"
    told = [json.dumps(body, sort_keys=True) for _, body in facility.consumer.accepted]
    assert len(told) == len(set(told)), "a reply came twice though nothing was killed"


def test_an_instrument_of_sns_without_a_script_is_shown_as_disabled(make_site):
    facility = sns(make_site)

    facility.send("disabled", 7)
    facility.take_all("disabled")
    facility.consumer.listen_on(facility.client)
    facility.client.close()

    assert facility.consumer.refused == []
    assert [kind for kind, _ in facility.consumer.accepted] == ["disabled"]
    assert facility.status("disabled") == "Disabled"
