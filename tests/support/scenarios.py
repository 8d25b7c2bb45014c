"""What a site goes through while something is killed: stories that end the same whoever dies on the way.

`prepare` brings the site to where the story begins, with nothing armed; `act` tells the story to the end. Each story
says what must be true afterwards, and what a reader of the results may see in between.
"""

from __future__ import annotations

import os
import signal
import textwrap
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetsite import MERGING, RB, REPLACING, FleetSite
from lapsedlocks import refuse_beats
from stompclient import StompClient

from supervisor import durable, records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = "4711"
#: What makes a result complete: relative paths and texts. Each job writes its own set, so that a mixture shows.
Files = dict[str, bytes]

_WRITE = """
import os
def write(output_dir):
    for name, text in {files!r}.items():
        path = os.path.join(output_dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
"""


def files_of(mark: str) -> Files:
    """The complete result of the job that writes `mark`."""
    names = ("value.txt", "sub/part.txt", f"only_{mark}.txt")
    return {name: f"{mark} {name}".encode() * 50 for name in names}


def good(mark: str, returns: str = "''") -> str:
    """A script that writes the result of `mark`."""
    head = _WRITE.format(files={name: data.decode() for name, data in files_of(mark).items()})
    return head + f"def main(input_file, output_dir):\n    write(output_dir)\n    return {returns}\n"


def failing(mark: str) -> str:
    """A script that writes, and then fails."""
    body = "def main(input_file, output_dir):\n    write(output_dir)\n    raise ValueError('no counts in bank 2')\n"
    return good(mark).rsplit("def main", 1)[0] + body


def gated(mark: str) -> str:
    """A script that writes, says so in the folder of its variable `signs` if it may, and waits there to be let go."""
    body = """
        import contextlib, os, time, uuid
        from reduce_vars import standard_vars
        def main(input_file, output_dir):
            write(output_dir)
            signs = standard_vars["signs"]
            with contextlib.suppress(OSError):  # behind walls the folder is read-only
                open(os.path.join(signs, "began-" + uuid.uuid4().hex), "w").close()
            while not os.path.exists(os.path.join(signs, "go")):
                time.sleep(0.01)
            return ""
    """
    return good(mark).rsplit("def main", 1)[0] + textwrap.dedent(body)


def target(instrument: str = REPLACING) -> str:
    """Where results of the run stand, below the archive."""
    return f"{instrument}/RB{RB}/autoreduced/{RUN}" if instrument == REPLACING else f"{instrument}/RB{RB}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A folder of results, and what each job would put there."""

    path: str
    by_job: dict[str, Files]
    #: Replaced as a whole; else merged file by file.
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class Story:
    """One scenario."""

    prepare: Callable[[FleetSite], None]
    act: Callable[[FleetSite], None]
    #: The verdicts each job may end with.
    verdicts: dict[str, set[str]]
    results: tuple[Result, ...]
    #: The promotion that must have failed, by its job.
    promotion_fails: str = ""
    #: Needs a real broker.
    broker: bool = False
    #: Queues that must hold at least one reply, and the job that all of it is about.
    replies: dict[str, str] = field(default_factory=dict)


def signs(site: FleetSite) -> Path:
    """Where gated scripts say that they began: beside the data, where a script behind walls sees it too."""
    path = site.base / "data" / "signs"
    path.mkdir(exist_ok=True)
    return path


def has_begun(site: FleetSite) -> bool:
    """Whether a gated script runs or ran."""
    walled = (site.base / "spool").glob("*/out/result/only_*.txt") if site.level != "none" else ()
    return any(walled) or any(name.startswith("began-") for name in os.listdir(signs(site)))


def is_decided(site: FleetSite) -> bool:
    """Whether the job `again` has ended: a stranger may have killed it before it began, or before we looked."""
    return durable.exists(site.layout.job("again").final)


def submit_gated(site: FleetSite, job: str, mark: str) -> None:
    """Submit a run whose script waits."""
    site.submit(job, site.message(RUN, gated(mark), variables={"signs": str(signs(site))}))


