"""What the acceptance tests share: sites on the session's broker, and a broker that asks for a password."""

from __future__ import annotations

import contextlib

import pytest
from acceptancesite import Site
from activemq import ActiveMQ


@pytest.fixture
def make_site(activemq, tmp_path):
    """Makes sites on the session's broker (or another one, or none), and ends them after the test."""
    with contextlib.ExitStack() as sites:

        def make(*, broker=activemq, **sections):
            folder = tmp_path / f"site{len(list(tmp_path.iterdir()))}"
            return sites.enter_context(Site(folder, broker, **sections))

        yield make


@pytest.fixture
def site(make_site):
    """A site with the defaults of the tests: two slots, the queues of 2016."""
    return make_site()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    """A broker for the group `guarded` alone: it takes one user with a password, and may be killed and started again."""
    broker = ActiveMQ(
        tmp_path_factory.mktemp("guarded"), max_frame_size=1 << 20, user="autoreduce", password="Gr-0ss3s_Geheimnis"
    )
    broker.start()
    yield broker
    broker.kill()
