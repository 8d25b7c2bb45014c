"""The format of the store is raised when every living host can read it, and never lowered."""

from __future__ import annotations

import pytest
from storemaking import make_store

from supervisor import durable, failpoints, journal, records, storeformat
from supervisor.fleetformat import FleetLook, upgrade
from supervisor.hosts import HostBeat, read_beat, write_beat
from supervisor.records import CorruptRecord
from supervisor.storeformat import StoreFormat, UnknownStore, Unraised, may_raise

NEWER = (1, 2)
DAY = 86400.0


@pytest.fixture
def layout(tmp_path):
    return make_store(tmp_path)


class Fleet:
    """Hosts that beat, or do not, while the upgrade looks at them."""

    def __init__(self, layout):
        self.layout = layout
        self.moving = set()
        self.age = 0.0

    def beat(self, host, *, reads=NEWER, state="running", moving=True, counter=1):
        write_beat(
            self.layout,
            HostBeat(
                host=host,
                boot="b",
                counter=counter,
                slots=1,
                running=0,
                version="1",
                level="",
                state=state,
                reads=[*reads],
            ),
        )
        if moving:
            self.moving.add(host)

    def pass_time(self, _seconds):
        for host in self.moving:
            before = read_beat(self.layout, host)
            self.beat(host, reads=before.reads, state=before.state, counter=before.counter + 1)

    def look(self, *without):
        made = durable.made_at(self.layout.format)
        return FleetLook(
            layout=self.layout,
            watch=30.0,
            dead_after=7 * DAY,
            without=without,
            sleep=self.pass_time,
            now=lambda: made + self.age,
        )

    def upgrade(self, *without, to=2, reads=NEWER):
        return upgrade(self.look(*without), to, reads)


@pytest.fixture
def fleet(layout):
    return Fleet(layout)


def test_it_is_raised_when_every_living_host_reads_it(fleet, layout):
    fleet.beat("a")
    fleet.beat("b")
    fleet.beat("old", reads=(1,), state="stopped", moving=False)
    before, seen = fleet.upgrade()
    assert before.number == 1
    assert {host.host: host.state for host in seen} == {"a": "living", "b": "living", "old": "stopped"}
    assert storeformat.read(layout) == StoreFormat(number=2)
    assert storeformat.check(layout, NEWER).number == 2
    with pytest.raises(UnknownStore, match="has format 2, and this version reads format 1; upgrade this host"):
        journal.open_store(layout, create=False)


def test_a_living_host_that_cannot_read_it_is_in_the_way_and_named(fleet, layout):
    fleet.beat("new")
    fleet.beat("old", reads=(1,))
    with pytest.raises(Unraised, match=r"cannot be read by old \(living, version 1, reads format 1\)"):
        fleet.upgrade()
    with pytest.raises(Unraised, match="old"):
        fleet.upgrade("old")  # it lives, whatever is said of it
    assert storeformat.read(layout) == StoreFormat(number=1)


def test_a_silent_host_is_in_the_way_until_it_is_dead_by_age_or_by_word(fleet, layout):
    fleet.beat("silent", reads=(1,), moving=False)
    with pytest.raises(Unraised, match="--without HOST"):
        fleet.upgrade()
    fleet.upgrade("silent")
    assert storeformat.read(layout).number == 2


def test_a_host_that_was_silent_for_a_week_is_dead_and_listed(fleet, layout):
    fleet.beat("silent", reads=(1,), moving=False)
    fleet.age = 8 * DAY
    _, seen = fleet.upgrade()
    assert [(host.host, host.state) for host in seen] == [("silent", "dead")]
    assert storeformat.read(layout).number == 2


def test_a_silent_host_that_reads_it_is_no_obstacle(fleet, layout):
    fleet.beat("silent", moving=False)
    fleet.upgrade()
    assert storeformat.read(layout).number == 2


@pytest.mark.parametrize(
    ("current", "new", "reads", "match"),
    [
        (2, 1, (1, 2), "never brought back to 1"),
        (1, 2, (1,), "this version reads format 1, not 2"),
        (1, 3, (2, 3), "raise it to 2 first"),
    ],
)
def test_what_needs_no_look_at_the_fleet(current, new, reads, match):
    with pytest.raises(Unraised, match=match):
        may_raise(StoreFormat(number=current), new, reads, [])


def test_nothing_changes_where_there_is_nothing_to_raise(fleet, layout):
    fleet.beat("old", reads=(1,))
    data = durable.read(layout.format)
    assert fleet.upgrade(to=1) == (StoreFormat(number=1), [])
    assert durable.read(layout.format) == data


def test_a_host_that_comes_up_in_the_middle_sees_the_announcement(fleet, layout):
    """It beats first and looks at the format afterwards; the upgrade announces first and looks at beats afterwards."""
    said = []

    def come_up(_seconds):
        with pytest.raises(UnknownStore, match="is being raised to format 2"):
            storeformat.check(layout, (1,))
        said.append("refused")

    look = fleet.look()
    fleet.beat("here", moving=False)
    upgrade(
        FleetLook(layout=layout, watch=1.0, dead_after=DAY, without=(), sleep=come_up, now=look.now),
        2,
        NEWER,
    )
    assert said == ["refused"]


@pytest.mark.parametrize("point", range(12))
def test_an_upgrade_that_dies_leaves_a_store_that_can_be_raised_again(point, fleet, layout):
    fleet.beat("here")
    count = [0]

    def die(_label):
        count[0] += 1
        if count[0] == point + 1:
            failpoints.set_hook(None)
            raise KeyboardInterrupt

    look = fleet.look()
    still = FleetLook(layout=layout, watch=0.0, dead_after=DAY, without=(), sleep=lambda _: None, now=look.now)
    failpoints.set_hook(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            upgrade(still, 2, NEWER)
    finally:
        failpoints.set_hook(None)
    fleet.upgrade()
    assert storeformat.read(layout) == StoreFormat(number=2)


def test_an_announcement_that_a_dead_upgrade_left_is_taken_back_by_the_next(fleet, layout):
    storeformat.announce(layout, StoreFormat(number=1), 2)
    fleet.upgrade(to=1)
    assert storeformat.read(layout) == StoreFormat(number=1)


def test_fields_of_a_newer_version_are_kept(fleet, layout):
    durable.replace(layout.format, records.pack({"format": 1, "made_by": "somebody"}), "format")
    fleet.upgrade()
    assert records.unpack("", durable.read(layout.format)) == {"v": 1, "format": 2, "made_by": "somebody"}


def test_a_reader_knows_the_newest_version_and_the_one_before():
    newer = records.pack({"job": "1", "unknown": True}, 2)
    assert records.unpack("", newer, NEWER) == {"v": 2, "job": "1", "unknown": True}
    assert records.unpack("", records.pack({"job": "1"}), NEWER)["v"] == 1
    with pytest.raises(CorruptRecord, match="version 2 is not 1; upgrade this host"):
        records.unpack("", newer)
    with pytest.raises(CorruptRecord, match="version 1 is not 2 or 3"):
        records.unpack("", records.pack({"job": "1"}), (2, 3))


def test_a_spoilt_format_is_told_as_a_record_that_cannot_be_read(layout):
    durable.replace(layout.format, records.pack({"format": "one"}), "format")
    with pytest.raises(CorruptRecord, match="its format 'one' is no number"):
        storeformat.check(layout)


def test_a_heartbeat_of_before_there_were_two_formats_reads_the_first():
    old = HostBeat(host="h", boot="b", counter=1, slots=1, running=0, version="", level="")
    assert old.reads == [1]
