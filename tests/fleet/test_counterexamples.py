"""The model's counterexamples C1 to C17 and the schedules of its mutants, with real hosts at fail-points."""

from __future__ import annotations

import pytest
from counterexamples import TRACES, play


@pytest.mark.parametrize("name", sorted(TRACES))
def test_the_code_ends_well_where_a_weaker_protocol_does_not(name, tmp_path, request):
    trace = TRACES[name]
    play(trace, tmp_path / "f", broker_port=request.getfixturevalue("activemq").port if trace.broker else 0)
