"""The sentences of all verdicts, held against a golden file, because they are what people read first.

After a wanted change, write the file anew and read the difference:
`PYTHONPATH=. python tests/unit/test_sentence.py > tests/unit/golden/sentences.txt`
"""

from __future__ import annotations

import errno
import pathlib
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.handoff import HandoffOut, HandoffProblem
from sandbox.limits import GiB, Limits, MiB
from sandbox.outcome import Measure, Usage
from sandbox.sentence import QUOTE_CAP, plain, sentence
from sandbox.verdict import ExitFacts, KillReason, SetupFailure, Verdict, judge
from supervisor import sentences
from supervisor.profiles import BadScriptLine, NoProfile, Profile, Profiles, conda_env
from supervisor.staging import trouble

GOLDEN = pathlib.Path(__file__).parent / "golden" / "sentences.txt"


def measure(value) -> Measure:
    return Measure(value=value, source="sampler", exact=False)


USAGE = Usage(wall=measure(212.3), cpu=measure(401.0), peak_memory=measure(8 * GiB), processes=measure(3))
RETURNED = HandoffOut(ended="returned")
ALL_KEYS = {
    "limits": Limits(cpu=400.0, file_size=GiB),
    "usage": USAGE,
    "subject": "ENGINX",
    "top_process": "python3.10",
}


PYTHON = Profile(name="interpreter", argv=("python3",))
TWO = b'CONDA_ENV = "a"\n\n\n\n\n\nCONDA_ENV = "b"\n'


def offer(ask, *words) -> str:
    """What an interpreter that cannot be had is told with."""
    with pytest.raises((NoProfile, BadScriptLine)) as lacking:
        ask(*words)
    return str(lacking.value)


def exited(code: int) -> int:
    return code << 8


def exception(text: str, line: int | None = 12, kind: str = "ValueError") -> HandoffOut:
    return HandoffOut(ended="exception", exception_type=kind, exception_text=text, line=line)


def leave(code: int, text: str = "", message: str = "") -> HandoffOut:
    return HandoffOut(
        ended="exit", exception_type="SystemExit", exit_code=code, exception_text=text, line=40, message=message
    )


def landed(reason: KillReason, **more) -> ExitFacts:
    return ExitFacts(reason=reason, reason_landed=True, status=signal.SIGKILL, **more)


