"""Wrong authorities, names, dates, files and passwords at both brokers: one sentence, few tries, nothing in clear."""

from __future__ import annotations

import logging
import os

import pytest
from activemq import free_port
from bothbrokers import KINDS, PASSWORD, USER
from brokerevents import Heard
from pauses import troubles_in
from relay import Relay

from supervisor.broker import Connected, Sent

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("guarded brokers")]

#: The span of the waiting times that are counted, in seconds, and the tries that the back-off makes in it: full jitter
#: below 30 s gives one in 15 s on average; credentials are tried once in 30 to 60 s.
SPAN = 200.0
TRIES = range(10, 40)
SLOW_TRIES = range(4, 9)


#: ActiveMQ closes a connection that it refuses without waiting until its ERROR is written: seen once in some hundred
#: tries on a busy machine. The next try says why.
LOST = " closed the connection instead of CONNECTED"


@pytest.fixture(scope="module", params=list(KINDS))
def lapsed(request, tmp_path_factory, papers):
    """A broker whose certificate has expired."""
    broker = KINDS[request.param](tmp_path_factory.mktemp("lapsed"), keystore=papers.expired)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def trusting(papers):
    """What a link that does everything right needs at a guarded broker."""
    return {
        "tls": True,
        "host": "localhost",
        "user": USER,
        "password": PASSWORD,
        "ca_file": str(papers.authority),
    }


def only(troubles, tries, span=SPAN, once=""):
    """The one thing that was said all the time, after a number of tries that is neither too large nor too small.

    What ends in `once` may come a single time beside it.
    """
    print(f"{len(troubles)} tries in {span:.0f} s: {troubles[0]}")
    assert len(troubles) in tries
    besides = [text for text in troubles if once and text.endswith(once)]
    said = {text for text in troubles if text not in besides}
    assert len(said) == 1, set(troubles)
    assert len(besides) <= 1, troubles
    return said.pop()


def test_the_right_papers_and_password_connect(guarded, trusting, papers, queues, heard, linked):
    cert_file, key_file = map(str, papers.client)
    for port, own in ((guarded.tls_port, {}), (guarded.mutual_port, {"cert_file": cert_file, "key_file": key_file})):
        listening = Heard()
        link = linked(listening, port, **trusting, **own)
        link.send("r", queues("out"), "x", {})
        assert listening.answer("r") == Sent(key="r")


def test_an_authority_that_did_not_sign_the_brokers_certificate(guarded, trusting, papers):
    text = only(troubles_in(SPAN, guarded.tls_port, **{**trusting, "ca_file": str(papers.stranger)}), TRIES)

    assert text.startswith(f"broker localhost:{guarded.tls_port} is not trusted: ")
    assert f'signed by none of broker ca_file "{papers.stranger}"' in text


def test_the_authorities_of_the_system_do_not_know_a_private_one(guarded, trusting):
    text = only(troubles_in(SPAN, guarded.tls_port, **{**trusting, "ca_file": None}), TRIES)

    assert "signed by none of the system (no broker ca_file)" in text


def test_a_name_that_the_certificate_does_not_bear(guarded, trusting):
    text = only(troubles_in(SPAN, guarded.tls_port, **{**trusting, "host": "127.0.0.1"}), TRIES)

    assert "is not trusted: " in text
    assert "write the name that its certificate bears in broker url" in text


def test_a_certificate_that_has_expired(lapsed, trusting):
    text = only(troubles_in(SPAN, lapsed.tls_port, **trusting), TRIES)

    assert "certificate has expired; renew the broker's certificate" in text


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
def test_a_file_that_is_missing(name, guarded, trusting, papers, tmp_path):
    cert_file, key_file = map(str, papers.client)
    own = {} if name == "ca_file" else {"cert_file": cert_file, "key_file": key_file}
    missing = str(tmp_path / "missing.pem")

    text = only(troubles_in(SPAN, guarded.tls_port, **{**trusting, **own, name: missing}), TRIES)

    assert text == f'cannot read broker {name} "{missing}": No such file or directory'


def test_a_broker_that_asks_for_a_certificate_and_gets_none(guarded, trusting):
    text = only(troubles_in(SPAN, guarded.mutual_port, **trusting), TRIES)

    assert text.startswith(f"broker localhost:{guarded.mutual_port} closed the connection instead of CONNECTED: ")
    assert text.endswith("it asks for a certificate of ours: set broker cert_file and key_file")


def test_a_broker_that_does_not_take_our_certificate(guarded, trusting, papers):
    own = {"cert_file": str(papers.stranger), "key_file": str(papers.stranger.with_suffix(".key"))}

    text = only(troubles_in(SPAN, guarded.mutual_port, **trusting, **own), TRIES)

    assert text.endswith(f'it does not take our certificate: check broker cert_file "{papers.stranger}"')


@pytest.mark.parametrize("tls", [True, False])
def test_a_wrong_password_is_told_without_it(tls, guarded, trusting, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = {**trusting, "password": "wrong-Pa55"} if tls else {"user": USER, "password": "wrong-Pa55"}
    port = guarded.tls_port if tls else guarded.port
    said = []

    text = only(
        troubles_in(SPAN, port, check=lambda heard: said.append(str(heard.all())), **wrong), SLOW_TRIES, once=LOST
    )

    host = "localhost" if tls else "127.0.0.1"
    assert text.startswith(f'broker refused the credentials of user "{USER}" at {host}:{port}')
    assert "wrong-Pa55" not in f"{text}{said}{caplog.text}"


def test_no_credentials_where_some_are_needed(guarded):
    assert "credentials (none were given)" in only(troubles_in(SPAN, guarded.port), SLOW_TRIES, once=LOST)


def test_a_closed_port(heard):
    port = free_port()

    assert only(troubles_in(SPAN, port), TRIES) == f"cannot connect to broker 127.0.0.1:{port}: Connection refused"


def test_a_clear_port_taken_for_tls_gets_no_word_of_ours(guarded, trusting):
    with Relay(guarded.port) as relay:
        text = only(troubles_in(20, relay.port, connect_timeout=1.0, **trusting), range(4, 12), 20)

        assert text.endswith(f"{relay.port} failed: no answer in time; does it speak TLS on this port?")
        _assert_only_tls(relay)


def test_a_broker_that_is_not_trusted_gets_no_word_of_ours(guarded, trusting, papers):
    with Relay(guarded.tls_port) as relay:
        only(troubles_in(SPAN, relay.port, **{**trusting, "ca_file": str(papers.stranger)}), TRIES)

        _assert_only_tls(relay)


def test_by_tls_the_password_goes_out_sealed(guarded, trusting, heard, linked):
    with Relay(guarded.tls_port) as relay:
        linked(heard, relay.port, **trusting)
        assert heard.of(Connected)

        _assert_only_tls(relay)


def _assert_only_tls(relay):
    """Every connection began with a record of a TLS handshake (RFC 8446, 5.1), and none said the password."""
    assert relay.sent
    for data in relay.sent:
        assert data[:1] == b"\x16"
        assert PASSWORD.encode() not in data
        assert b"CONNECT" not in data


def test_a_key_that_is_no_key_is_named(guarded, trusting, papers, tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("no key")
    os.chmod(key, 0o600)

    own = {"cert_file": str(papers.client[0]), "key_file": str(key)}
    text = only(troubles_in(SPAN, guarded.tls_port, **trusting, **own), TRIES)

    assert f'broker cert_file "{papers.client[0]}" and its key are no unencrypted PEM pair' in text
