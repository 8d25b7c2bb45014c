"""The reader of the handoff against whatever hypothesis can think of: two kinds of answer, bounded time and memory.

AUTOREDUCE_SEED makes the examples of the soak run come again.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import time

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from sandbox.handoff import OUT_NAME, SIZE_CAP, VERSION, HandoffOut, HandoffProblem, read

SEED = int(os.environ.get("AUTOREDUCE_SEED", "0"))
#: Seconds of processor time that one claim may take at most, and bytes that the process may grow by over all of them.
TIME_CAP = 5.0
GROWTH_CAP = 512 * 1024**2

ANY_TEXT = st.text(st.characters(categories=None), max_size=40)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SHORT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ANY_TEXT, inner, max_size=5),
    max_leaves=12,
)
ENVIRONMENT = st.fixed_dictionaries(
    {
        "python": SHORT,
        "implementation": SHORT,
        "executable": TEXT,
        "packages": st.dictionaries(SHORT, SHORT, max_size=4),
    }
)
#: How a script ended, with what has to stand beside it.
ENDED = st.one_of(
    st.just({"ended": "returned", "exception_type": "", "exit_code": None}),
    st.just({"ended": "skipped", "exception_type": "", "exit_code": None}),
    st.fixed_dictionaries({"ended": st.just("exception"), "exception_type": SHORT, "exit_code": st.none()}),
    st.fixed_dictionaries({"ended": st.just("exit"), "exception_type": SHORT, "exit_code": st.integers(0, 255)}),
)
CLAIM = st.builds(
    lambda ended, rest: {"version": VERSION, **ended, **rest},
    ENDED,
    st.fixed_dictionaries(
        {
            "exception_text": TEXT,
            "line": st.none() | st.integers(1, 10**9),
            "traceback": TEXT,
            "extra_dirs": st.lists(TEXT.map(lambda text: "/" + text.replace("\0", "")), max_size=3),
            "skip_reason": TEXT,
            "message": TEXT,
            "environment": ENVIRONMENT,
        }
    ),
)
KEYS = ["version", "ended", "line", "extra_dirs", "exit_code", "environment", "message", "packages", "python", "more"]
#: A change to a claim: a value under a key, at the top or in the environment, or a key taken away.
CHANGE = st.tuples(st.sampled_from(["put", "put inside", "take", "nest"]), st.sampled_from(KEYS), VALUE)
#: A change to its bytes: where (of the whole), how many are replaced, and by what.
SPLICE = st.tuples(
    st.floats(0, 1),
    st.integers(0, 8),
    st.binary(max_size=8)
    | st.sampled_from([b'"', b"\\", b"[" * 20, b"]}", b"1e999", b"NaN", b'{"a":1,"a":2}', b"\xff"]),
)


def changed(claim, changes):
    """Return the bytes of a claim after changes to what it says."""
    record = json.loads(json.dumps(claim))
    for how, key, value in changes:
        if how == "put":
            record[key] = value
        elif how == "put inside" and isinstance(record.get("environment"), dict):
            record["environment"][key] = value
        elif how == "take":
            record.pop(key, None)
        else:
            record[key] = [[value], {key: value}]
    return json.dumps(record).encode()


def spliced(data, splices):
    """Return bytes after changes that know nothing of JSON."""
    for where, length, piece in splices:
        at = int(where * len(data))
        data = data[:at] + piece + data[at + length :]
    return data


CONTENT = st.one_of(
    st.binary(max_size=400),
    st.builds(lambda value: json.dumps(value).encode(), VALUE),
    st.builds(changed, CLAIM, st.lists(CHANGE, max_size=3)),
    st.builds(lambda claim, splices: spliced(json.dumps(claim).encode(), splices), CLAIM, st.lists(SPLICE, max_size=4)),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=12), st.integers(1, 4000)),
)


class Reader:
    """A folder for claims, what was answered, and how long it took at most."""

    def __init__(self, folder):
        self.path = os.path.join(folder, OUT_NAME)
        self.fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.counts = {HandoffOut: 0, HandoffProblem: 0}
        self.slowest = 0.0

    def read(self, data=None):
        if data is not None:
            with open(self.path, "wb") as file:
                file.write(data)
        begun = time.process_time()
        answer = read(self.fd)
        self.slowest = max(self.slowest, time.process_time() - begun)
        assert type(answer) in self.counts, answer
        self.counts[type(answer)] += 1
        if isinstance(answer, HandoffProblem):
            assert answer.text.isprintable()
            assert len(answer.text) < 160
        else:
            check(answer)
        return answer


def check(claim):
    """Hold a claim that was taken against what the rest of the project relies on."""
    texts = [claim.exception_type, claim.exception_text, claim.traceback, claim.skip_reason, claim.message]
    assert all(isinstance(text, str) and text.encode() is not None for text in [*texts, *claim.extra_dirs])
    assert all(path.startswith("/") and "\0" not in path for path in claim.extra_dirs)
    assert claim.line is None or (type(claim.line) is int and claim.line > 0)
    assert (claim.ended == "exit") == (type(claim.exit_code) is int)
    assert claim.environment.keys() == {"python", "implementation", "executable", "packages"}
    assert all(type(part) is str for item in claim.environment["packages"].items() for part in item)
    json.dumps(dict(claim.environment), allow_nan=False)


@pytest.fixture
def reader(tmp_path):
    made = Reader(tmp_path)
    yield made
    os.close(made.fd)


def peak_memory():
    """Return the most resident memory that this process ever had, in bytes (VmHWM of proc_pid_status(5))."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024


