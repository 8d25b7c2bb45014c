"""Descriptors of a box keep their kinds on the way to its shepherd."""

from __future__ import annotations

import pytest

from sandbox.views import Views


@pytest.mark.parametrize(
    "made",
    [
        Views(),
        Views(volumes=(3, 4)),
        Views(volumes=(3, 4), hard=(5, 6, 7)),
        Views(objects=(8, 9, 10)),
        Views(volumes=(3, 4), hard=(5, 6, 7), objects=(8,)),
    ],
)
def test_what_is_sent_is_what_is_taken(made):
    assert Views.of(made.kinds(), made.all()) == made


def test_a_descriptor_without_a_kind_is_not_taken_for_something_else():
    with pytest.raises(ValueError, match="zip"):
        Views.of(b"v", (3, 4))
