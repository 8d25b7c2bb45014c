from __future__ import annotations

import pytest

from supervisor.broker import BrokerSettings
from supervisor.brokerdial import _reason, explain_alert

BARE = BrokerSettings(hosts=(("broker.example", 61614, True),))
WITH = BrokerSettings(hosts=BARE.hosts, cert_file="/c.pem", key_file="/k.pem")


@pytest.mark.parametrize("alert", ["bad certificate", "certificate required", "certificate unknown"])
def test_an_alert_about_certificates_says_what_to_set(alert):
    assert (
        explain_alert(alert, BARE) == f"{alert}; it asks for a certificate of ours: set broker cert_file and key_file"
    )
    assert explain_alert(alert, WITH) == f'{alert}; it does not take our certificate: check broker cert_file "/c.pem"'


def test_another_alert_stands_for_itself():
    assert explain_alert("internal error", BARE) == "internal error"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate required"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake failure"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "protocol version"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS there"),
        ("NO_PROTOCOLS_AVAILABLE", "no protocols available"),
    ],
)
def test_reasons_of_openssl_are_words(reason, words):
    assert _reason(reason) == words
