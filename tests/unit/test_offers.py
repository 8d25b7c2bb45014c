"""What a host offers: levels and interpreters, held against what an instrument needs."""

from __future__ import annotations

import sys

from supervisor import config
from supervisor.offers import Offers, find_out

TEXT = """
[interpreter]
argv = ["{python}"]
[interpreter.instrument.GEM]
argv = ["/none/python"]
[interpreter.instrument.WISH]
argv = ["/none/python"]
[interpreter.software."Mantid 6"]
argv = ["{python}"]
[instrument.LET]
require = "contained"
[spool]
path = "{spool}"
"""


def settings(tmp_path):
    return config.parse(TEXT.format(python=sys.executable, spool=tmp_path), "test")


def test_every_profile_is_tried_and_a_failing_one_stops_its_instruments_alone(tmp_path):
    known = settings(tmp_path)

    offers = find_out(known)

    assert set(offers.working) == {"interpreter", "interpreter.software.Mantid 6"}
    assert set(offers.failing) == {"interpreter.instrument.GEM", "interpreter.instrument.WISH"}
    assert "/none/python does not run scripts" in offers.why_not(known, "GEM")
    assert offers.why_not(known, "HRPD") == ""
    assert offers.why_not(known, "GEM", "mantid 6") == ""
    assert list(tmp_path.iterdir()) == []


def test_software_that_nobody_offers_is_not_this_hosts_fault(tmp_path):
    assert Offers().why_not(settings(tmp_path), "GEM", "Mantid 99") == ""


def test_a_floor_above_the_hosts_level_is_a_reason(tmp_path):
    known = settings(tmp_path)

    why = Offers(level="none").why_not(known, "LET")

    assert why == 'isolation "contained" is required for LET, and this host proves "none" only'
    assert Offers(level="contained").why_not(known, "LET") == ""
    assert Offers(level="hostile").why_not(known, "LET") == ""
