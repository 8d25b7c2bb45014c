"""`[metrics]`: which addresses can be written, and which need a second word."""

from __future__ import annotations

import pytest

from supervisor import config
from supervisor.metricslisten import parse_listen


def problems(**keys):
    with pytest.raises(config.ConfigProblems) as found:
        config.validate({"metrics": keys}, "test")
    return found.value.problems


def test_nothing_is_served_by_default():
    assert config.validate({}, "test").metrics.listen == ""


@pytest.mark.parametrize("text", ["127.0.0.1:9464", "127.9.9.9:1", "[::1]:65535"])
def test_loopback_addresses_can_be_written(text):
    assert config.validate({"metrics": {"listen": text}}, "test").metrics.listen == text


@pytest.mark.parametrize("text", ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "[2001:db8::1]:9464"])
def test_an_address_that_others_reach_needs_a_second_word(text):
    (problem,) = problems(listen=text)
    assert f"metrics: listen ({text})" in problem
    assert "public = true" in problem
    assert config.validate({"metrics": {"listen": text, "public": True}}, "test").metrics.listen == text


@pytest.mark.parametrize(
    "text", ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:9464",
             "[127.0.0.1]:9464", "127.0.0.1:٣", "127.0.0.1:+1", "127.0.0.1:" + "9" * 5000, "[::1%lo\n]:1", "a\0:1"],
)  # fmt: skip
def test_what_is_no_address_is_a_problem_with_a_remedy(text):
    (problem,) = problems(listen=text, public=True)
    assert problem.startswith("metrics.listen")
    assert 'write for example "127.0.0.1:9464"' in problem


def test_an_address_is_read_into_its_parts():
    address = parse_listen("[::1]:9464")
    assert (address.host, address.port, address.six, address.loopback) == ("::1", 9464, True, True)
