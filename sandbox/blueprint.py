"""The blueprint of a box: what is worked out and written down before anything of the script exists.

From a `Box` and its scratch come the script's file, the order for the harness, and the plan that builder and init carry
through their forks. When the builder waits already, and the script is read from a slow file system, file, order and
program are worked out anew, and no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Final

from sandbox import enclosure, gate, handoff, levels
from sandbox.enclosure import Enclosure, Sized
from sandbox.environment import environment
from sandbox.handoff import HandoffIn
from sandbox.init import Plan
from sandbox.linux import rlimits
from sandbox.places import Places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.box import Box
    from sandbox.cgroup import Group
    from sandbox.scratch import Scratch

#: RLIMIT_CPU stands behind the sampler, which knows the whole tree: it lets this many seconds more pass.
_CPU_BACKSTOP: Final = 3
#: Not `reduce_vars.py`: the script's folder is importable, and that name belongs to the message's values.
_DEFAULTS: Final = "reduce_vars_of_the_instrument.py"
#: Size of /tmp, and of the sized scratch, where no limit names one; and how many files they hold then.
_SIZE: Final = 2 << 30
_FILES: Final = 100_000
#: Folders and files of our own in the sized scratch.
_OWN_INODES: Final = 16


def write_script(scratch: Scratch, box: Box) -> None:
    """Writes the script's text where the interpreter will read it, in place of an earlier one.

    Raises:
        ValueError: its name is no plain file name.
        OSError: the scratch does not take it.
    """
    if os.path.basename(box.script_name) != box.script_name or box.script_name in {"", ".", ".."}:
        raise ValueError(f"script name {box.script_name!r} is no plain file name")
    _write(scratch, box.script_name, box.script)
    if box.defaults is not None:
        _write(scratch, _DEFAULTS, box.defaults)


def _write(scratch: Scratch, name: str, text: bytes) -> None:
    path = f"script/{name}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path, dir_fd=scratch.root_fd)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600, dir_fd=scratch.root_fd), "wb") as file:
        file.write(text)


def write_order(scratch: Scratch, box: Box) -> None:
    """Writes what the harness is asked to do, in place of an earlier order.

    Raises:
        OSError, TypeError: see `handoff.write`.
    """
    handoff.write(scratch.handoff_fd, _order(box, scratch))


def places_of(box: Box, scratch: Scratch) -> Places:
    """Returns where things are for the script."""
    return Places.in_tree() if "tree" in guards_wanted(box) else Places.on_host(scratch.path)


def _order(box: Box, scratch: Scratch) -> HandoffIn:
    places = places_of(box, scratch)
    return HandoffIn(
        input_files=box.input_files,
        output_dir=places.result + ("/" if box.output_slash else ""),
        script=os.path.join(places.script, box.script_name),
        script_sha256=hashlib.sha256(box.script).hexdigest(),
        mode=box.mode,
        reduce_vars=box.reduce_vars,
        facts=box.facts,
        batch=box.batch,
        default_vars=None if box.defaults is None else os.path.join(places.script, _DEFAULTS),
        skip_anywhere=box.skip_anywhere,
        script_args=box.script_args,
    )


def plan_of(box: Box, scratch: Scratch, group: Group) -> Plan:
    """Returns what builder and init need to know.

    Args:
        box: what is to be run.
        scratch: its folder.
        group: its control group; what that holds needs no rlimit.

    Raises:
        ValueError: the box names no interpreter.
    """
    places = places_of(box, scratch)
    argv, env = program_of(box, scratch)
    return Plan(
        argv=argv,
        env=env,
        cwd=places.result if box.mode == "program" else places.work,
        rlimits={} if "rlimits" in box.without else _rlimits(box, count_tasks=not group.holds("processes")),
        processors=_processors(box.limits.cpus, scratch.token),
        mute_after=box.mute_after,
        handoff=places.handoff,
        enclosure=enclosure_of(box, scratch),
    )


def program_of(box: Box, scratch: Scratch) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the arguments and the environment of the program that the box is for.

    Raises:
        ValueError: the box names no interpreter.
    """
    if not box.interpreter:
        raise ValueError("the interpreter is empty; name a program")
    places = places_of(box, scratch)
    env = environment(
        token=scratch.token,
        home=places.home,
        tmp=places.tmp,
        interpreter=box.interpreter[0],
        threads=len(_processors(box.limits.cpus, scratch.token)) or len(os.sched_getaffinity(0)),
        extra=box.env,
    )
    program = box.interpreter[0]
    if "/" not in program:
        program = shutil.which(program, path=env["PATH"]) or program
    return (program, *box.interpreter[1:], places.harness, places.handoff), env


