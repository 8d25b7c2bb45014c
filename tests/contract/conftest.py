"""What the contract tests share: both brokers with TLS, the ways to reach them, and brokers that a test may end."""

from __future__ import annotations

import pytest
from bothbrokers import KINDS, PASSWORD, USER, Way, make_papers
from brokerevents import Heard, make_link
from stompclient import StompClient

from supervisor.broker import Connected


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    """The certificates that the brokers of this session show and trust."""
    return make_papers(tmp_path_factory.mktemp("papers"))


def _standing(kind):
    @pytest.fixture(scope="session")
    def broker(tmp_path_factory, papers):
        broker = KINDS[kind](tmp_path_factory.mktemp(kind), keystore=papers.keystore)
        broker.start()
        yield broker
        broker.kill()

    return broker


classic = _standing("classic")
artemis = _standing("artemis")


@pytest.fixture(params=["classic-plain", "classic-tls", "artemis-plain", "artemis-tls"])
def way(request, papers):
    """Each way to each broker, which all tests share and none may end."""
    kind, how = request.param.split("-")
    broker = request.getfixturevalue(kind)
    return Way(kind=kind, broker=broker, tls=how == "tls", authority=papers.authority)


@pytest.fixture(params=["classic", "artemis"])
def plain_way(request, papers):
    """Each broker in clear text."""
    return Way(kind=request.param, broker=request.getfixturevalue(request.param), tls=False, authority=papers.authority)


@pytest.fixture
def every_way(classic, artemis, papers):
    """All the ways at once."""
    brokers = {"classic": classic, "artemis": artemis}
    return [
        Way(kind=kind, broker=broker, tls=tls, authority=papers.authority)
        for kind, broker in brokers.items()
        for tls in (False, True)
    ]


@pytest.fixture
def client(request):
    """A producer of today, in clear text, at the broker of the test."""
    name = "way" if "way" in request.fixturenames else "plain_way"
    with StompClient(request.getfixturevalue(name).broker.port) as plain:
        yield plain


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def linked():
    """Makes started links, and stops them at the end."""
    links = []

    def make(heard, *ports, connected=True, **settings):
        link = make_link(heard, *ports, **settings)
        links.append(link)
        link.start()
        if connected:
            heard.wait(Connected)
        return link

    yield make
    for link in links:
        link.stop(2)


@pytest.fixture(scope="session", params=list(KINDS))
def guarded(request, tmp_path_factory, papers):
    """A broker of each kind with a login, TLS, and a port that asks for a certificate; nobody may end it."""
    broker = KINDS[request.param](
        tmp_path_factory.mktemp("guarded"),
        user=USER,
        password=PASSWORD,
        keystore=papers.keystore,
        truststore=papers.truststore,
    )
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def own_broker(tmp_path):
    """Makes brokers that the test may kill and freeze."""
    brokers = []

    def make(kind, **settings):
        broker = KINDS[kind](tmp_path / f"broker{len(brokers)}", **settings)
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.kill()
