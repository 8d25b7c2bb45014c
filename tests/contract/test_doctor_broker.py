"""`doctor` at a real ActiveMQ Classic: in clear text and by TLS, with rights and without."""

from __future__ import annotations

import pytest
from activemq import ActiveMQ
from certificates import make_authority, make_server_keystore

from supervisor import checkbroker
from supervisor.checkup import Status
from supervisor.settings_messages import Broker

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A broker with a login and a certificate, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = make_authority(folder, "authority")
    keystore = make_server_keystore(folder, authority)
    broker = ActiveMQ(folder / "broker", user="auto", password="secret", keystore=keystore)
    broker.start()
    yield broker, str(authority)
    broker.kill()


def look(tmp_path, url, password="secret", **changes):
    path = tmp_path / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    (found,) = checkbroker.findings(Broker(url=url, user="auto", password_file=str(path), **changes), {})
    return found


def test_a_login_by_tls_names_the_broker_and_the_protocol(guarded, tmp_path):
    broker, authority = guarded
    found = look(tmp_path, f"stomp+ssl://localhost:{broker.tls_port}", ca_file=authority)
    assert found.status is Status.PASS, found
    assert "ActiveMQ/" in found.text
    assert "logged in as auto" in found.text
    assert "TLSv1." in found.text
    assert "its certificate good for" in found.text


def test_a_login_in_clear_text_on_this_host_is_well(guarded, tmp_path):
    broker, _ = guarded
    found = look(tmp_path, f"stomp://127.0.0.1:{broker.port}")
    assert found.status is Status.PASS, found
    assert found.text.endswith("in clear text")


def test_a_certificate_of_a_strange_authority_fails(guarded, tmp_path):
    broker, _ = guarded
    strange = make_authority(tmp_path / "strange", "strange")
    found = look(tmp_path, f"stomp+ssl://localhost:{broker.tls_port}", ca_file=str(strange))
    assert found.status is Status.FAIL
    assert "is not trusted" in found.text


def test_a_wrong_password_fails_and_is_not_shown(guarded, tmp_path):
    broker, _ = guarded
    found = look(tmp_path, f"stomp://127.0.0.1:{broker.port}", password="wrong-one")
    assert found.status is Status.FAIL, found
    assert "wrong-one" not in found.text + found.remedy
    assert "broker.user" in found.remedy
