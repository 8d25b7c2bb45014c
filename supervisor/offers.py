"""What this host offers to runs: the isolation that it proves, and the interpreters that work on it.

Tried when the service starts and still has one thread, and again by a process of its own (`reprobe`) when a reload
changes what is to be tried; an instrument that the host cannot serve is stepped over
by it, and its runs wait for a host that can, or for an operator (DESIGN §5, "Order"; §6, "Interpreter profile").

Each profile is tried without a tree first, which tells what it needs to be seen, and then behind one. The level is
proven with the first that starts there, or else with the Python of this command: what a host holds does not depend on
which Python finds it out.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.interpreter import Interpreter, Unfit, needs_of, probe
from sandbox.proving import Proof, prove
from supervisor import floors
from supervisor.boxarguments import closure_from_json, closure_to_json
from supervisor.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sandbox.closure import Closure
    from supervisor.settings import Settings


#: Between why a profile does not work and the command that explains it.
SEE: Final = "; see what it needs: "


def explainer(profile: str) -> str:
    """Return the command that explains a profile (pure)."""
    return f"autoreduce-supervisor doctor interpreter {shlex.quote(profile)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a host found out about itself."""

    #: Highest isolation level it proves.
    level: str = "none"
    #: How; None where no interpreter was there to prove anything with, and for what another host says.
    proof: Proof | None = None
    #: Interpreters that work, by the name of their profile.
    working: Mapping[str, Interpreter] = field(default_factory=dict)
    #: What each of them needs behind a tree.
    closures: Mapping[str, Closure] = field(default_factory=dict)
    #: Profiles that do not, each with why.
    failing: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, without how it was proven."""
        return {
            "level": self.level,
            "proven": self.proof is not None,
            "working": {name: asdict(facts) for name, facts in self.working.items()},
            "closures": {name: closure_to_json(closure) for name, closure in self.closures.items()},
            "failing": dict(self.failing),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the offers of `to_json`."""
        closures = {name: closure_from_json(each) for name, each in record["closures"].items()}
        return cls(
            level=record["level"],
            working={
                name: Interpreter(**{**facts, "path": tuple(facts["path"]), "mapped": tuple(facts["mapped"])})
                for name, facts in record["working"].items()
            },
            closures={name: closure for name, closure in closures.items() if closure is not None},
            failing=dict(record["failing"]),
        )


@dataclass(slots=True)
class _Program:
    """One program with its variables, under all the profiles that name it."""

    profiles: list[Profile]
    facts: Interpreter | None = None
    closure: Closure | None = None
    why: str = ""

    @property
    def first(self) -> Profile:
        return self.profiles[0]

    def fail(self, why: object) -> None:
        """Say that it starts, but not where scripts run."""
        self.why = f"{why}{SEE}{explainer(self.first.name)}"


def find_out(settings: Settings) -> Offers:
    """Prove the level and try every profile in a box; the caller has one thread, and `spool.path` exists.

    Raises:
        OSError: a trial could not be set up at all.
    """
    # Where every script is trusted nothing is closed, and so nothing need be proven.
    walled = floors.highest(settings) != "none"
    return find_out_with(settings.interpreter.profiles().each(), settings.spool.path, walled=walled)


@contextmanager
def spool_of(settings: Settings) -> Iterator[str]:
    """Give the site's scratch space to the one whose it is, and to anyone else a private folder; for verbs.

    Not to root either where it is another's: inside a user namespace root may not walk through a stranger's folder
    (user_namespaces(7), "Capabilities").

    Raises:
        OSError: neither can be had.
    """
    path = os.path.abspath(settings.spool.path)
    if os.path.isdir(path) and os.stat(path).st_uid == os.geteuid() and os.access(path, os.W_OK | os.X_OK):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="autoreduce-") as private:
        yield private


def find_out_with(profiles: Iterable[Profile], spool: str, *, walled: bool = True) -> Offers:
    """Prove the level and try `profiles`; see `find_out`.

    Args:
        profiles: what is to be tried; the first that works is proven with.
        spool: existing folder for scratch.
        walled: whether any of them will run behind a tree.

    Raises:
        OSError: a trial could not be set up at all.
    """
    programs = _programs(profiles)
    for program in programs:
        _look_at(program, spool, walled=walled)
    proof: Proof | None = None
    for program in programs:
        if program.why or program.closure is None:
            continue
        first = program.first
        if proof is None or proof.unstarted:
            proof = prove(spool, first.argv, program.closure, env=first.env)
            if not proof.unstarted:
                continue
        if proof.unstarted or proof.level != "none":
            # Also what the proof could not be made with: its boxes are tighter than those of runs.
            try:
                probe(first.argv, first.env, spool, level="contained", needs=program.closure)
            except Unfit as unfit:
                program.fail(unfit)
    if walled and (proof is None or proof.unstarted):
        proof = _proven_by_own(spool) or proof
    working = [program for program in programs if not program.why]
    return Offers(
        level=floors.attainable(proof.level, as_root=os.geteuid() == 0) if proof else "none",
        proof=proof,
        working={each.name: program.facts for program in working if program.facts for each in program.profiles},
        closures={each.name: program.closure for program in working if program.closure for each in program.profiles},
        failing={each.name: program.why for program in programs if program.why for each in program.profiles},
    )


def _proven_by_own(spool: str) -> Proof | None:
    """Prove with the Python of this command where no profile can: a failing interpreter is not the host's weakness."""
    own = _Program([Profile(name="own", argv=(sys.executable,))])
    _look_at(own, spool, walled=True)
    if own.why or own.closure is None:
        return None
    return prove(spool, own.first.argv, own.closure)


def _programs(profiles: Iterable[Profile]) -> list[_Program]:
    """Gather the profiles that are the same but for their name."""
    found: dict[object, _Program] = {}
    for profile in profiles:
        same = (profile.argv, tuple(sorted(profile.env.items())), profile.bind)
        found.setdefault(same, _Program([])).profiles.append(profile)
    return list(found.values())


def _look_at(program: _Program, spool: str, *, walled: bool) -> None:
    """Try it without a tree, and work out what it needs behind one."""
    profile = program.first
    try:
        program.facts = probe(profile.argv, profile.env, spool)
    except Unfit as unfit:
        program.why = str(unfit)
        return
    if not walled:
        return
    try:
        program.closure = needs_of(profile.argv[0], program.facts, profile.bind)
    except (OSError, ValueError) as error:
        program.fail(f"it cannot be told what {profile.argv[0]} needs behind the tree of a box: {error}")
