"""The model's counterexamples C1 to C17 and the schedules of its mutants, with real hosts at fail-points.

Each is a list of steps in `claimtraces` or `promotiontraces`. `tests/mutants/test_protocol.py` plays the same steps with
one correction taken away. C17 is C9 in a protocol with all else corrected, as the code is; M7 has the steps of C5.
"""

from __future__ import annotations

import pytest
from counterexamples import TRACES, open_fleet, play
from promotiontraces import ASIDE, FENCE, IN, freeze_and_land

#: They wait for a host to be taken over by the clock, or show another side of what a quicker one shows.
SLOW = ("C2", "C3a", "C4_running", "C8", "C10", "C11_host", "C12_late", "C13", "C14", "C16", "M2_final", "M4_run", "M8")
PLACED = "store.link promoted-done before"
#: Where A freezes in its promotion, and where B has come when it thaws; what B does not reach after A is left out.
FROZEN_AT = (f"{FENCE} before", f"{FENCE} after", f"{ASIDE} before", f"{ASIDE} after", f"{IN} before")
THAWED_AT = (
    (f"{FENCE} after", 1),
    (f"{IN} before", 1),
    (PLACED, 1),
    (f"{FENCE} after", 2),
    (f"{ASIDE} after", 2),
    (f"{IN} before", 2),
    (f"{IN} after", 2),
    ("store.link promoted-done after", 2),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.soak] if name in SLOW else []) for name in sorted(TRACES)]
)
def test_the_code_ends_well_where_a_weaker_protocol_does_not(name, tmp_path, request):
    trace = TRACES[name]
    play(trace, tmp_path / "f", broker_port=request.getfixturevalue("activemq").port if trace.broker else 0)


def _told(point: str) -> str:
    return point.split(".")[1].replace(" ", "_")


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("thawed_at", THAWED_AT, ids=lambda at: f"thaws_{_told(at[0])}_{at[1]}")
@pytest.mark.parametrize("frozen_at", FROZEN_AT, ids=lambda at: f"freezes_{_told(at)}")
def test_a_promoter_that_freezes_anywhere_and_lands_late_harms_nothing(frozen_at, thawed_at, tmp_path):
    with open_fleet(TRACES["C7"], tmp_path / "f") as fleet:
        freeze_and_land(fleet, frozen_at, *thawed_at)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("frozen_at", [f"{IN} after", PLACED], ids=_told)
def test_a_promoter_that_freezes_with_its_result_in_place_is_followed_by_one_that_renames_nothing(frozen_at, tmp_path):
    with open_fleet(TRACES["C7"], tmp_path / "f") as fleet:
        freeze_and_land(fleet, frozen_at, PLACED, 1)