def amendment_of(box: Box, scratch: Scratch) -> bytes:
    """Returns what a builder that waits is told, so that this box's program is run.

    Raises:
        ValueError: the box names no interpreter.
    """
    argv, env = program_of(box, scratch)
    if box.level == "none":
        return gate.amendment(argv, env, None)
    return gate.amendment(argv, env, enclosure.amendment(*_needs(box)))


def _needs(box: Box) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Returns what of the host the interpreter needs: folders and files, and links."""
    return (box.closure.folders, box.closure.links) if box.closure else ((), {})


def guards_wanted(box: Box) -> frozenset[str]:
    """Returns the guards that close a box of this level; none at level "none".

    Raises:
        ValueError: the level, or a guard to be left out, is unknown.
    """
    unknown = box.without - levels.GUARDS
    if unknown:
        raise ValueError(f"guard {min(unknown)!r} is unknown; guards are {', '.join(sorted(levels.GUARDS))}")
    if "mnt" in box.without and "tree" not in box.without:
        raise ValueError("guard 'tree' cannot stand without 'mnt': it would be built over the host's own root")
    wanted = levels.needed(box.level) & levels.GUARDS
    if box.level == "none":
        return frozenset()
    if enclosure.has_landlock():
        wanted |= {"landlock"}
    wanted |= {"cgroupns"}
    return wanted - box.without - ({"net"} if box.network else set())


def enclosure_of(box: Box, scratch: Scratch) -> Enclosure | None:
    """Returns what closes a box, None for level "none"."""
    if box.level == "none":
        return None
    limits = box.limits
    interpreter, links = _needs(box)
    tmp = Sized(size=max(1, limits.tmp or limits.memory or _SIZE), inodes=limits.files or _FILES)
    hard = Sized(size=max(1, limits.output or _SIZE), inodes=(limits.files or _FILES) + _OWN_INODES)
    made = Enclosure(
        guards=guards_wanted(box),
        scratch=scratch.path,
        harness=Places.on_host("").harness,
        data=box.input_files,
        readable=box.readable,
        hidden=(*box.hidden, os.path.abspath(box.spool)),
        interpreter=interpreter,
        links=links,
        tmp=tmp,
        hard=hard if box.level == "hostile" else None,
    )
    return enclosure.draw(made)


def _rlimits(box: Box, *, count_tasks: bool) -> dict[str, int]:
    limits = box.limits
    # A script never has as many as we: see `rlimits.raise_open_files`.
    most = rlimits.raise_open_files() // 2
    values = {"core": rlimits.NO_CORE, "nofile": most if limits.open_files is None else min(limits.open_files, most)}
    sizes = [size for size in (limits.file_size, limits.output) if size is not None]
    if sizes:
        values["fsize"] = min(sizes)
    if limits.cpu is not None:
        values["cpu"] = int(limits.cpu) + 1 + _CPU_BACKSTOP
    if limits.processes is not None and count_tasks:
        # Counted for the user on the whole host (getrlimit(2)), so what runs already is added; in a user namespace of
        # its own what runs there, since Linux 5.14. Builder and init always count.
        own = "user" in guards_wanted(box) and rlimits.counts_tasks_by_namespace(os.uname().release)
        values["nproc"] = limits.processes + 2 + (0 if own else rlimits.tasks_of_user(os.geteuid()))
    return values


def _processors(cpus: float | None, token: str) -> tuple[int, ...]:
    """Chooses processors for a limited box; boxes beside each other begin at different ones."""
    if cpus is None:
        return ()
    usable = sorted(os.sched_getaffinity(0))
    count = min(len(usable), max(1, round(cpus)))
    first = int(token, 16) % len(usable)
    return tuple(sorted((usable + usable)[first : first + count]))


def guards_of(level: str, plan: Plan, group: Group) -> dict[str, str]:
    """Returns the guards that a box of this plan will have: what its group does not hold, sampler and rlimits do."""
    as_root = os.geteuid() == 0
    return {
        "level": level,
        "memory": "sampler",
        "processes": "sampler" if as_root or "nproc" not in plan.rlimits else "rlimit",
        "kill": "tree",
        "output": "watched",
        "rlimits": ",".join(sorted(plan.rlimits)),
        "env": "clean",
        "fds": "closed",
        "no_new_privs": "on",
        "identity": "root" if as_root else "user",
        **(enclosure.in_force(plan.enclosure) if plan.enclosure else {}),
        **group.guards(),
    }
