"""A service that prunes while it serves: old jobs become tombstones, their messages run no second time."""

from __future__ import annotations

from fleetsite import FleetSite
from prunedstore import names_of
from scenarios import queue_names
from stompclient import StompClient
from troubles import is_quiet, pending, send

from supervisor import durable, tombstones
from supervisor.cells import RbCells


def _site(tmp_path, activemq) -> FleetSite:
    site = FleetSite(tmp_path / "site", broker_port=activemq.port, queues=queue_names())
    site.config.write_text(site.config.read_text().replace("[store]\n", '[store]\nkeep = "1 s"\n'))
    return site


def _answers(site: FleetSite) -> int:
    with StompClient(site.broker_port) as client:
        return client.count(site.settings.queues.complete)


def test_a_served_job_is_pruned_and_its_redelivery_is_acknowledged_and_runs_nothing(tmp_path, activemq):
    with _site(tmp_path, activemq) as site:
        site.serve()
        send(site, 0)
        stone = site.until(lambda: tombstones.find(site.layout, "job-0"), "the job to be pruned")
        assert (stone.verdict, stone.rb, stone.run) == ("completed", "2000", "5000")
        site.until(lambda: not durable.listing(tombstones.pruning(site.layout)), "the pruning to end")
        send(site, 0)
        site.until(lambda: pending(site) == 0, "the redelivery to be acknowledged")
        site.until(lambda: is_quiet(site), "the site to be quiet")
        assert RbCells(site.layout.rb("2000")).last() == 1
        assert _answers(site) == 1
        assert not durable.exists(site.layout.job("job-0").root)
        send(site, 1)
        site.until(lambda: tombstones.find(site.layout, "job-1"), "the next one to be pruned")
        assert site.restarts == 0
        assert "Traceback" not in site.log()


def test_what_stays_of_many_jobs_is_a_tombstone_each_and_the_newest_epoch_of_each_rb(tmp_path, activemq):
    with _site(tmp_path, activemq) as site:
        site.serve()
        for number in range(12):
            send(site, number)
        site.until(
            lambda: all(tombstones.find(site.layout, f"job-{number}") for number in range(12)), "all to be pruned"
        )
        site.until(lambda: is_quiet(site) and not durable.listing(tombstones.pruning(site.layout)), "quiet")
        left = names_of(site.layout)
    for number in range(12):
        of_rb = [name for name in left if name.startswith("rb/") and f"/{2000 + number}" in name]
        assert len(of_rb) == 10, of_rb  # folder, lock, name, four folders and three cells
    assert [name for name in left if name.startswith("jobs/") and name.count("/") > 1] == []
    assert len([name for name in left if name.startswith("tombstones/")]) == 12 * 2 + 3
