"""Whatever bytes come: a run, a cancel, or an error in words, in bounded time; the soak asks a hundred thousand times."""

from __future__ import annotations

import json
import os
import time

import pytest
from fieldmessages import MESSAGES
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from supervisor import intake, request
from supervisor.family import Family
from supervisor.request import REPLY_KEYS, BadRequest, RunRequest, decode
from supervisor.request_isis import ONLY_2018
from supervisor.settings import Settings

SEED = int(os.environ.get("AUTOREDUCE_SEED", "0"))
SITE = Settings()
#: Seconds that one message of some kB may take; a slow box is no fault, a loop without end is.
LONGEST = 5.0
FIELD = [json.loads(message.body) for message in MESSAGES]
KEYS = sorted(
    {key for message in FIELD for key in message}
    | {key for keys in request.REQUIRED.values() for key in keys}
    | {*ONLY_2018, "run_version", "cancel", "x"}
)

#: Texts that meet the edges of the readers more often than random ones.
EDGES = st.sampled_from(
    [
        *[
            "",
            " ",
            "None",
            "null",
            "true",
            "0",
            "-0",
            "+7",
            "007",
            "75513.0",
            "7.",
            "1e3",
            "\u0663",
            "9" * 18,
            "9" * 400,
        ],
        *[
            "/isis/cycle_15_1/x",
            "\\\\isis\\inst$\\cycle_21_1\\x",
            "\\isis\\..\\x",
            "/SNS/x",
            "I:\\x",
            "..",
            "a/b",
            "\0",
        ],
        *["IPTS-1", "INVALID RB NUMBER", "\ufeff", "\ud800", "\u2028", "\x1b[31m", "ENGIN-X", "x" * 300],
    ]
)
VALUES = st.recursive(
    EDGES
    | st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(width=32)
    | st.text(max_size=12)
    | st.sampled_from([float("nan"), float("inf"), 1e308, 10**400, 75513.0, 1.5]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | EDGES, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw):
    """A message of the field with some keys changed, gone, or new."""
    message = dict(draw(st.sampled_from(FIELD)))
    for key in draw(st.lists(st.sampled_from(sorted(message)), max_size=2)):
        message.pop(key, None)
    return message | draw(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3))


@st.composite
def damaged(draw):
    """The bytes of a message of the field with a piece cut out and another put in."""
    body = draw(st.sampled_from(MESSAGES)).body.encode()
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 40)))
    return body[:start] + draw(st.binary(max_size=8) | st.sampled_from([b"[" * 60, b'"', b"\\u", b"NaN"])) + body[end:]


BODIES = (
    st.binary(max_size=300)
    | damaged()
    | mutated().map(lambda message: json.dumps(message).encode())
    | VALUES.map(lambda value: json.dumps(value).encode())
)


def judge(body):
    """Decode a body and hold the outcome against what is promised of any."""
    began = time.monotonic()
    decoded = outcome(body)
    if isinstance(decoded, BadRequest):
        assert decoded.text
        assert decoded.text.isprintable()
        assert decoded.body is None or not REPLY_KEYS & set(decoded.body)
    else:
        promised(decoded)
    what = intake.examine(body, {"message-id": "ID:1"}, SITE, host="h", hostname="h", now=1.0)
    if isinstance(what, intake.Poison):
        what.reply.body.encode()
        assert what.text.isprintable()
    assert time.monotonic() - began < LONGEST


def outcome(body):
    try:
        return decode(body, {})
    except BadRequest as bad:
        return bad


def peak_memory():
    """Most memory that this process has had, in MiB (proc_pid_status(5), VmHWM)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def promised(decoded):
    assert isinstance(decoded, RunRequest)
    assert decoded.instrument == decoded.instrument.upper().strip()
    assert not REPLY_KEYS & set(decoded.reply_body)
    sent = decoded.run_raw if isinstance(decoded.run_raw, list) else [decoded.run_raw]
    assert [int(run) for run in decoded.runs] == [
        int(float(raw)) if abs(float(raw)) < 2**53 else int(raw) for raw in sent
    ]
    assert decoded.run == decoded.runs[0] or isinstance(decoded.run_raw, list)
    assert decoded.rb.isprintable()
    assert decoded.version_given or decoded.version == 0
    if not decoded.cancel:
        assert decoded.rb
        assert decoded.facility
        assert len(decoded.data) == len(decoded.runs)
        assert (decoded.script is None) <= (decoded.family is not Family.ISIS2016)


@given(BODIES)
@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow])
def test_any_body_is_a_request_or_is_refused_in_words(body):
    judge(body)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_bodies_are_requests_or_are_refused_in_words():
    count = 0

    @seed(SEED)
    @settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(BODIES)
    def many(body):
        nonlocal count
        count += 1
        judge(body)

    began = time.monotonic()
    many()
    took, peak = time.monotonic() - began, peak_memory()
    print(f"seed {SEED}: {count} bodies in {took:.0f} s, peak memory {peak:.0f} MiB")
    assert count >= 100_000
    assert peak < 1024
