"""Every fail-point of the adapters, each hit once: the process that stands there dies, and all comes right again."""

from __future__ import annotations

import re

import faultpoints
import pytest
from faultpoints import Point
from invariants import Reader, check, snapshot
from scenarios import STORIES, open_site

POINTS = faultpoints.load()
#: One point in so many is killed at in every test run, spread over all stories; the soak takes the rest.
SHARE = 5
OVERTAKING = re.compile(r"^supervisor store\.\S+ (?:remembered-)?cancel (?:before|after)$")
REGENERATE = "the code has other fail-points than the list; run: python tests/fleet/points.py --write"


def test_the_list_is_what_a_fresh_trace_of_every_story_reaches(activemq):
    """A new adapter call makes a new point, which is then killed at as well."""
    fresh, listed = faultpoints.labels(faultpoints.generate(activemq.port)), faultpoints.labels(POINTS)
    # A remembered cancel is matched by whoever looks first: mostly the verb that submits the job, in the story of a
    # cancel that came first, and on a busy machine the supervisor. Nobody is killed in that way of the supervisor.
    fresh -= {label for label in fresh - listed if OVERTAKING.search(label)}
    assert fresh == listed, f"{REGENERATE}\nnew: {sorted(fresh - listed)}\ngone: {sorted(listed - fresh)}"


def _drawn(number: int, point: Point):
    return pytest.param(point, id=point.name, marks=[pytest.mark.soak] if number % SHARE else [])


@pytest.mark.parametrize("point", [_drawn(number, point) for number, point in enumerate(POINTS)])
def test_whoever_dies_at_a_point_nothing_is_lost_and_nothing_half_written_is_seen(point: Point, tmp_path, request):
    story = STORIES[point.story]
    broker_port = request.getfixturevalue("activemq").port if story.broker else 0
    with open_site(tmp_path / "site", story, broker_port) as site:
        story.prepare(site)
        before = snapshot(site, story)
        site.arm_nth(point.process, point.label, point.nth)
        with Reader(site, story):
            story.act(site)
            site.until(lambda: not site.armed, f"{point.name} to be reached")
            site.settle()
        check(site, story, before)
