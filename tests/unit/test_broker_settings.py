from __future__ import annotations

import pytest

from supervisor.broker import BrokerSettings
from supervisor.brokerwords import denies_access, refusal, said, silence_seconds

HOSTS = (("broker.example", 61613, False),)


def test_the_password_is_not_in_the_repr():
    settings = BrokerSettings(hosts=HOSTS, user="amq", password="s3cret")

    assert "s3cret" not in repr(settings)
    assert "amq" in repr(settings)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"hosts": ()}, "hosts"),
        ({"hosts": (("", 1, False),)}, "host"),
        ({"hosts": (("h", 70000, False),)}, "port"),
        ({"heartbeat_ms": 0}, "heartbeat_ms"),
        ({"prefetch": 0}, "prefetch"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"receipt_timeout": -1}, "receipt_timeout"),
        ({"silence_factor": 1.0}, "silence_factor"),
        ({"key_file": "k"}, "cert_file"),
        ({"user": "a\nb"}, "user"),
        ({"vhost": "a\0"}, "vhost"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(values, word):
    with pytest.raises(ValueError, match=word):
        BrokerSettings(**({"hosts": HOSTS} | values))


def test_a_password_that_cannot_work_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="password") as caught:
        BrokerSettings(hosts=HOSTS, password="top\nsecret")

    assert "top" not in str(caught.value)


def test_a_brokers_words_come_as_one_bounded_line_without_our_password():
    settings = BrokerSettings(hosts=HOSTS, user="amq", password="s3cret")

    line = said({}, b"bad login amq/s3cret\n\tat java.lang\x1b[31m\xff" + b"x" * 1000, settings)

    assert line.startswith("bad login amq/******** at java.lang [31m\ufffdxxx")
    assert len(line) == 300
    assert said({"message": "short"}, b"long", settings) == "short"
    assert said({}, b" \n", settings) == "no reason given"


@pytest.mark.parametrize(
    "words",
    [
        "User name [x] or password is invalid.",
        "Security Error occurred: User name [null] or password is invalid",
        "Access refused for user 'x'",
        "Bad CREDENTIALS",
    ],
)
def test_refused_credentials_are_known_in_the_words_of_each_broker(words):
    settings = BrokerSettings(hosts=HOSTS, user="x", password="y" * 9)

    why, slow = refusal("h:1", words, settings)

    assert denies_access(words)
    assert slow
    assert why.startswith('broker refused the credentials of user "x" at h:1')


def test_another_refusal_is_not_blamed_on_the_credentials():
    why, slow = refusal("h:1", "Virtual host 'x' unknown", BrokerSettings(hosts=HOSTS))

    assert why == "broker h:1 refused the connection: Virtual host 'x' unknown"
    assert not slow


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("0,0", None), ("", None), ("x,y", None), ("²,1", None), ("1000,0", 10.0), ("8000, 8000", 20.0)],
)
def test_the_longer_interval_of_both_sides_counts(answer, expected):
    settings = BrokerSettings(hosts=HOSTS, heartbeat_ms=4000, silence_factor=2.5)

    assert silence_seconds(answer, settings) == expected
