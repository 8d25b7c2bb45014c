"""The defects of the worker of 2016 that a decision alone can bring back; each test fails on its mutant.

Which mutant that is stands in `tests/mutants/defects.py`; what needs real processes stands in `tests/host/test_defects.py`.
"""

from __future__ import annotations

import errno
import json
import os
import random

import pytest
from brokerevents import Heard, make_link
from scriptedbroker import ScriptedBroker
from waiting import wait_until

from sandbox import copyout
from sandbox.limits import Limits
from supervisor import intake, journal, merging, polled, replies, request, staging
from supervisor.broker import Connected, Delivered, DeliveryToken, Sent
from supervisor.ending import Ending
from supervisor.flock import acquire
from supervisor.hostfacts import HostFacts
from supervisor.layout import Layout
from supervisor.loop import Loop
from supervisor.offers import Offers
from supervisor.order import Head
from supervisor.records import Identity, Target
from supervisor.runplan import RunPlan
from supervisor.settings import Settings
from supervisor.storepoller import Poller
from supervisor.takeover import Evidence, RbState, Step, next_step, proof
from supervisor.waiting import Entry

TOKEN = DeliveryToken(generation=1, ack_id="7")
#: Milliseconds since 1970.
NOON = 1_700_000_000_000


def settings(**sections):
    paths = {
        "windows_prefixes": [],
        "archive_directory": "/archive/{instrument}/{rb}/{run}",
        "ceph_directory": "/archive/ceph/{rb}/{run}",
        "excitation_directory": "/archive/excitation/{rb}",
        "data_roots": ["/data"],
        "result_roots": ["/archive"],
    }
    return Settings.model_validate({"paths": paths, **sections})


def message(**keys):
    return {
        "facility": "ISIS",
        "instrument": "ENGINX",
        "rb_number": "1510111",
        "run_number": 75513,
        "run_version": 0,
        "data": "/data/ENGINX00075513.nxs",
        "reduction_script": "def main(input_file, output_dir): return ''",
        "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}},
    } | keys


class Link:
    """A connected broker link that notes what it is told."""

    connected = True

    def __init__(self):
        self.acked = []
        self.sent = []

    def ack(self, token, key):
        self.acked.append(token)

    def send(self, key, queue, body, headers):
        self.sent.append(key)


class Orders:
    """A store poller that notes what it is told."""

    last_turn = 0.0

    def __init__(self):
        self.all = []

    def order(self, command):
        self.all.append(command)

    def of(self, kind):
        return [command for command in self.all if isinstance(command, kind)]


class Desk:
    """A loop with a link and a poller that only take notes."""

    def __init__(self, slots=2, **sections):
        self.loop = Loop(settings(**sections), slots, {}, on_state=lambda _: None, luck=random.Random(0))
        self.link = self.loop._link = Link()
        self.orders = self.loop._poller = Orders()

    def tell(self, event):
        self.loop._take(event)
        self.loop._telling.tell(self.link, 0.0, 0.0)

    def claimed(self):
        return [command.head.rb for command in self.orders.of(polled.Claim)]

    def close(self):
        for fd in (*self.loop._pidfds, self.loop._wake_r, self.loop._wake_w):
            os.close(fd)


@pytest.fixture
def desk():
    made = []

    def make(*arguments, **sections):
        made.append(Desk(*arguments, **sections))
        return made[-1]

    yield make
    for one in made:
        one.close()


def head(rb):
    entry = Entry(rank=5, time_ms=NOON, sequence=0, job=f"job-{rb}", instrument="ENGINX", rb=rb)
    return Head(entry=entry, rb=rb, job=entry.job)


def begun(rb):
    me = Identity(pid=os.getpid(), start=0, boot="")
    return polled.Started(run=polled.ActiveRun(job=f"first-{rb}", rb=rb, rb_part=rb, n=1, errand="run", shepherd=me))


