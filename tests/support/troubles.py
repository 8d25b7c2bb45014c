"""Places at which a store is in trouble, and what must be seen from outside while it is."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetsite import REPLACING
from scenarios import good
from stompclient import StompClient

from supervisor import durable, hosts, records, storenotes

if TYPE_CHECKING:
    from fleetsite import FleetSite

#: What a store in trouble answers; None for a call that does not return.
ERRNOS = ("ENOSPC", "EDQUOT", "EIO", "ESTALE", "EROFS", None)


@dataclass(frozen=True, kw_only=True)
class Place:
    """One call into the store that is in trouble."""

    name: str
    label: str
    process: str = "*"
    #: The message is not durable there, so it may not be acknowledged.
    unacknowledged: bool = False


PLACES = (
    Place(name="journal", label="store.fsync request before", unacknowledged=True),
    Place(name="journal, linked", label="store.fsync-folder request before", unacknowledged=True),
    Place(name="waiting", label="store.touch waiting *", unacknowledged=True),
    Place(name="by-run", label="store.fsync-folder by-run before", unacknowledged=True),
    Place(name="listing", label="store.list waiting"),
    Place(name="claim", label="store.link epoch *"),
    Place(name="run.json", label="store.rename run before", process="shepherd"),
    Place(name="plan.json", label="store.fsync plan before", process="shepherd"),
    Place(name="exit.json", label="store.fsync exit before", process="shepherd"),
    Place(name="outcome", label="store.link outcome-committed *", process="shepherd"),
    Place(name="final", label="store.fsync-folder final before", process="shepherd"),
    Place(name="promoted", label="store.link promoted-done before", process="shepherd"),
    Place(name="published", label="store.touch published before"),
    Place(name="host-beat", label="store.rename host-beat before", process="supervisor"),
    Place(name="everything", label="store.*", unacknowledged=True),
)


def order(place: Place, errno: str | None) -> dict[str, Any]:
    """What `FleetSite.trouble` is told."""
    how = {"hang": True} if errno is None else {"errno": errno}
    return {"process": place.process, "label": place.label, **how}


def told(site: FleetSite) -> str:
    """What `status` shows of trouble: the supervisor's own, or that of a run; "" while all is well."""
    run_dir = str(site.base / "run")
    try:
        state = json.loads((site.base / "run" / "state.json").read_text())
    except (OSError, ValueError):
        state = {}
    if state.get("store", "well") != "well":
        assert state["store_since"] is not None, state
        return str(state["store"])
    notes = storenotes.told(run_dir)
    return notes[0][1].why if notes else ""


def is_meant(text: str, errno: str | None) -> bool:
    """Whether a sentence says what the store answers, and on which path."""
    return ("no answer to" in text if errno is None else f"({errno})" in text) and "/store/" in text


def beat(site: FleetSite) -> hosts.HostBeat:
    """The heartbeat of the site's host."""
    found = hosts.read_beat(site.layout, "fleet")
    assert found is not None
    return found


def send(site: FleetSite, number: int) -> str:
    """Send the message of a run, each with an experiment of its own; return its job id."""
    run = str(5000 + number)
    site.data(run).write_bytes(b"counts")
    body = site.message(run, good(f"n{number}")).replace(b'"1410001"', f'"{2000 + number}"'.encode())
    job = f"job-{number}"
    headers = {"job-id": job, "persistent": "true"}
    with StompClient(site.broker_port) as client:
        client.send(site.settings.queues.pending[0], body, headers)
    return job


def pending(site: FleetSite) -> int:
    """Messages that the broker has still, handed out or not."""
    with StompClient(site.broker_port) as client:
        return client.count(site.settings.queues.pending[0])


def is_published(site: FleetSite, number: int) -> bool:
    """Whether every reply of a run has its receipt."""
    return durable.exists(site.layout.job(f"job-{number}").published)


def check_run(site: FleetSite, number: int) -> None:
    """One outcome, one result, one terminal reply whatever the number of its copies."""
    rb, run = str(2000 + number), str(5000 + number)
    place = site.layout.rb(rb)
    kinds = []
    for name in durable.listing(place.folder("epochs")):
        data = durable.read(place.outcome(int(name)))
        assert data is not None, f"epoch {name} of run {run} is not decided"
        kinds.append(records.unpack(name, data)["kind"])
    assert kinds.count("committed") == 1, f"run {run} came to {kinds}"
    result = site.archive / f"{REPLACING}/RB{rb}/autoreduced/{run}"
    assert (result / f"only_n{number}.txt").exists(), f"run {run} has no result"
    with StompClient(site.broker_port) as client:
        replies = [
            f
            for f in client.browse(site.settings.queues.complete)
            if f.headers["event-id"].startswith(f"job-{number}:")
        ]
    assert replies, f"no terminal reply of run {run}"
    assert len({reply.body for reply in replies}) == 1, f"replies of run {run} differ"


def _is_over(trouble: dict[str, Any], ordered: float, met: float) -> dict[str, Any] | None:
    """Return the trouble of a heartbeat once it is over.

    It is the one that was there at `met`, or a call that a slow disk has held up since; none of before `ordered`, which
    the heartbeat tells until its next beat.
    """
    if not trouble.get("until") or trouble["since"] < ordered:
        return None
    return trouble if trouble["since"] <= met or "no answer to" in trouble["why"] else None


def go_through(site: FleetSite, number: int, place: Place, errno: str | None) -> int:
    """Have one run meet trouble at a place, see that it is told and that nothing is lost; return the hits."""
    before = len(site.hits())
    what = f"{place.name} with {errno or 'a hang'}"
    ordered = time.time()
    site.trouble(order(place, errno))
    send(site, number)
    site.until(lambda: len(site.hits()) > before, f"{what} to be met")
    site.until(lambda: is_meant(told(site), errno), f"status to tell of {what}")
    if place.unacknowledged:
        assert pending(site) == 1, f"{what}: a message was acknowledged before it was durable"
    met = time.time()
    site.trouble()
    site.until(lambda: is_published(site, number), f"run {number} to be published after {what}")
    site.until(lambda: not told(site), f"status to be well after {what}")
    if place.process != "shepherd":  # what a run met is in the heartbeat while it lasts
        last = site.until(lambda: _is_over(beat(site).trouble, ordered, met), f"the heartbeat to tell of {what}")
        assert is_meant(last["why"], errno) or "no answer to" in last["why"], last
    check_run(site, number)
    return len(site.hits()) - before


def is_quiet(site: FleetSite) -> bool:
    """Whether nothing is left to be done, with the broker too."""
    return site.is_quiet() and pending(site) == 0 and not os.listdir(site.base / "spool")
