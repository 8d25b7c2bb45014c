"""`doctor` at real brokers of both kinds: in clear text and by TLS, with rights and without."""

from __future__ import annotations

import pytest
from bothbrokers import PASSWORD, USER

from supervisor import checkbroker
from supervisor.checkup import Status
from supervisor.settings_messages import Broker

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("guarded brokers")]


def look(tmp_path, url, password=PASSWORD, **changes):
    path = tmp_path / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    (found,) = checkbroker.findings(Broker(url=url, user=USER, password_file=str(path), **changes), {})
    return found


def test_a_login_by_tls_names_the_broker_and_the_protocol(guarded, papers, tmp_path):
    found = look(tmp_path, f"stomp+ssl://localhost:{guarded.tls_port}", ca_file=str(papers.authority))
    assert found.status is Status.PASS, found
    introduced = {"ActiveMQ": "ActiveMQ/", "Artemis": "ActiveMQ-Artemis/"}[guarded.name]
    window = {
        "ActiveMQ": "(ActiveMQ Classic, a window of 8 messages)",
        "Artemis": "(Apache Artemis, a window of 1793 bytes, never more than 8 messages; unless max-delivery-attempts is -1",
    }
    assert found.text.startswith(introduced)
    assert window[guarded.name] in found.text
    assert f"logged in as {USER}" in found.text
    assert "TLSv1." in found.text
    assert "its certificate good for" in found.text


def test_a_login_in_clear_text_on_this_host_is_well(guarded, papers, tmp_path):
    found = look(tmp_path, f"stomp://127.0.0.1:{guarded.port}")
    assert found.status is Status.PASS, found
    assert found.text.endswith("in clear text")


def test_a_certificate_of_a_strange_authority_fails(guarded, papers, tmp_path):
    found = look(tmp_path, f"stomp+ssl://localhost:{guarded.tls_port}", ca_file=str(papers.stranger))
    assert found.status is Status.FAIL
    assert "is not trusted" in found.text


def test_a_wrong_password_fails_and_is_not_shown(guarded, papers, tmp_path):
    found = look(tmp_path, f"stomp://127.0.0.1:{guarded.port}", password="wrong-one")
    assert found.status is Status.FAIL, found
    assert "wrong-one" not in found.text + found.remedy
    assert "broker.user" in found.remedy
