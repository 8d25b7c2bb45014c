"""`--since`: one reader for every verb that looks back."""

from __future__ import annotations

import argparse

import pytest

from supervisor.sincewhen import moment_since, since


def test_since_is_how_long_ago_or_a_time():
    assert moment_since("2 h", 10_000.0) == 2_800.0
    assert moment_since("1970-01-02T00:00:00Z", 0.0) == 86_400.0
    with pytest.raises(ValueError, match="is no time"):
        moment_since("soon", 0.0)


@pytest.mark.parametrize("text", ["soon", "", "-", "9999999999 d", "nan s"])
def test_what_is_no_time_is_told_with_an_example(text):
    with pytest.raises(argparse.ArgumentTypeError, match='write for example "2 h"'):
        since(text)
