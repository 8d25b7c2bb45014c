"""The big numbers: every process, and the broker, killed or stopped while another stands at each point, and random kills.

AUTOREDUCE_SEED makes a random schedule come again; AUTOREDUCE_SCHEDULES says how many there are. AUTOREDUCE_EVERY=20
takes every twentieth case of a point with a victim, beginning with the seed.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
from functools import partial

import faultpoints
import pytest
from activemq import ActiveMQ
from faultpoints import Point
from invariants import Reader, check, snapshot
from scenarios import STORIES, Story, open_site
from victims import ROLES, kill, stop

SEED = int(os.environ.get("AUTOREDUCE_SEED", "0"))
SCHEDULES = int(os.environ.get("AUTOREDUCE_SCHEDULES", "50"))
#: A run whose builder, init or script is killed by a stranger ends so; such a run is not repeated.
BY_A_STRANGER = {"killed_external", "setup_failed"}

EVERY = int(os.environ.get("AUTOREDUCE_EVERY", "1"))
#: How long a stopped process stands, seconds: longer than any beat, shorter than what counts as silence.
STOPPED = 1.5

pytestmark = pytest.mark.soak


def cases(points: list[Point], victims: tuple[str, ...]) -> list[tuple[Point, str, str]]:
    """Every point with every victim that is killed or stopped, or one in `EVERY` of them."""
    every = list(itertools.product(points, victims, ("killed", "stopped")))
    return every[SEED % EVERY :: EVERY]


def named(value: object) -> str:
    """The name of a point, or a word as it is."""
    return value.name if isinstance(value, Point) else str(value)


def lenient(story: Story) -> dict[str, set[str]]:
    """The verdicts of a story in which processes of the box are killed from outside as well."""
    return {job: verdicts | BY_A_STRANGER for job, verdicts in story.verdicts.items()}


@pytest.mark.parametrize(("point", "role", "what"), cases(faultpoints.load(), ROLES), ids=named)
def test_whoever_dies_or_stands_still_while_another_stands_at_a_point(point: Point, role, what, tmp_path, request):
    story = STORIES[point.story]
    broker_port = request.getfixturevalue("activemq").port if story.broker else 0
    with open_site(tmp_path / "site", story, broker_port) as site:
        story.prepare(site)
        before = snapshot(site, story)
        strike = partial(kill, site, role) if what == "killed" else partial(stop, site, role, STOPPED)
        site.hold_nth(point.process, point.label, point.nth, strike)
        with Reader(site, story):
            story.act(site)
            site.until(lambda: not site.armed, f"{point.name} to be reached")
            site.settle()
        check(site, story, before, verdicts=lenient(story))


@pytest.fixture(scope="module")
def frail(tmp_path_factory):
    """A broker that is killed and stopped."""
    broker = ActiveMQ(tmp_path_factory.mktemp("frail"))
    broker.start()
    yield broker
    broker.kill()


def of_brokers(points: list[Point]) -> list[Point]:
    """The points of stories that need a broker."""
    return [point for point in points if STORIES[point.story].broker]


@pytest.mark.parametrize(("point", "role", "what"), cases(of_brokers(faultpoints.load()), ("broker",)), ids=named)
def test_the_broker_dies_or_stands_still_while_somebody_stands_at_a_point(point: Point, role, what, frail, tmp_path):
    story = STORIES[point.story]
    with open_site(tmp_path / "site", story, frail.port) as site:
        story.prepare(site)
        before = snapshot(site, story)

        def strike():
            if what == "killed":
                frail.restart()
                site.spare(frail.pid)
            else:
                frail.freeze()
                thaw.start()

        # On a thread of its own: the story's producer may be waiting for the broker.
        thaw = threading.Timer(STOPPED, frail.thaw)
        site.hold_nth(point.process, point.label, point.nth, strike)
        with Reader(site, story):
            story.act(site)
            site.until(lambda: not site.armed, f"{point.name} to be reached")
            site.settle()
        if what == "stopped":
            thaw.join()
        check(site, story, before, verdicts=lenient(story))


@pytest.mark.parametrize("number", range(SCHEDULES))
def test_random_kills_at_random_moments(number, tmp_path, request):
    luck = random.Random(f"{SEED} {number}")
    name = luck.choice(sorted(STORIES))
    story = STORIES[name]
    broker_port = request.getfixturevalue("activemq").port if story.broker else 0
    with open_site(tmp_path / "site", story, broker_port) as site:
        story.prepare(site)
        before = snapshot(site, story)
        kills = [(luck.choice(ROLES), luck.uniform(0.0, 0.4)) for _ in range(luck.randint(1, 3))]
        print(f"seed {SEED}, schedule {number}: {name}, {kills}")
        with Reader(site, story):
            site.kill_later([(after, lambda role=role: kill(site, role)) for role, after in kills])
            story.act(site)
            site.settle()
        check(site, story, before, verdicts=lenient(story))
