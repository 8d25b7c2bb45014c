"""What a site goes through while something is killed: stories that end the same whoever dies on the way.

`prepare` brings the site to where the story begins, with nothing armed; `act` tells the story to the end. Each story
says what must be true afterwards, and what a reader of the results may see in between.
"""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleetsite import MERGING, RB, REPLACING, FleetSite

from supervisor import durable, records

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
    """A script that writes, says so in the folder of its variable `signs`, and waits there to be let go."""
    body = """
        import os, time, uuid
        from reduce_vars import standard_vars
        def main(input_file, output_dir):
            write(output_dir)
            signs = standard_vars["signs"]
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
    #: The work of `prepare` for the broker: needs a real one.
    broker: bool = False
    #: Retried by hand: the verb itself is what dies.
    extras: dict[str, Any] = field(default_factory=dict)


def signs(site: FleetSite) -> Path:
    """Where gated scripts say that they began."""
    path = site.base / "signs"
    path.mkdir(exist_ok=True)
    return path


def has_begun(site: FleetSite) -> bool:
    """Whether a gated script runs or ran."""
    return any(name.startswith("began-") for name in os.listdir(signs(site)))


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
    site.until(lambda: has_begun(site), "the script to begin")
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


def _submit_and_start(site: FleetSite) -> None:
    site.start()
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
    site.until(lambda: has_begun(site), "the script to begin")
    nursery = site.nursery()
    if nursery is not None:
        os.kill(nursery, signal.SIGTERM)
    site.until(lambda: any(o["kind"] in ("released", "revoked") for o in outcomes(site).values()), "the release")
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


def _ready(site: FleetSite) -> None:
    site.start()
    site.until(lambda: site.nursery() and (site.base / "run" / "supervisor.json").exists(), "the supervisor")


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
    "waiting": Story(
        prepare=_cancel_before_start,
        act=_start_and_settle,
        verdicts={"first": {"completed"}, "again": {"cancelled"}},
        results=_replaced(_ONE),
    ),
    "foreign": Story(
        prepare=_ready, act=_foreign, verdicts={"first": {"completed"}}, results=(), promotion_fails="first"
    ),
    "start": Story(
        prepare=lambda _: None, act=_submit_and_start, verdicts={"first": {"completed"}}, results=_replaced(_ONE)
    ),
}