def scanned(*heads, waiting=0):
    return polled.Scanned(heads=heads, finished=(), waiting=waiting)


# The ack (D1)


def test_a_delivery_is_acknowledged_only_when_it_is_journaled(desk):
    made = desk()

    made.tell(Delivered(token=TOKEN, queue="pending", headers={}, body=b"{}"))

    assert made.link.acked == []
    assert len(made.orders.of(polled.Take)) == 1
    made.tell(polled.Taken(key=TOKEN, what="new"))
    assert made.link.acked == [TOKEN]


def test_a_message_that_can_be_nothing_is_acknowledged_only_when_its_error_is_received(desk):
    made = desk()
    bad = request.BadRequest("data", "data is missing", {})
    poison = intake.poison(b"{}", {}, settings(), job="job", hostname="here", bad=bad)

    made.tell(polled.Poisoned(key=TOKEN, poison=poison, told=False))

    assert made.link.acked == []
    (key,) = made.link.sent
    made.tell(Sent(key=key))
    assert made.link.acked == [TOKEN]


def test_a_message_is_taken_only_when_its_record_is_in_the_store(tmp_path, monkeypatch):
    layout = Layout(str(tmp_path / "store"))
    journal.open_store(layout, create=True)
    told = []
    facts = HostFacts(host="here", hostname="here", boot="boot", code_version="0")
    poller = Poller(settings(), layout, facts, None, Offers(), told.append)
    take = polled.Take(key=TOKEN, body=json.dumps(message()).encode(), headers={"job-id": "one"})
    real = journal.journal

    def away(*_):
        raise OSError(errno.EIO, "the store is away")

    monkeypatch.setattr(journal, "journal", away)
    poller._attempt(take)
    assert [event for event in told if isinstance(event, polled.Taken)] == []
    monkeypatch.setattr(journal, "journal", real)
    for postponed in poller._postponed:
        poller._attempt(postponed)

    assert [event.what for event in told if isinstance(event, polled.Taken)] == ["new"]
    assert os.path.exists(layout.job("one").request)


# Pressure goes back to the broker (D2)


def test_the_window_is_a_header_of_the_subscription_itself():
    frames = []

    def script(conversation):
        conversation.read("CONNECT")
        conversation.write("CONNECTED", version="1.2")
        frames.append(conversation.read("SUBSCRIBE"))
        conversation.confirm(frames[0])
        conversation.until_closed()

    heard = Heard()
    with ScriptedBroker(script) as broker:
        link = make_link(heard, broker.port, subscriptions=("pending",), prefetch=3)
        link.start()
        heard.wait(Connected)
        link.stop(0.2)

    assert frames[0].headers.get("activemq.prefetchSize") == "3"
    assert "header" not in frames[0].headers


def test_with_too_much_waiting_a_delivery_stays_with_the_broker_until_there_is_less(desk):
    made = desk(store={"max_waiting": 5})
    made.tell(scanned(waiting=5))

    made.tell(Delivered(token=TOKEN, queue="pending", headers={}, body=b"{}"))

    assert made.orders.of(polled.Take) == []
    assert made.link.acked == []
    made.tell(scanned(waiting=4))
    assert len(made.orders.of(polled.Take)) == 1


# What came in under the keys of a reply (D7)


def test_what_an_old_error_said_does_not_come_back_with_a_success():
    stale = {"message": "REDUCTION Error: old", "retry_in": 21600, "error": "old"}
    decoded = request.decode(json.dumps(message(**stale)).encode(), {})
    context = replies.Context(job="job", attempt=1, epoch=1, host="here")

    reply = replies.complete("/queue/c", decoded.reply_body, context, replies.Report())

    said = json.loads(reply.body)
    assert said["message"] == ""
    assert not {"retry_in", "error"} & said.keys()


# The lock of an RB (D8)