def let_go(site: FleetSite) -> None:
    """Let every gated script go on."""
    (signs(site) / "go").touch()


def outcomes(site: FleetSite) -> dict[int, dict[str, Any]]:
    """The outcomes of the experiment by epoch."""
    place = site.layout.rb(RB)
    found = {}
    for name in durable.listing(place.folder("outcomes")):
        data = durable.read(place.outcome(int(name)))
        if data is not None:
            found[int(name)] = records.unpack(name, data)
    return found


# --- stories --------------------------------------------------------------------------------------------------------


def _first_good(site: FleetSite, *, instrument: str = REPLACING, returns: str = "''") -> None:
    site.start()
    site.submit("first", site.message(RUN, good("one", returns), instrument=instrument))
    site.settle()


def _extra(site: FleetSite) -> str:
    return str(site.archive / "extra" / RUN)


def _again(script: Callable[[FleetSite], str], instrument: str = REPLACING) -> Callable[[FleetSite], None]:
    def act(site: FleetSite) -> None:
        site.submit("again", site.message(RUN, script(site), instrument=instrument))
        site.settle()

    return act


def _cancel_running(site: FleetSite) -> None:
    submit_gated(site, "again", "two")
    site.until(lambda: has_begun(site) or is_decided(site), "the script to begin")
    site.submit("cancel", site.cancellation(RUN))
    site.settle()


def _data_comes_late(site: FleetSite) -> None:
    body = site.message(RUN, good("two"))
    site.data(RUN).unlink()
    site.submit("again", body)
    site.until(lambda: any(o["kind"] == "retry" for o in outcomes(site).values()), "a retry")
    site.data(RUN).write_bytes(b"counts")
    site.settle()


def _start_and_settle(site: FleetSite) -> None:
    site.start()
    site.settle()


def _cancel_before_start(site: FleetSite) -> None:
    _first_good(site)
    site.kill_supervisor()
    site.submit("again", site.message(RUN, good("two")))
    site.submit("cancel", site.cancellation(RUN))


def _serve_and_submit(site: FleetSite) -> None:
    site.serve()
    site.submit("first", site.message(RUN, good("one")))
    site.settle()


def _dead_run(site: FleetSite) -> None:
    """A run is under way when its shepherd and the supervisor die together."""
    _first_good(site)
    submit_gated(site, "again", "two")
    site.until(lambda: has_begun(site), "the script to begin")
    shepherd = site.victims().shepherd
    assert shepherd is not None
    site.kill_supervisor()
    os.kill(shepherd, signal.SIGKILL)
    let_go(site)


def _dead_promoter(site: FleetSite) -> None:
    """The shepherd dies with the old result aside and the new one not in yet, and the supervisor with it."""
    _first_good(site)
    site.arm("shepherd", "archive.rename aside after", "stop")
    site.submit("again", site.message(RUN, good("two")))
    held = site.until(lambda: None if site.armed else site.stopped(), "the promoter to stop")
    site.kill_supervisor()
    os.kill(held.pid, signal.SIGKILL)


def _host_shutdown(site: FleetSite) -> None:
    submit_gated(site, "again", "two")
    site.until(lambda: has_begun(site) or is_decided(site), "the script to begin")
    # A nursery that was killed leaves its shepherds; a shutdown asks them one by one.
    asked = site.nursery() or site.victims().shepherd
    if asked is not None:
        os.kill(asked, signal.SIGTERM)
    ended = ("released", "revoked")
    site.until(lambda: is_decided(site) or any(o["kind"] in ended for o in outcomes(site).values()), "the release")
    let_go(site)
    site.settle()


def _lost_lock(site: FleetSite) -> None:
    """The lock of a run under way is lost: its beats answer EIO, it ends its box, and says so; the job runs again."""
    submit_gated(site, "again", "two")
    site.until(lambda: has_begun(site) or is_decided(site), "the script to begin")
    shepherd = site.victims().shepherd
    if shepherd is not None:
        refuse_beats(site.points, {shepherd})
        site.until(lambda: 2 in outcomes(site) or is_decided(site), "the run to be revoked")
    let_go(site)
    site.settle()


