"""`doctor --peer`: the probe between two hosts, from its command line."""

from __future__ import annotations

import json
import os
import random
import secrets
from typing import TYPE_CHECKING, Any, Final

from supervisor import proberace, shown
from supervisor.exitcodes import CONFIG, INTERNAL, UNFIT
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

    from supervisor.layout import Layout
    from supervisor.settings import Settings
    from supervisor.storeground import Ground

_WAIT: Final = 120.0
_MOST_CELLS: Final = 100_000
#: Seconds that the steps may take in all, and for each cell: a store that is slower than that is not one.
_STEPS: Final = 900.0
_CELL: Final = 2.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the probe."""
    parser.add_argument(
        "--peer", action="store_true", help="try with a second host, on which this is said too, what locks promise"
    )
    parser.add_argument(
        "--wait", type=float, default=_WAIT, metavar="SECONDS", help=f"for the second host (default: {_WAIT:g})"
    )
    parser.add_argument(
        "--cells",
        type=_cells,
        default=proberace.FULL,
        metavar="N",
        help=f"records that both race for (default: {proberace.FULL})",
    )
    parser.add_argument(
        "--same-machine", action="store_true", help="let both be one machine: tries the command, and proves nothing"
    )


def _cells(text: str) -> int:
    number = opened.count(text)
    if number > _MOST_CELLS:
        raise ValueError(text)
    return number


def main(args: argparse.Namespace, settings: Settings) -> int:
    """Probe with another host, say what came of it, and return the exit status of `doctor`."""
    from sandbox.linux import trial
    from supervisor import serviceuser

    try:
        if os.geteuid() == 0 and settings.service.user:
            serviceuser.become(serviceuser.look_up(settings.service.user, settings.store.path))
    except serviceuser.BadUser as bad:
        shown.complain(f"cannot probe: {bad}")
        return CONFIG
    store = opened.store(args, create=True)
    if isinstance(store, int):
        return store
    ground = _ground(store.layout, same_machine=args.same_machine)
    if isinstance(ground, str):
        shown.complain(f"cannot probe: {ground}")
        return UNFIT
    # In a process of its own: a file system that hangs holds it, and the end of its time is told here.
    patience = args.wait + _STEPS + _CELL * args.cells
    said = trial.run(lambda: json.dumps(_probe(args, store, ground)), patience=patience)
    try:
        told = json.loads(said)
    except ValueError:
        shown.complain(f"cannot probe: {said} (after {patience:g} s at most); see whether the store's mount answers")
        return INTERNAL
    return _tell(told, as_json=args.json)


def _ground(layout: Layout, *, same_machine: bool) -> Ground | str:
    """Return what the store lies on, or why no other host can come to it."""
    from supervisor import storeground

    ground = storeground.read(layout.root)
    if ground is None:
        return f'what "{layout.root}" lies on cannot be told from /proc/self/mountinfo'
    if ground.is_local and not same_machine:
        return (
            f'the store "{layout.root}" lies on {ground.kind} ({ground.source} at {ground.point}), which no other host '
            "can see: another one that names this path has another folder; mount the shared file system, or correct "
            "store.path (--same-machine tries the command on one machine)"
        )
    return ground


def _probe(args: argparse.Namespace, store: opened.OpenStore, ground: Ground) -> dict[str, Any]:
    """Probe; return the report, or what kept it from being made."""
    from supervisor import lockproof, records
    from supervisor.meeting import OtherGone
    from supervisor.peerprobe import BrokenProbe, Prober
    from supervisor.probestage import Terms
    from supervisor.rendezvous import NobodyCame, SameHost

    facts = store.facts
    prober = Prober(
        layout=store.layout,
        host=facts.host,
        boot=facts.boot,
        version=facts.code_version,
        ground=ground,
        terms=Terms(times=lockproof.times_of(store.settings), cells=args.cells),
        same_machine=args.same_machine,
        rng=random.Random(),
        token=lambda: secrets.token_hex(8),
        tell=lambda text: shown.complain(f"  {text}"),
    )
    where = (
        f'store "{store.layout.root}", {ground.kind} from {ground.source}, inode {os.stat(store.layout.format).st_ino}'
    )
    shown.complain(f"{where}: waiting up to {args.wait:g} s for another host on which `{lockproof.COMMAND}` is said")
    try:
        return {"report": prober.run(args.wait).to_json()}
    except NobodyCame:
        why = (
            f"nobody came within {args.wait:g} s: run `{lockproof.COMMAND}` on another host of the fleet within that "
            f"time; if it was run there, it has another folder than this: {where}"
        )
        return {"problem": why, "status": INTERNAL}
    except SameHost as same:
        return {"problem": str(same), "status": UNFIT}
    except BrokenProbe as broken:
        return {"problem": str(broken), "status": UNFIT}
    except OtherGone as gone:
        return {"problem": str(gone), "status": INTERNAL}
    except (OSError, records.CorruptRecord) as trouble:
        return {"problem": f"the store cannot be used: {trouble}", "status": INTERNAL}


def _tell(told: dict[str, Any], *, as_json: bool) -> int:
    from supervisor.probereport import ProbeReport

    if "report" not in told:
        shown.complain(f"cannot probe: {told['problem']}")
        if as_json:
            shown.say(json.dumps({"status": "fail", "problem": told["problem"]}))
        return int(told["status"])
    report = ProbeReport.from_json(told["report"])
    shown.say(*([json.dumps(report.to_json(), indent=2)] if as_json else report.lines()))
    return report.exit_status