OUTPUT = KillReason.output_limit
MISSING = HandoffProblem(text="handoff.out.json is missing")
#: Name of the case -> evidence, what differs from ALL_KEYS. The verdict is judged, unless "verdict" names one made elsewhere.
CASES = {
    "completed": (ExitFacts(status=0, handoff=RETURNED), {}),
    "completed, nothing measured": (ExitFacts(status=0, handoff=RETURNED), {"usage": Usage()}),
    "completed, remark": (ExitFacts(status=0, handoff=leave(0, message="the script ended itself by sys.exit(0) at line 40")), {}),
    "skipped": (ExitFacts(status=0, handoff=HandoffOut(ended="skipped", skip_reason="Skip: empty run")), {}),
    "skipped, no reason": (ExitFacts(status=0, handoff=HandoffOut(ended="skipped")), {}),
    "script_error": (ExitFacts(status=exited(1), handoff=exception("no counts in bank 2")), {}),
    "script_error, claimed beside exit 0": (ExitFacts(status=0, handoff=exception("no counts in bank 2")), {}),
    "script_error, no text": (ExitFacts(status=exited(1), handoff=exception("", kind="KeyboardInterrupt")), {}),
    "script_error, no line": (ExitFacts(status=exited(1), handoff=exception("gone", None), script_name="reduce_HYS.py"), {}),
    "script_error, many lines": (ExitFacts(status=exited(1), handoff=exception("\n\x1b[2Jfake: all is well\r\n\u202e\u2028x\n")), {}),
    "script_error, huge": (ExitFacts(status=exited(1), handoff=exception("x" * 4000)), {}),
    "script_error, sys.exit": (ExitFacts(status=exited(3), handoff=leave(3)), {}),
    "script_error, sys.exit with text": (ExitFacts(status=exited(1), handoff=leave(1, "no such file")), {}),
    "script_error, status beside a good claim": (ExitFacts(status=exited(3), handoff=RETURNED), {}),
    "script_error, status and no claim": (ExitFacts(status=exited(120), handoff=MISSING), {}),
    "crash": (ExitFacts(status=signal.SIGSEGV | 0x80, handoff=MISSING), {}),
    "crash, after the report": (ExitFacts(status=signal.SIGABRT, handoff=RETURNED), {}),
    "crash, signal without a name": (ExitFacts(status=signal.SIGRTMIN + 3), {}),
    "wall_limit": (landed(KillReason.wall_limit), {"usage": Usage(wall=measure(14400.4), processes=measure(1))}),
    "cpu_limit": (landed(KillReason.cpu_limit), {}),
    "cpu_limit, by the kernel": (ExitFacts(status=signal.SIGXCPU), {}),
    "cpu_limit, none of ours": (ExitFacts(status=signal.SIGXCPU), {"limits": Limits()}),
    "memory_limit": (landed(KillReason.memory_limit), {}),
    "memory_limit, by the kernel": (ExitFacts(status=signal.SIGKILL, oom_kills=1), {}),
    "memory_limit, no subject": (landed(KillReason.memory_limit), {"subject": ""}),
    "memory_limit, nothing measured": (landed(KillReason.memory_limit), {"usage": Usage(), "top_process": None}),
    "memory_limit_helper": (ExitFacts(status=0, handoff=RETURNED, oom_kills=1), {}),
    "memory_limit_helper, several": (ExitFacts(status=0, handoff=RETURNED, oom_kills=4), {}),
    "output_limit": (landed(OUTPUT, ceiling="output", measured=20.3 * GiB), {}),
    "output_limit, not told which": (landed(OUTPUT), {}),
    "output_limit, files": (landed(OUTPUT, ceiling="files", measured=100_212), {}),
    "output_limit, one file": (ExitFacts(status=signal.SIGXFSZ), {}),
    "output_limit, one file, none of ours": (ExitFacts(status=signal.SIGXFSZ), {"limits": Limits()}),
    "output_limit, at the copy": (ExitFacts(status=0, handoff=RETURNED, too_large=True, measured=21 * GiB), {}),
    "log_limit": (landed(KillReason.log_limit, measured=640.2 * MiB), {}),
    "cancelled": (landed(KillReason.cancelled), {}),
    "handoff_error, missing": (ExitFacts(status=0), {}),
    "handoff_error": (ExitFacts(status=0, handoff=HandoffProblem(text="handoff.out.json is a FIFO")), {}),
    "output_rejected": (ExitFacts(status=0, handoff=RETURNED, rejected="d/passwd is a symbolic link"), {}),
    "setup_failed": (ExitFacts(setup=SetupFailure(stage="fork", errno=errno.EAGAIN, detail="the builder")), {}),
    "setup_failed, no errno": (ExitFacts(setup=SetupFailure(stage="exec", detail="no interpreter was named")), {}),
    "killed_external": (ExitFacts(status=signal.SIGTERM), {}),
    "killed_external, init": (ExitFacts(), {}),
    "no verdict, lost lock": (landed(KillReason.lost_lock), {}),
    "no verdict, shutdown": (landed(KillReason.shutdown), {}),
    "lost_lock": (landed(KillReason.lost_lock), {"verdict": Verdict.lost_lock}),
}  # fmt: skip


