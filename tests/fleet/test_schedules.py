"""The big numbers: every process killed while another stands at each point, and kills at random moments.

AUTOREDUCE_SEED makes a random schedule come again; AUTOREDUCE_SCHEDULES says how many there are.
"""

from __future__ import annotations

import os
import random

import faultpoints
import pytest
from faultpoints import Point
from invariants import Reader, check, snapshot
from scenarios import STORIES, Story, open_site
from victims import ROLES, kill

SEED = int(os.environ.get("AUTOREDUCE_SEED", "0"))
SCHEDULES = int(os.environ.get("AUTOREDUCE_SCHEDULES", "50"))
#: A run whose builder, init or script is killed by a stranger ends so; such a run is not repeated.
BY_A_STRANGER = {"killed_external", "setup_failed"}

pytestmark = pytest.mark.soak


def lenient(story: Story) -> dict[str, set[str]]:
    """The verdicts of a story in which processes of the box are killed from outside as well."""
    return {job: verdicts | BY_A_STRANGER for job, verdicts in story.verdicts.items()}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("point", faultpoints.load(), ids=lambda point: point.name)
def test_whoever_dies_while_another_stands_at_a_point(point: Point, role, tmp_path, request):
    story = STORIES[point.story]
    broker_port = request.getfixturevalue("activemq").port if story.broker else 0
    with open_site(tmp_path / "site", story, broker_port) as site:
        story.prepare(site)
        before = snapshot(site, story)
        site.hold_nth(point.process, point.label, point.nth, lambda: kill(site, role))
        with Reader(site, story):
            story.act(site)
            site.until(lambda: not site.armed, f"{point.name} to be reached")
            site.settle()
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
