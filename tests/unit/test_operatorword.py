"""Who gives an operator's word."""

from __future__ import annotations

import pytest

from supervisor.operatorword import operator


@pytest.mark.parametrize(
    ("environ", "said"), [({}, "root"), ({"SUDO_USER": "anna"}, "anna (as root)"), ({"SUDO_USER": "root"}, "root")]
)
def test_the_operator_is_the_person_behind_sudo(environ, said):
    assert operator(environ, 0) == said


def test_an_operator_without_a_name_is_named_by_number():
    assert operator({}, 987654) == "uid 987654"