#: Ends outside a box: the sentence as the supervisor or a shepherd makes it.
OUTSIDE = {
    "cancelled, waiting": sentences.CANCELLED,
    "gave_up": sentences.gave_up(3),
    "gave_up, at once": sentences.gave_up(1),
    "output_rejected, changed": sentences.rejected("output 'a.nxs' changed while it was copied"),
    "output_rejected, foreign": sentences.foreign('"/isis/autoreduced/1/2" holds the result of RB 9, not of RB 1'),
    "refused, conda": sentences.refused(offer(Profiles(common=PYTHON).for_conda, "sans")),
    "refused, software": sentences.refused(
        offer(Profiles(common=PYTHON, software={"Mantid 6": PYTHON}).choose, "GEM", "Mantid 5")
    ),
    "refused, paths": sentences.refused("/data/x.nxs lies below none of the data roots (/isis); see paths.data_roots"),
    "script_error, environments": sentences.script_line(7, "reduce_HYS.py", offer(conda_env, TWO)),
    "skipped, switched off": sentences.switched_off("HYS", "/SNS/HYS/shared/autoreduce/reduce_HYS.py"),
    "unavailable, data": sentences.unavailable(
        str(trouble("data file", "/isis/x.nxs", FileNotFoundError(errno.ENOENT, "No such file or directory"))),
        by="supervisor", tries=5, again=60.0,
    ),
    "unavailable, at once": sentences.unavailable(
        str(trouble("archive", "/isis", PermissionError(errno.EACCES, "Permission denied"))),
        by="supervisor", tries=1, again=60.0,
    ),
    "unavailable, producer": sentences.unavailable(
        str(trouble("scratch", "/var/tmp", OSError(errno.ENOSPC, "No space left on device"))),
        by="producer", tries=1, again=21600.0,
    ),
}  # fmt: skip


def verdict_of(case: str) -> Verdict | None:
    facts, changes = CASES[case]
    return changes["verdict"] if "verdict" in changes else judge(facts)


def said(case: str) -> str:
    facts, changes = CASES[case]
    words = {key: value for key, value in (ALL_KEYS | changes).items() if key != "verdict"}
    return sentence(verdict_of(case), facts=facts, **words)


def test_every_sentence_is_the_golden_one():
    written = dict(line.split(" | ", 1) for line in GOLDEN.read_text(encoding="utf-8").splitlines())

    assert {case: said(case) for case in CASES} | OUTSIDE == written


def test_every_verdict_has_a_case_whose_name_begins_with_it():
    verdicts = {case: verdict_of(case) for case in CASES}
    outside = {Verdict(case.partition(",")[0]) for case in OUTSIDE}

    assert {None, *Verdict} == {*verdicts.values(), *outside}
    assert all(case.startswith(str(verdict) if verdict else "no verdict") for case, verdict in verdicts.items())


@pytest.mark.parametrize("case", [*CASES, *OUTSIDE])
def test_a_sentence_is_one_printable_line_of_bounded_length_without_a_full_stop(case):
    text = OUTSIDE[case] if case in OUTSIDE else said(case)

    assert text.isprintable()
    assert text == text.strip()
    assert not text.endswith(".") or text.endswith("...")
    assert len(text) < 2 * QUOTE_CAP


NOT_OF_A_BOX = {Verdict.unavailable, Verdict.gave_up, Verdict.refused}


@pytest.mark.parametrize("verdict", sorted(NOT_OF_A_BOX))
def test_a_box_does_not_end_in_what_is_decided_outside(verdict):
    with pytest.raises(ValueError, match="not a way in which a box ends"):
        sentence(verdict, facts=ExitFacts(), limits=Limits(), usage=Usage())


@pytest.mark.parametrize("verdict", [None, *sorted(set(Verdict) - NOT_OF_A_BOX)])
def test_every_verdict_can_be_said_whatever_is_known(verdict):
    bare = sentence(verdict, facts=ExitFacts(), limits=Limits(memory=None, wall=None, output=None), usage=Usage())

    assert bare.isprintable()
    assert "None" not in bare


@given(st.text())
def test_a_strangers_text_becomes_one_bounded_line(text):
    quoted = plain(text, 50)

    assert quoted.isprintable()
    assert len(quoted) <= 53


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=50))
def test_a_harmless_text_is_quoted_as_it_is(text):
    assert plain(text, 50) == text


def test_no_part_of_an_exception_breaks_the_line():
    claim = HandoffOut(ended="exception", exception_type="Bad\nName", exception_text="a\0b", line=1)
    facts = ExitFacts(status=exited(1), handoff=claim, script_name="re\nduce.py")

    text = sentence(Verdict.script_error, facts=facts, limits=Limits(), usage=Usage())

    assert text == r"script error at line 1 of re\nduce.py: Bad\nName: a\x00b"


if __name__ == "__main__":
    sys.stdout.writelines(
        f"{case} | {text}\n" for case, text in ({case: said(case) for case in CASES} | OUTSIDE).items()
    )