def fuzz(reader, examples, number=SEED):
    """Read that many contents, drawn from a seed; return by how many bytes the process grew."""

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=CONTENT)
    def each(data):
        reader.read(data)

    before = peak_memory()
    each()
    grown = peak_memory() - before
    assert reader.slowest < TIME_CAP
    assert grown < GROWTH_CAP
    return grown


def test_no_content_is_answered_otherwise_than_by_a_claim_or_a_problem(reader):
    fuzz(reader, 300)

    assert min(reader.counts.values()) > 10, "one kind of answer was hardly tried"


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_a_hundred_thousand_contents_are_answered_by_a_claim_or_a_problem(reader):
    begun = time.monotonic()
    # In parts, because hypothesis remembers every example of one.
    grown = sum(fuzz(reader, 5000, SEED * 1000 + part) for part in range(20))

    assert grown < GROWTH_CAP
    total = sum(reader.counts.values())
    assert total >= 100_000
    print(
        f"seed {SEED}: {total} contents in {time.monotonic() - begun:.0f} s, {reader.counts[HandoffOut]} taken, "
        f"{reader.counts[HandoffProblem]} refused; slowest {reader.slowest * 1000:.0f} ms, grown by {grown >> 20} MiB"
    )


@settings(suppress_health_check=list(HealthCheck), max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["link", "loop", "fifo", "folder", "socket", "device", "hard link", "huge", "closed"]),
    target=st.sampled_from(["/dev/zero", "/dev/stdin", "/proc/self/mem", "/proc/kmsg", "/", "nowhere", OUT_NAME]),
)
def test_no_kind_of_file_makes_the_reader_wait_or_follow(tmp_path, kind, target):
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    path = folder / OUT_NAME
    with contextlib.suppress(FileNotFoundError):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    make(kind, path, target, tmp_path)
    reader = Reader(folder)
    try:
        assert isinstance(reader.read(), HandoffProblem)
    finally:
        os.close(reader.fd)
    assert reader.slowest < TIME_CAP


def make(kind, path, target, aside):
    """Put a file of a kind where a claim should stand."""
    if kind in {"link", "loop"}:
        path.symlink_to(target if kind == "link" else OUT_NAME)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        folder = os.open(path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{folder}/{OUT_NAME}")  # a socket's path is at most 108 bytes
        os.close(folder)
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        except PermissionError:  # an ordinary user cannot make one, and neither can a script of his
            path.symlink_to("/dev/zero")
    elif kind == "hard link":
        other = aside / "other"
        other.write_text("{}")
        os.link(other, path)
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(8 * 1024**3)
    else:
        path.write_bytes(b"{" * (SIZE_CAP + 1))
        path.chmod(0)
