"""The numbers for Prometheus: bounded labels, hostile names, and what the loop tells as what is scraped."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.linux import proctree
from sandbox.verdict import Verdict
from supervisor import broker, config, polled
from supervisor.loop import Loop
from supervisor.metrics import INSTRUMENTS, Metrics, Names

ROOT = Path(__file__).parents[2]
WELL = {"slots": 4, "running": [{}, {}], "waiting": 7, "store": "well", "store_since": None, "broker": "connected"}


def scraped(metrics):
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics, name, **labels):
    return scraped(metrics)[f"autoreduce_{name}", tuple(sorted(labels.items()))]


def run(instrument="ENGINX", errand="run", waited=3.0):
    me = proctree.identity(os.getpid())
    return polled.ActiveRun(
        job="j", rb="1", rb_part="1", n=1, errand=errand, shepherd=me, instrument=instrument, waited=waited
    )


def inspected(kind="committed", verdict="completed", wall=20.0, **of):
    return polled.Inspected(run=run(**of), kind=kind, verdict=verdict, sentence="", wall=wall)


def test_a_run_that_ended_is_counted_by_verdict_and_instrument_with_its_time():
    metrics = Metrics("1.2")
    metrics.began(run())
    metrics.inspected(inspected())
    assert value(metrics, "runs_begun_total", instrument="ENGINX") == 1
    assert value(metrics, "runs_ended_total", instrument="ENGINX", verdict="completed") == 1
    assert value(metrics, "run_wall_seconds_sum") == 20.0
    assert value(metrics, "run_wall_seconds_bucket", le="60.0") == 1
    assert value(metrics, "run_wall_seconds_bucket", le="15.0") == 0
    assert value(metrics, "queue_wait_seconds_sum") == 3.0


@pytest.mark.parametrize(("kind", "counted"), [("retry", "retry"), ("released", "released"), ("", "undecided")])
def test_a_run_that_runs_again_is_no_end(kind, counted):
    metrics = Metrics("1.2")
    metrics.inspected(inspected(kind=kind, verdict="", wall=None))
    assert value(metrics, "runs_again_total", kind=counted) == 1
    assert not [key for key in scraped(metrics) if key[0] == "autoreduce_runs_ended_total"]


def test_errands_and_runs_of_an_earlier_supervisor_did_not_begin_here():
    metrics = Metrics("1.2")
    metrics.began(run(waited=None))
    metrics.began(run(errand="promote"))
    metrics.inspected(inspected(errand="promote"))
    assert value(metrics, "queue_wait_seconds_count") == 0
    assert value(metrics, "run_wall_seconds_count") == 0


def test_instruments_beyond_the_most_are_other_and_known_ones_stay():
    metrics = Metrics("1.2")
    for number in range(500):
        metrics.began(run(instrument=f"MADE_UP_{number}"))
    metrics.began(run(instrument="MADE_UP_0"))
    counts = {dict(key[1])["instrument"]: n for key, n in scraped(metrics).items() if "runs_begun_total" in key[0]}
    assert len(counts) == INSTRUMENTS + 1
    assert counts["other"] == 500 - INSTRUMENTS
    assert counts["MADE_UP_0"] == 2


def test_a_verdict_that_is_none_is_other():
    metrics = Metrics("1.2")
    metrics.ended("GEM", "completed")
    metrics.ended("GEM", 'made"up')
    verdicts = {dict(key[1])["verdict"] for key in scraped(metrics) if key[0] == "autoreduce_runs_ended_total"}
    assert verdicts == {"completed", "other"}
    assert set(Verdict) >= verdicts - {"other"}


@given(st.text(st.characters(), max_size=200))
def test_any_name_of_an_instrument_can_be_scraped_and_is_printable(name):
    metrics = Metrics("1.2")
    metrics.ended(name, "completed")
    (label,) = (dict(key[1])["instrument"] for key in scraped(metrics) if key[0] == "autoreduce_runs_ended_total")
    assert label == Names().label(name)
    assert label.isprintable()
    assert 0 < len(label) <= 60


def test_the_state_becomes_gauges():
    metrics = Metrics("1.2", now=lambda: 1000.0)
    metrics.state(WELL)
    assert value(metrics, "slots") == 4
    assert value(metrics, "running_runs") == 2
    assert value(metrics, "waiting_jobs") == 7
    assert value(metrics, "broker_connected") == 1
    assert value(metrics, "store_trouble") == 0
    assert value(metrics, "start_time_seconds") == 1000.0
    assert value(metrics, "build_info", version="1.2") == 1
    metrics.state(WELL | {"broker": "away"})
    assert value(metrics, "broker_connected") == 0


def test_the_time_of_a_trouble_grows_between_two_states():
    clock = [1000.0]
    metrics = Metrics("1.2", now=lambda: clock[0])
    metrics.state(WELL | {"store": "hanging: no answer to open", "store_since": 990.0})
    assert value(metrics, "store_trouble") == 1
    assert value(metrics, "store_trouble_seconds") == 10.0
    clock[0] = 1060.0
    assert value(metrics, "store_trouble_seconds") == 70.0
    metrics.state(WELL)
    assert value(metrics, "store_trouble_seconds") == 0.0


def test_the_loop_tells_of_messages_replies_and_jobs_without_a_run():
    metrics = Metrics("1.2")
    loop = Loop(config.load(None), 2, {}, on_state=lambda _: None, luck=random.Random(0), meter=metrics)
    loop._poller = Orders()
    try:
        for what in ("new", "new", "duplicate", "cancel"):
            loop._take(polled.Taken(key=None, what=what))
        reply, link = {"queue": "q", "body": "b", "headers": {}}, Link()
        loop._take(polled.StartedReply(job="one", reply=reply))
        loop._telling.tell(link, 0.0, 0.0)
        for _ in range(2):  # the second receipt is of nothing
            loop._take(broker.Sent(key="job one"))
        loop._telling.scanned(
            [polled.Finished(job="one", rb_part="1", started=reply, started_sent=True, terminal=reply, stands_in=False)]
        )
        loop._telling.tell(link, float("inf"), 0.0)
        loop._take(broker.Sent(key="job one"))
        assert link.sent == ["job one", "job one"]
        loop._take(polled.NotClaimed(rb_part="1", why="", cool_down=0, instrument="GEM", verdict="gave_up"))
        loop._take(polled.NotClaimed(rb_part="1", why="held by another", cool_down=0))
    finally:
        for fd in (loop._wake_r, loop._wake_w):
            os.close(fd)
    counts = [value(metrics, "messages_taken_total", what=what) for what in ("new", "duplicate", "cancel", "poison")]
    assert counts == [2, 1, 1, 0]
    assert value(metrics, "replies_sent_total", reply="started") == 1
    assert value(metrics, "replies_sent_total", reply="terminal") == 1
    assert value(metrics, "runs_ended_total", instrument="GEM", verdict="gave_up") == 1
    ended = [key for key in scraped(metrics) if key[0] == "autoreduce_runs_ended_total"]
    assert len(ended) == 1


class Orders:
    def order(self, command):
        self.last = command


class Link:
    connected = True

    def __init__(self):
        self.sent = []

    def send(self, key, queue, body, headers):
        self.sent.append(key)


def test_the_library_is_not_loaded_by_a_service_that_is_not_measured():
    asked = "import sys, supervisor.service, supervisor.verbs.serve; print('prometheus_client' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "False"


def test_the_page_has_a_row_for_each_metric_and_no_other():
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    rows = {
        name: (kind, tuple(sorted(re.findall(r"`(\w+)`", labels))))
        for name, kind, labels in re.findall(r"^\| `(autoreduce_\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE)
    }
    metrics = Metrics("1.2")
    metrics.ended("GEM", "completed")
    metrics.began(run())
    held = {}
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        held[name] = (family.type, tuple(sorted(labels)))
    assert rows == held