def test_an_rb_lock_is_held_by_one(tmp_path):
    first = acquire(str(tmp_path / "rb" / "lock"))
    assert first is not None

    assert acquire(str(tmp_path / "rb" / "lock")) is None

    first.close()
    again = acquire(str(tmp_path / "rb" / "lock"))
    assert again is not None
    again.close()


def test_an_undecided_epoch_is_left_alone_while_anything_of_its_run_lives():
    assert next_step(RbState(last=3)) is Step.LEAVE
    for living in ({"shepherd_alive": True}, {"tree_alive": True}):
        assert proof(Evidence(same_host=True, same_boot=True, run_seen=True, **living)) is None


# Slots of a host (D9, D10)


def test_held_runs_of_one_rb_take_no_slot_from_another(desk):
    made = desk(2)
    made.tell(begun("busy"))

    made.tell(scanned(head("busy"), head("idle"), waiting=11))

    assert made.claimed() == ["idle"]


def test_no_more_runs_are_begun_than_there_are_slots(desk):
    made = desk(2)

    made.tell(scanned(head("a"), head("b"), head("c"), head("d"), waiting=4))
    made.tell(begun("a"))
    made.tell(scanned(head("b"), head("c"), head("d"), waiting=3))

    assert made.claimed() == ["a", "b"]


# What a cancel means (D11)


@pytest.fixture
def store(tmp_path):
    layout = Layout(str(tmp_path / "store"))
    journal.open_store(layout, create=True)
    return layout


def take(layout, job, time_ms, **keys):
    """Take a message as the poller does; return the jobs that a cancel has cancelled."""
    headers = {"job-id": job, "timestamp": str(time_ms)}
    body = json.dumps(message(**keys)).encode()
    what = intake.examine(body, headers, settings(), host="here", hostname="here", now=time_ms / 1000)
    if isinstance(what, intake.CancelRun):
        return journal.cancel_run(layout, what.cancel)
    assert isinstance(what, intake.Run), what
    assert journal.journal(layout, what.request) is journal.Taken.NEW
    return []


def is_cancelled(layout, job):
    return os.path.exists(layout.job(job).cancel)


@pytest.mark.parametrize("sent", [75513, 75513.0, "75513", " 0075513 "])
def test_a_cancel_finds_its_run_however_the_number_is_written(store, sent):
    take(store, "run", NOON, run_number="00075513")

    assert take(store, "cancel", NOON + 1, run_number=sent, cancel=True) == ["run"]


def test_a_cancel_of_another_instrument_is_not_ours(store):
    take(store, "cancel", NOON, instrument="HIFI", cancel=True)
    take(store, "run", NOON)

    assert journal.match_remembered(store, NOON / 1000) == []
    assert not is_cancelled(store, "run")


def test_a_cancel_that_came_first_is_used_once(store):
    take(store, "cancel", NOON + 1, cancel=True)

    take(store, "meant", NOON)
    take(store, "later", NOON)

    assert is_cancelled(store, "meant")
    assert not is_cancelled(store, "later")


def test_a_cancel_never_means_a_run_that_was_sent_after_it(store):
    take(store, "cancel", NOON, cancel=True)

    take(store, "later", NOON + 1)

    assert not is_cancelled(store, "later")


def test_a_cancel_that_meets_no_run_is_forgotten_after_a_day(store):
    take(store, "cancel", NOON, cancel=True)
    assert len(os.listdir(store.cancels)) == 1

    journal.match_remembered(store, NOON / 1000 + journal.CANCEL_EXPIRES + 1)

    assert os.listdir(store.cancels) == []


# Results in the archive (D12, D13, D14)


def staged(layout, target, *, job, n, mode):
    plan = RunPlan(
        errand="run",
        store=layout.root,
        rb="1510111",
        n=n,
        job=job,
        host="here",
        boot="boot",
        hostname="here",
        code_version="0",
        instrument="LET",
        run=str(n),
        target={"path": str(target), "layout": mode, "reported": str(target)},
    )
    place = layout.job(job)
    os.makedirs(place.attempt(n))
    made = staging.Staging(plan, place)
    made.open_archive()
    return made


