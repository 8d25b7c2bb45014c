"""What to do next: for every verdict one line to the scientist and one to the operator, with the key to change (pure).

The words are held in a golden file, because people act on them; figures are those of the run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import format_duration, format_size
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Advice:
    """One line for each of the two who can do something."""

    scientist: str
    operator: str


_NOTHING = "nothing to do"
#: {job} {instrument} {rb} {key} {raised} {where} are filled in; {where} names the tables that set limits, {raised} the
#: line to write there.
_OF: Final[Mapping[Verdict, Advice]] = {
    Verdict.completed: Advice(_NOTHING, _NOTHING),
    Verdict.skipped: Advice(
        "nothing to do; the script asked for no reduction of this run (SKIP_RUNS, or an exception that begins with "
        '"skip")',
        "nothing to do; skip.anywhere decides which exceptions count as a skip",
    ),
    Verdict.script_error: Advice(
        "mend the script at the line above, then send the run again",
        "nothing to do; a script's own error is never retried",
    ),
    Verdict.crash: Advice(
        "look at the end of the logs: a library crashed, or the script used up its stack; try it with "
        "autoreduce-supervisor run",
        "see whether other runs with the same interpreter crash too ([interpreter]); then resubmit {job}",
    ),
    Verdict.wall_limit: Advice(
        "find out what the script waited for, or ask the operator to raise limits.wall for {instrument}",
        "under {where} write {raised}; then resubmit {job}",
    ),
    Verdict.cpu_limit: Advice(
        "make the script do less, or ask the operator to raise limits.cpu for {instrument}",
        "under {where} write {raised}; then resubmit {job}",
    ),
    Verdict.memory_limit: Advice(
        "make the script load less at a time, or ask the operator to raise limits.memory for {instrument}",
        "under {where} write {raised}; then resubmit {job}",
    ),
    Verdict.memory_limit_helper: Advice(
        "start fewer helpers at a time, or ask the operator to raise limits.memory for {instrument}: a helper of the "
        "script was killed for memory while the script went on",
        "under {where} write {raised}; then resubmit {job}",
    ),
    Verdict.output_limit: Advice(
        "have the script write less, or ask the operator to raise limits.{key} for {instrument}",
        "under {where} write {raised}; then resubmit {job}",
    ),
    Verdict.log_limit: Advice(
        "have the script print less: it printed 64 times what limits.log keeps",
        "under {where} write {raised}, if so much is wanted; then resubmit {job}",
    ),
    Verdict.cancelled: Advice(
        "nothing to do; if it was cancelled by mistake, ask the operator to run it again",
        "nothing to do; if it was cancelled by mistake: resubmit {job}",
    ),
    Verdict.lost_lock: Advice("nothing to do; the run begins again by itself", "see that the host reaches the store"),
    Verdict.handoff_error: Advice(
        "the script ended without a word, as os._exit or a replaced module does: let main return",
        "nothing to do; once the script is mended: resubmit {job}",
    ),
    Verdict.output_rejected: Advice(
        "have the script write plain files and folders only, with plain names, into its own result folder",
        "if the sentence names another RB's result, see whose it is and move it; then resubmit {job}",
    ),
    Verdict.setup_failed: Advice(
        "nothing to do; the script did not begin",
        "the host could not build the box: mend what the stage in the sentence names ([spool], [interpreter], the "
        "host's limits); then resubmit {job}",
    ),
    Verdict.killed_external: Advice(
        "nothing to do, unless the script kills its own processes",
        "somebody or the kernel killed it from outside: look at the host's log (journalctl -k); then resubmit {job}",
    ),
    Verdict.unavailable: Advice(
        "see that the data file is where the message says",
        "see that data, archive and scratch can be had, then resubmit {job}; retry.cap and retry.delay say how often "
        "and how late it is tried",
    ),
    Verdict.gave_up: Advice(
        "nothing to do, unless the script takes its whole host down",
        "it took its shepherd down publish.max_attempts times: look at the hosts named above, then resubmit {job}",
    ),
    Verdict.refused: Advice(
        "nothing to do; no host may run it as it is",
        "change what the sentence names (isolation.require, [interpreter], the roots of [paths]), then resubmit {job}",
    ),
}
#: The limit that a verdict is about.
_KEYS: Final = {
    Verdict.wall_limit: "wall",
    Verdict.cpu_limit: "cpu",
    Verdict.memory_limit: "memory",
    Verdict.memory_limit_helper: "memory",
    Verdict.log_limit: "log",
}
_TIMES = frozenset({"wall", "cpu"})
_COUNTS = frozenset({"files"})


def of(
    verdict: str, *, job: str, instrument: str, rb: str, sentence: str = "", limits: Mapping[str, Any] | None = None
) -> Advice:
    """Return the advice about one run.

    Args:
        verdict: how it ended; an unknown one (a newer version's) has advice as well.
        job: its id.
        instrument: its instrument.
        rb: its RB number.
        sentence: of `output_limit` it says which limit it was.
        limits: those in force, as `Limits.to_json` has them; the advice doubles the one that was reached.
    """
    if verdict not in list(Verdict):
        return Advice("look at the logs", "look at the logs")
    which = Verdict(verdict)
    key = limit_of(which, sentence)
    known = {
        "job": job,
        "instrument": instrument,
        "rb": rb,
        "key": key,
        "raised": _raised(key, (limits or {}).get(key)),
        "where": f"[limits.instrument.{instrument}] or [limits.rb.{json.dumps(rb, ensure_ascii=False)}]",
    }
    words = _OF[which]
    return Advice(words.scientist.format(**known), words.operator.format(**known))


def limit_of(verdict: Verdict, sentence: str) -> str:
    """Return the name of the limit that a verdict is about; the sentence tells which one of the output it was."""
    return _KEYS.get(verdict) or next((key for key in ("files", "file_size") if f"limits.{key} " in sentence), "output")


def _raised(key: str, limit: Any) -> str:
    """The line of TOML that doubles a limit."""
    if not isinstance(limit, int | float) or isinstance(limit, bool) or not 0 < limit < 1e18:
        return f"a larger {key}"
    if key in _COUNTS:
        return f"{key} = {int(limit) * 2}"
    doubled = format_duration(limit * 2) if key in _TIMES else format_size(int(limit) * 2)
    return f'{key} = "{doubled}"'
