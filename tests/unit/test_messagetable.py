"""Every message of the field is understood or refused as the reference page says."""

from __future__ import annotations

import json

import pytest
from fieldmessages import MESSAGES
from messagetable import PAGE, fate_of, page

from supervisor.request import REPLY_KEYS


def test_the_page_says_what_the_code_does():
    assert PAGE.exists(), "the page is missing: run python tests/support/messagetable.py --write"
    assert PAGE.read_text(encoding="utf-8") == page(), "stale: run python tests/support/messagetable.py --write"


def test_every_message_of_the_field_is_there_once_and_each_family_has_some():
    names = [message.name for message in MESSAGES]

    assert len(names) == len(set(names))
    assert {name.split()[0] for name in names} == {f"M{number}" for number in range(1, 11)}
    assert {(fate_of(message).family, fate_of(message).kind) for message in MESSAGES} >= {
        (family, kind) for family in ("isis2016", "isis2018", "sns") for kind in ("run", "cancel", "refused")
    }


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_a_message_of_the_field_has_one_fate_and_its_echo_is_its_own(message):
    fate = fate_of(message)
    sent = json.loads(message.body)

    assert (fate.kind == "run") == (fate.placement is not None)
    echoed = fate.bad.body if fate.kind == "refused" else fate.decoded.reply_body
    assert echoed == {key: value for key, value in sent.items() if key not in REPLY_KEYS}
    if fate.kind == "refused":
        assert fate.bad.text.isprintable()
        assert fate.bad.text.startswith(fate.bad.key)


#: What becomes of each, in words that no generator wrote.
FATES = {
    "M1": "run",
    "M2": "refused",
    "M2 in the archive": "run",
    "M3": "run",
    "M3 delayed": "run",
    "M4": "cancel",
    "M5 end of run": "refused",
    "M5 forwarded": "run",
    "M5 by hand": "run",
    "M6 started": "refused",
    "M6 error": "refused",
    "M6 complete": "refused",
    "M6 negative": "run",
    "M7": "refused",
    "M7 excitation": "run",
    "M8": "run",
    "M8 bad": "run",
    "M9 defaults": "refused",
    "M9": "run",
    "M9 flat": "run",
    "M9 batch": "run",
    "M9 uneven batch": "refused",
    "M9 empty batch": "refused",
    "M9 short RB": "run",
    "M9 text RB": "run",
    "M9 cancel": "cancel",
    "M10": "run",
    "M10 with information": "run",
    "M10 no such file": "run",
    "M10 cancel": "cancel",
    "M10 default script": "refused",
    "M10 script from values": "refused",
    "M10 ping": "refused",
    "M10 heartbeat": "refused",
}


def test_what_becomes_of_each_is_what_is_meant():
    assert {message.name: fate_of(message).kind for message in MESSAGES} == FATES