def fill(made, outputs):
    fd = os.open(outputs, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made.fill(copyout.inspect(fd, Limits()), fd, {}, lambda _: None)
    finally:
        os.close(fd)


def content(folder):
    """Every file below a folder, with what it holds and its time."""
    found = {}
    for root, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = (file.read(), os.stat(path).st_mtime_ns)
    return found


def test_runs_of_one_rb_never_share_a_staging_folder(store, tmp_path):
    target, outputs = tmp_path / "archive" / "RB", tmp_path / "out"
    outputs.mkdir()
    (outputs / "second.nxs").write_text("second")

    first = staged(store, target, job="first", n=1, mode="merge")
    left = os.path.join(first.folder(first.targets[0]), "first.nxs")
    with open(left, "w") as file:
        file.write("first")
    second = staged(store, target, job="second", n=2, mode="merge")
    fill(second, outputs)

    assert os.path.exists(left)
    assert "first.nxs" not in content(second.folder(second.targets[0]))
    assert "second.nxs" in content(second.folder(second.targets[0]))


def test_a_copy_that_fails_leaves_the_old_result_as_it_was(store, tmp_path, monkeypatch):
    target, outputs = tmp_path / "archive" / "1", tmp_path / "out"
    for folder in (target / "inner", outputs):
        folder.mkdir(parents=True)
    (target / "inner" / "good.nxs").write_text("good")
    before = content(target.parent)

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(staging, "copy", full)
    made = staged(store, target, job="again", n=2, mode="replace")
    with pytest.raises(staging.SiteTrouble, match="no space left on device"):
        fill(made, outputs)
    made.drop()

    assert content(target.parent) == before


def test_a_file_that_is_older_than_what_stands_there_is_published_all_the_same(tmp_path):
    folder, own = tmp_path / "RB", tmp_path / ".autoreduce-job-0-2.1"
    for made in (folder, own):
        made.mkdir()
        (made / "sum.nxs").write_text(made.name)
    os.utime(own / "sum.nxs", (1, 1))
    os.utime(folder / "sum.nxs", (4_000_000_000, 4_000_000_000))
    (own / ".run").write_text("{}")
    target = Target(
        path=str(folder),
        staging=str(tmp_path / ".autoreduce-job-0"),
        mode="merge",
        suffix=".2",
        run="2",
        overwrite=True,
    )

    ending = merging.merge(
        target, n=2, rb="1", own=str(own), fence=lambda: True, beat=lambda: None, ended=lambda: False
    )

    assert ending is Ending.DONE
    assert (folder / "sum.nxs").read_text() == own.name


# The link, and text (D19)


def test_a_connection_that_ends_is_followed_by_another():
    def script(conversation):
        conversation.welcome(subscriptions=1)
        if conversation.number > 1:
            conversation.until_closed()

    heard = Heard()
    with ScriptedBroker(script) as broker:
        link = make_link(heard, broker.port, subscriptions=("pending",))
        link.start()
        wait_until(lambda: len(heard.of(Connected)) >= 2 or not link._thread.is_alive(), 60, "a second connection")
        link.stop(0.2)

    assert len(heard.of(Connected)) >= 2


def test_a_reply_says_text_beyond_ascii_whole():
    context = replies.Context(job="job", attempt=1, epoch=1, host="здесь")
    report = replies.Report(reduction_log="Å 散乱 \U0001f600".encode(), reduction_data=["\\\\isis\\größe"])

    reply = replies.error("/queue/e", message(title="Ångström"), context, report, message="keine Zählrate für 中性子")

    said = json.loads(reply.body)
    assert said["information"] == "здесь"
    assert said["title"] == "Ångström"
    assert said["message"] == "keine Zählrate für 中性子"
    assert said["reduction_log"] == "Å 散乱 \U0001f600"
    assert said["reduction_data"] == ["\\\\isis\\größe"]