def _stranger(site: FleetSite) -> str:
    """A script that puts the result of another experiment where its own belongs; without isolation it can."""
    folder = str(site.archive / target())
    return good("one") + textwrap.dedent(f"""
        inner = main
        def main(input_file, output_dir):
            inner(input_file, output_dir)
            os.makedirs({folder!r}, exist_ok=True)
            with open(os.path.join({folder!r}, ".run"), "w") as file:
                file.write('{{"v": 1, "rb": "9", "job": "theirs", "epoch": 1}}')
            return ""
    """)


def _foreign(site: FleetSite) -> None:
    site.submit("first", site.message(RUN, _stranger(site)))
    site.settle()


def _on_disk(site: FleetSite) -> None:
    folder = site.base / "scripts" / REPLACING
    folder.mkdir(parents=True)
    (folder / "reduce.py").write_text(good("two"))
    (folder / "reduce_vars.py").write_text("standard_vars = {'bank': 1}\n")
    site.submit("again", site.message(RUN, None))
    site.settle()


def _by_verb(site: FleetSite) -> None:
    site.submit_by_verb("again", site.message(RUN, good("two")))
    site.settle()


def send(site: FleetSite, job: str, body: bytes) -> None:
    """Send a message to the broker as a producer does."""
    with StompClient(site.broker_port) as client:
        client.send(site.settings.queues.pending[0], body.decode(), {"job-id": job})


def _pending_is_empty(site: FleetSite) -> bool:
    with StompClient(site.broker_port) as client:
        return client.count(site.settings.queues.pending[0]) == 0


def _sent(site: FleetSite) -> None:
    send(site, "again", site.message(RUN, good("two")))
    site.until(lambda: os.path.exists(site.layout.job("again").published), "the job to be published")
    site.until(lambda: _pending_is_empty(site), "the message to be acknowledged")
    site.settle()


def _serve_and_send(site: FleetSite) -> None:
    """The same from the supervisor's start on, so that its way to the broker belongs to the story."""
    site.serve()
    _sent(site)


def _sent_twice(site: FleetSite) -> None:
    """A message comes again after all is done, as one does that a frozen host had in hand."""
    _sent(site)
    send(site, "again", site.message(RUN, good("two")))
    site.until(lambda: os.path.exists(site.layout.job("again").redelivered), "the second delivery to be noted")
    site.until(lambda: _pending_is_empty(site), "the second delivery to be acknowledged")
    site.settle()


def _poison(site: FleetSite) -> None:
    send(site, "bad", b'{"facility": "ISIS", "instrument": "GEM"}')
    site.until(lambda: durable.listing(site.layout.path("poison")), "the poison to be kept")
    site.until(lambda: _pending_is_empty(site), "the message to be acknowledged")
    site.settle()


def _cancel_comes_first(site: FleetSite) -> None:
    body = site.message(RUN, good("two"))
    send(site, "cancel", site.cancellation("4712"))
    site.until(lambda: durable.listing(site.layout.cancels), "the cancel to be remembered")
    early = body.replace(RUN.encode(), b"4712")
    site.data("4712").write_bytes(b"counts")
    site.submit("again", early, time_ms=1)
    site.until(lambda: _pending_is_empty(site), "the cancel to be acknowledged")
    site.settle()


_ONE = {"first": files_of("one")}
_TWO = _ONE | {"again": files_of("two")}
_DONE = {"first": {"completed"}, "again": {"completed"}}


def _replaced(by_job: dict[str, Files]) -> tuple[Result, ...]:
    return (Result(path=target(), by_job=by_job),)


