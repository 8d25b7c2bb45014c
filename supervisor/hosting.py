"""Hosting: which hosts of a fleet take a run, by what each offers (DESIGN §5, "Order"; pure).

A host offers what its heartbeat says: the isolation that it proves, the interpreters that work on it, the roots of the
archive that it serves. A job that no living host takes is stepped over; one that another host takes stays the first of
its RB and is left to that host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox.limits import format_size
from supervisor import floors, paths, request
from supervisor.drains import DRAINED
from supervisor.pathrules import under
from supervisor.profiles import NoProfile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervisor.hosts import HostBeat
    from supervisor.pathrules import PathRules
    from supervisor.records import Request
    from supervisor.settings import Settings


class Place(StrEnum):
    """Where a job can run."""

    HERE = "here"
    #: On another living host only.
    ELSEWHERE = "elsewhere"
    #: On no living host.
    NOWHERE = "nowhere"
    #: Its instrument is disabled: it waits, however long.
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run needs of its host."""

    instrument: str
    #: "none", "contained" or "hostile".
    floor: str
    #: Name of the profile of its interpreter; "" where the site knows none for its software, which is told elsewhere.
    profile: str
    #: Its limits: bytes and processors; None for no limit, which fits everywhere.
    memory: int | None = None
    cpus: float | None = None
    #: Its data files and its result folder by their archive names; empty where nobody needs to know.
    data: tuple[str, ...] = ()
    result: str = ""


def needs_of(settings: Settings, instrument: str, software: str, rb: str = "") -> Needs:
    """Return what a run needs, but for the roots of its files.

    Args:
        settings: the configuration in force.
        instrument: upper case.
        software: what the message asks for.
        rb: its RB, which may have limits of its own.
    """
    limits = settings.limits_for(instrument, rb)
    try:
        profile = settings.interpreter_for(instrument, software).name
    except NoProfile:
        profile = ""
    return Needs(
        instrument=instrument,
        floor=settings.floor_for(instrument),
        profile=profile,
        memory=limits.memory,
        cpus=limits.cpus,
    )


def with_paths(needs: Needs, of: Request, rules: PathRules) -> Needs:
    """Return `needs` with the archive names of the job's files; without, where it has none that are sound."""
    try:
        decoded = request.decode(of.body.encode(), of.headers)
        placed = paths.place_of(decoded, replace(rules, data_roots=("/",), result_roots=("/",)))
    except (request.BadRequest, paths.BadPath):
        return needs
    return replace(needs, data=tuple(map(rules.archive, placed.data)), result=rules.archive(placed.target))


def why_not(offer: HostBeat, needs: Needs, *, roots: bool = True) -> str:
    """Return why the host of `offer` does not take a run, "" where it does.

    Args:
        offer: what the host says of itself.
        needs: what the run needs.
        roots: whether what passes counts as well: data that it does not serve, or an operator who has drained it.
    """
    if roots and offer.state == DRAINED:
        return f"host {offer.host} is drained"
    if not floors.enough(needs.floor, offer.level):
        return (
            f'isolation "{needs.floor}" is required for {needs.instrument}, and host {offer.host} proves '
            f'"{offer.level}" only'
        )
    if offer.memory and needs.memory is not None and needs.memory > offer.memory:
        return (
            f"a limit of {format_size(needs.memory)} of memory is required for {needs.instrument}, and host "
            f"{offer.host} has {format_size(offer.memory)} for runs"
        )
    if offer.cpus and needs.cpus is not None and needs.cpus > offer.cpus:
        return (
            f"{needs.cpus:g} processors are required for {needs.instrument}, and host {offer.host} has {offer.cpus:g}"
        )
    if needs.profile in offer.failing:
        return offer.failing[needs.profile]
    # A host that says nothing of its interpreters is one of before they were tried.
    if needs.profile and offer.interpreters and needs.profile not in offer.interpreters:
        return f"the configuration of host {offer.host} has no interpreter {needs.profile}"
    if roots:
        lost = [file for file in needs.data if offer.roots and not under(file, offer.roots)]
        if needs.result and offer.result_roots and not under(needs.result, offer.result_roots):
            lost.append(needs.result)
        if lost:
            return f'host {offer.host} serves no root of "{lost[0]}"'
    return ""


def place(needs: Needs, own: HostBeat, living: Iterable[HostBeat]) -> Place:
    """Return where a run can go.

    Args:
        needs: what it needs.
        own: what this host offers.
        living: the hosts that are heard of; this one may be among them.
    """
    if not why_not(own, needs):
        return Place.HERE
    others = (beat for beat in living if beat.host != own.host)
    return Place.ELSEWHERE if any(not why_not(beat, needs) for beat in others) else Place.NOWHERE


def uneven(own: HostBeat, living: Iterable[HostBeat]) -> bool:
    """Say whether the hosts serve different roots, so that it matters where the files of a run lie."""
    return any((set(beat.roots), set(beat.result_roots)) != (set(own.roots), set(own.result_roots)) for beat in living)


def unplaceable(needs: Needs, known: Iterable[HostBeat]) -> str:
    """Return why no host that was ever seen can take a run for its isolation, size or interpreter; "" where one can.

    A root that nobody serves is no reason: an archive that is not mounted comes back.
    """
    reasons = [why_not(beat, needs, roots=False) for beat in known]
    return "" if not reasons or "" in reasons else reasons[0]


def with_roots(rules: PathRules, fleet: Iterable[HostBeat]) -> PathRules:
    """Return path rules that allow what any host of the fleet serves: what this one takes another may run."""
    data, results = dict.fromkeys(rules.data_roots), dict.fromkeys(rules.result_roots)
    for beat in fleet:
        data.update(dict.fromkeys(beat.roots))
        results.update(dict.fromkeys(beat.result_roots))
    return replace(rules, data_roots=tuple(data), result_roots=tuple(results))
