"""The checkup of a host: everything that `doctor` looks at, in its order.

What forks boxes comes first, while there is one thread; what may hang with a file system or a network is looked at in
processes of their own. With a service user named, root becomes that user first, as the service does: what root may do
says nothing of what the service will.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from sandbox import delegation
from sandbox.linux import cgroupfs, trial
from supervisor import (
    checkbroker,
    checkclock,
    checkguards,
    checkplaces,
    checkstore,
    durable,
    floors,
    hosts,
    lockproof,
    offers,
    serviceuser,
)
from supervisor.checkrun import PATIENCE, bounded
from supervisor.checkup import Checkup, Finding, caution, failed, passed
from supervisor.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from supervisor.offers import Offers
    from supervisor.profiles import Profile
    from supervisor.settings import Settings

_WHERE: Final = "install where every user may read"
#: Seconds beyond the broker's own patience in which its look must be over.
_MORE: Final = 10.0


def check(
    settings: Settings,
    profiles: Iterable[Profile],
    environ: Mapping[str, str],
    *,
    configured: bool,
    patience: float = PATIENCE,
) -> Checkup:
    """Look at everything; the caller has one thread, and may be another user afterwards.

    Args:
        settings: the configuration.
        profiles: the interpreters to be tried.
        environ: see `brokerfrom.link_settings`.
        configured: whether somebody wrote a configuration; without one, only the host is looked at.
        patience: seconds for each file system to answer.

    Raises:
        OSError: no box could be tried at all.
    """
    findings = [_kernel()]
    if configured:
        findings += _user(settings)
    with offers.spool_of(settings) as spool:
        found = offers.find_out_with(profiles, spool)
    require = settings.isolation.require
    if found.proof is not None:
        raised = {own.require for own in settings.instrument.values() if own.require}
        findings += checkguards.findings(found.proof, require, raised, as_root=os.geteuid() == 0)
    else:
        findings.append(
            failed(
                "guard",
                "all",
                "not tried: no interpreter starts on this host",
                "autoreduce-supervisor doctor interpreter",
            )
        )
    findings += _interpreters(found)
    if configured:
        findings += _places(settings, patience) + _broker(settings, environ)
    findings.append(checkclock.host())
    met = floors.enough(require, found.level)
    return Checkup(
        findings=tuple(findings),
        level=found.level,
        require=require,
        met=met,
        guards={name: asdict(fact) for name, fact in found.proof.guards.items()} if found.proof else {},
    )


def _kernel() -> Finding:
    facts = os.uname()
    kind = cgroupfs.kind(cgroupfs.hierarchies())
    return passed("kernel", facts.release, f"{facts.sysname} on {facts.machine}, control groups {kind}")


def _user(settings: Settings) -> list[Finding]:
    """Become the service user if that can be, and say who asks."""
    name = settings.service.user
    if os.geteuid() != 0:
        if name and not serviceuser.problems(settings) and serviceuser.look_up(name).uid != os.geteuid():
            remedy = f"sudo -u {name} autoreduce-supervisor doctor"
            return [
                caution("user", str(os.geteuid()), f'the service runs as "{name}", and may do other things', remedy)
            ]
        return [failed("user", name, problem) for problem in serviceuser.problems(settings)]
    if not name:
        return []  # told with the guards
    try:
        who = serviceuser.look_up(name, settings.store.path)
        hidden = trial.run(lambda: _hidden_code(who))
        if hidden:
            return [failed("user", name, f"{hidden}; all below is what root may do", _WHERE)]
        delegation.hand_over(who.uid, who.gid)
        serviceuser.become(who)
    except (serviceuser.BadUser, OSError) as error:
        return [failed("user", name, f"{error}; all below is what root may do")]
    return [passed("user", name, f"asked as uid {who.uid}, as the service does")]


def _hidden_code(who: serviceuser.ServiceUser) -> str:
    """Say what of our own code a user may not read, "" if all can be; in a process that becomes the user."""
    serviceuser.become(who)
    for code in (sys.executable, os.path.dirname(os.__file__), __file__):
        if not os.access(code, os.R_OK):
            return f"may not read {code}"
    return ""


def _interpreters(found: Offers) -> list[Finding]:
    behind = found.level != "none"
    rows = [
        passed(
            "interpreter",
            name,
            f"{facts.implementation} {facts.version}, {facts.executable}, "
            + (_shown(found, name) if behind else "not tried behind a tree: this host proves none"),
        )
        for name, facts in found.working.items()
    ]
    for name, why in found.failing.items():
        rows.append(failed("interpreter", name, why.partition(offers.SEE)[0], offers.explainer(name)))
    return rows


def _shown(found: Offers, name: str) -> str:
    folders = found.closures[name].folders if name in found.closures else ()
    return f"starts behind the tree with {', '.join(folders) or 'nothing but the distribution'}"


def _places(settings: Settings, patience: float) -> list[Finding]:
    look_at = functools.partial(bounded, patience=patience)
    store = settings.store

    def look_at_store() -> list[Finding]:
        return checkstore.findings(
            store.path,
            unproven=store.unproven,
            several=_others(store.path),
            host=settings.host.id or hosts.default_id(),
            times=lockproof.times_of(settings),
        )

    findings = look_at("store", store.path, look_at_store)
    findings += look_at("clock", "store", lambda: checkclock.store(store.path))
    rules = settings.paths.rules()
    for area, look, roots in (
        ("data", checkplaces.data_root, rules.local_data_roots()),
        ("result", checkplaces.result_root, rules.local_result_roots()),
    ):
        each = [finding for root in roots for finding in look_at(area, root, functools.partial(look, root))]
        findings += checkplaces.joined(each, area)
    slots = settings.host.slot_count(len(os.sched_getaffinity(0)))
    output = settings.limits_for("").output
    findings += look_at("spool", settings.spool.path, lambda: checkplaces.spool(settings.spool.path, slots, output))
    return findings + checkplaces.run_dir(settings.service.run_dir)


def _others(store: str) -> bool:
    """Say whether a second host has ever been seen in a store."""
    names = durable.listing(Layout(os.path.abspath(store)).path("hosts"))
    return sum(name.endswith(".json") for name in names) > 1


def _broker(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    broker = settings.broker
    if not broker.enabled:
        return [checkbroker.none()]
    patience = len(broker.addresses) * 3 * broker.connect_timeout + _MORE
    return bounded("broker", "all", lambda: checkbroker.findings(broker, environ), patience=patience)