#: In this order: a point belongs to the first story that reaches it, so the telling ones come first.
STORIES: dict[str, Story] = {
    "rerun": Story(prepare=_first_good, act=_again(lambda _: good("two")), verdicts=_DONE, results=_replaced(_TWO)),
    "failing": Story(
        prepare=_first_good,
        act=_again(lambda _: failing("two")),
        verdicts={"first": {"completed"}, "again": {"script_error"}},
        results=_replaced(_ONE),
    ),
    "cancel": Story(
        prepare=_first_good,
        act=_cancel_running,
        verdicts={"first": {"completed"}, "again": {"cancelled"}},
        results=_replaced(_ONE),
    ),
    "retry": Story(prepare=_first_good, act=_data_comes_late, verdicts=_DONE, results=_replaced(_TWO)),
    "extra": Story(
        prepare=lambda site: _first_good(site, returns=repr(_extra(site))),
        act=_again(lambda site: good("two", returns=repr(_extra(site)))),
        verdicts=_DONE,
        results=(Result(path=target(), by_job=_TWO), Result(path=f"extra/{RUN}", by_job=_TWO)),
    ),
    "merge": Story(
        prepare=lambda site: _first_good(site, instrument=MERGING),
        act=_again(lambda _: good("two"), MERGING),
        verdicts=_DONE,
        results=(Result(path=target(MERGING), by_job=_TWO, whole=False),),
    ),
    "promoter": Story(prepare=_dead_promoter, act=_start_and_settle, verdicts=_DONE, results=_replaced(_TWO)),
    "revoke": Story(prepare=_dead_run, act=_start_and_settle, verdicts=_DONE, results=_replaced(_TWO)),
    "shutdown": Story(prepare=_first_good, act=_host_shutdown, verdicts=_DONE, results=_replaced(_TWO)),
    "lost": Story(prepare=_first_good, act=_lost_lock, verdicts=_DONE, results=_replaced(_TWO)),
    "waiting": Story(
        prepare=_cancel_before_start,
        act=_start_and_settle,
        verdicts={"first": {"completed"}, "again": {"cancelled"}},
        results=_replaced(_ONE),
    ),
    "foreign": Story(
        prepare=lambda site: site.serve(),
        act=_foreign,
        # A run that is killed and repeated finds the stranger before it begins.
        verdicts={"first": {"completed", "output_rejected"}},
        results=(),
        promotion_fails="first",
    ),
    "disk": Story(prepare=_first_good, act=_on_disk, verdicts=_DONE, results=_replaced(_TWO)),
    "submit": Story(prepare=_first_good, act=_by_verb, verdicts=_DONE, results=_replaced(_TWO)),
    "start": Story(
        prepare=lambda _: None, act=_serve_and_submit, verdicts={"first": {"completed"}}, results=_replaced(_ONE)
    ),
    "connect": Story(
        prepare=lambda _: None,
        act=_serve_and_send,
        verdicts={"again": {"completed"}},
        results=_replaced(_TWO),
        broker=True,
        replies={"started": "again", "complete": "again"},
    ),
    "message": Story(
        prepare=lambda site: site.serve(),
        act=_sent,
        verdicts={"again": {"completed"}},
        results=_replaced(_TWO),
        broker=True,
        replies={"started": "again", "complete": "again"},
    ),
    "redelivered": Story(
        prepare=lambda site: site.serve(),
        act=_sent_twice,
        verdicts={"again": {"completed"}},
        results=_replaced(_TWO),
        broker=True,
        replies={"started": "again", "complete": "again"},
    ),
    "poison": Story(
        prepare=lambda site: site.serve(), act=_poison, verdicts={}, results=(), broker=True, replies={"error": "bad"}
    ),
    "early": Story(
        prepare=lambda site: site.serve(),
        act=_cancel_comes_first,
        verdicts={"again": {"cancelled"}},
        results=(),
        broker=True,
    ),
}


def queue_names() -> dict[str, str]:
    """Queues that no other site uses."""
    mark = uuid.uuid4().hex[:12]
    return {key: f"/queue/t.{mark}.{key}" for key in ("pending", "started", "complete", "error")}


def open_site(base: Path, story: Story, broker_port: int) -> FleetSite:
    """Make the site of a story: with the broker on `broker_port`, or with none."""
    if not story.broker:
        return FleetSite(base)
    return FleetSite(base, broker_port=broker_port, queues=queue_names())
