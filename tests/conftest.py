"""What all tests share: one real broker per session (and xdist worker), and queue names that no other test uses."""

from __future__ import annotations

import signal
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from activemq import ActiveMQ
from artemis import Artemis
from hypothesis import settings

from sandbox.cgroups import Groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


#: Texts for boxes, some of them no Python of today.
collect_ignore = ["fieldscripts"]

# A checkout of somebody else's is not written to, and a busy box is no reason to fail.
settings.register_profile("project", database=None, deadline=None)
settings.load_profile("project")


# Whoever starts the tests in the background of a script, or under nohup(1), ignores these signals; what is ignored stays
# so in every program that a test begins, and none of them would heed a Ctrl-C or a hangup.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

#: Tests that break a connection which holds a message. Artemis 2.44 keeps such a message for good in about one of a
#: hundred cases (docs/how-to/brokers.md): with Artemis they belong to the soak, whose findings a person looks at.
_BREAKS_A_HOLDER = (
    "test_an_unacknowledged_message_comes_again",
    "test_an_ack_that_the_broker_does_not_know",
    "test_a_line_that_fails_loses_nothing",
    "test_a_message_that_comes_again_under_another_message_id",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the soak what a defect of a broker would spoil now and then."""
    for item in items:
        if item.name.startswith(_BREAKS_A_HOLDER) and "artemis" in item.nodeid:
            item.add_marker(pytest.mark.soak)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that would run beside those with which it shares something.

    pytest-xdist tells the groups by a suffix that it writes into the node ids of a worker. With a pytest that does not
    read them from there they are lost, and nothing is said (pytest-xdist issue 1386).
    """
    if not item.config.getoption("loadgroup", default=False):
        return
    mark = item.get_closest_marker("xdist_group")
    if mark is not None and not item.nodeid.endswith(f"@{mark.args[0]}"):
        pytest.fail(
            f'its group "{mark.args[0]}" is lost: this pytest-xdist does not go with pytest {pytest.__version__}; '
            "run: python -m pip install --group dev",
            pytrace=False,
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the control groups of boxes whose shepherds tests have killed, when every worker has ended."""
    if hasattr(session.config, "workerinput"):
        return
    groups = Groups.find()
    empty: set[str] = set()

    def looked_at(name: str) -> bool:
        if groups.existing(name).is_empty():
            empty.add(name)
        return True

    groups.sweep(looked_at)
    if empty:
        time.sleep(2)  # beside us other sessions make groups, which nobody has entered yet
        groups.sweep(lambda name: name not in empty or not groups.existing(name).is_empty())


@pytest.fixture(scope="session")
def activemq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMQ]:
    """A running ActiveMQ that everybody may use; tests that kill or freeze theirs make their own."""
    broker = ActiveMQ(tmp_path_factory.mktemp("activemq"), max_frame_size=1 << 20)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def artemis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artemis]:
    """A running Artemis that everybody may use; tests that kill or freeze theirs make their own."""
    broker = Artemis(tmp_path_factory.mktemp("artemis"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def queues() -> Callable[[str], str]:
    """`queues("pending")` is a queue name of this test alone, the same each time it is asked for."""
    mark = uuid.uuid4().hex[:12]
    return lambda name: f"t.{mark}.{name}"
