"""What an interpreter needs behind the tree of a box, explained: for `doctor interpreter`.

The service finds the same by itself when it starts; what is told here is what it found, whether the program starts with
just that in sight, and what to write for the rest: libraries that only an import loads, data that only a framework
knows of.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.environment import PATH
from sandbox.interpreter import Interpreter, Unfit, needs_of, probe
from sandbox.tree import MOST_LINKS, lies_below
from supervisor import shown, tomltext
from supervisor.profiles import Profile

if TYPE_CHECKING:
    from sandbox.closure import Closure
    from supervisor.profiles import Profiles

_LIBRARY: Final = re.compile(r"error while loading shared libraries: ([^\s:]+)|\b(lib[^\s:]+\.so[^\s:]*): cannot open")
_MODULE: Final = re.compile(r"No module named '([^']+)'")
_PATH: Final = re.compile(r"No such file or directory: '(/[^']+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What was found out about one profile."""

    profile: Profile
    #: The program as it is started, and every link on the way from it; the last one is no link.
    chain: tuple[str, ...] = ()
    #: What it says of itself, None when it does not start at all.
    facts: Interpreter | None = None
    #: What is shown to it.
    closure: Closure | None = None
    #: Folders that only the modules asked for brought in, to be written as `bind`.
    bind: tuple[str, ...] = ()
    #: Modules that were imported.
    imports: tuple[str, ...] = ()
    #: Why it does not start, without a box or behind the tree; "" when it does.
    why: str = ""
    #: What to do then.
    remedy: str = ""

    @property
    def works(self) -> bool:
        """Whether scripts can run with it."""
        return not self.why


def explain(profile: Profile, spool: str, *, level: str, imports: tuple[str, ...] = ()) -> Needs:
    """Try a profile, without a tree and behind one; the caller has one thread.

    Args:
        profile: what is to be started.
        spool: existing folder for scratch.
        level: what the host proves; at "none" there is no tree to try.
        imports: modules that it shall import.

    Raises:
        OSError: a box could not be tried at all.
    """
    needs = Needs(profile=profile, chain=chain(profile.argv[0]), imports=imports)
    behind = False
    try:
        facts = probe(profile.argv, profile.env, spool)
        needs = replace(needs, facts=facts)
        base = needs_of(profile.argv[0], facts, profile.bind)
        needs = replace(needs, closure=base)
        if imports:
            loaded = probe(profile.argv, profile.env, spool, imports=imports)
            wide = needs_of(profile.argv[0], loaded, profile.bind)
            needs = replace(needs, closure=wide, bind=added(base, wide))
        if level != "none":
            behind = True
            probe(profile.argv, profile.env, spool, level="contained", needs=needs.closure, imports=imports)
    except Unfit as unfit:
        return replace(needs, why=str(unfit), remedy=remedy(str(unfit)) if behind else "")
    except (OSError, ValueError) as error:
        return replace(needs, why=f"it cannot be told what it needs: {error}", remedy="name another program")
    return needs


def chain(program: str) -> tuple[str, ...]:
    """Return a program and where the links lead from it, one after the other."""
    path = program if "/" in program else shutil.which(program, path=PATH) or program
    found = [path]
    while len(found) <= MOST_LINKS and os.path.islink(found[-1]):
        found.append(os.path.normpath(os.path.join(os.path.dirname(found[-1]), os.readlink(found[-1]))))
    return tuple(found)


def added(base: Closure, wide: Closure) -> tuple[str, ...]:
    """Return the folders of one closure that lie in none of another (pure)."""
    return tuple(path for path in wide.folders if not any(lies_below(path, top) for top in base.folders))


def remedy(why: str) -> str:
    """Return what to do about a program that does not start behind the tree (pure)."""
    if found := _LIBRARY.search(why):
        return f"find {found[1] or found[2]} (ldd, ldconfig -p) and add its folder to bind"
    if found := _MODULE.search(why):
        return f"add the folder of the module {found[1]} to bind"
    if found := _PATH.search(why):
        return f"add {found[1]}, or the folder it lies in, to bind"
    return (
        "add to bind what it needs and what is not in the list above; strace -f -e trace=file shows what it looks for"
    )


def named(profiles: Profiles, subject: str) -> Profile:
    """Return the profile that somebody means (pure but for a program of the name).

    Args:
        profiles: those of the configuration.
        subject: "" for the common one; the name of a profile, whole or without "interpreter." and its table; or else a
            program, which gets the variables and folders of the common profile.
    """
    if not subject:
        return profiles.common
    for profile in profiles.each():
        name = profile.name
        if subject in {name, name.removeprefix("interpreter."), name.split(".", 2)[-1]}:
            return profile
    common = profiles.common
    return Profile(name="interpreter", argv=(program_of(subject),), env=common.env, bind=common.bind)


def program_of(subject: str) -> str:
    """Return the absolute path of a program; one that is not found stays as it is."""
    return os.path.abspath(subject) if "/" in subject else shutil.which(subject) or subject


def toml_of(needs: Needs) -> str:
    """Return the table to write (pure)."""
    table = tomltext.path(needs.profile.name.split(".", 2))
    rows = [f"[{table}]", f"argv = {tomltext.toml(needs.profile.argv)}"]
    bind = (*needs.profile.bind, *needs.bind)
    if bind:
        rows.append(f"bind = {tomltext.toml(bind)}")
    if needs.profile.env:
        rows.append(f"env = {tomltext.toml(needs.profile.env)}")
    return "\n".join(rows)


def lines(needs: Needs, level: str) -> list[str]:
    """Return the explanation for people (pure)."""
    rows = [_row("program", " ".join(needs.profile.argv)), _row("profile", needs.profile.name)]
    rows += [_row("leads to", path) for path in needs.chain[1:]]
    if needs.facts is not None:
        facts = needs.facts
        rows.append(_row("is", f"{facts.implementation} {facts.version}, {facts.executable}"))
        rows.append(_row("prefix", facts.prefix))
        if facts.base_prefix != facts.prefix:
            rows.append(_row("base", f"{facts.base_prefix} (the installation below the environment)"))
    if needs.closure is not None:
        rows += [_row("shown", path) for path in needs.closure.folders or ("nothing but the distribution's folders",)]
        rows += [_row("link", f"{path} -> {text}") for path, text in needs.closure.links.items()]
    if needs.imports:
        rows.append(_row("imports", ", ".join(needs.imports)))
    rows.append(_row("starts", _verdict(needs, level)))
    if needs.remedy:
        rows.append(_row("mend", needs.remedy))
    if needs.works:
        rows += ["", *toml_of(needs).splitlines()]
    return rows


def _verdict(needs: Needs, level: str) -> str:
    if needs.why:
        return f"NO: {needs.why}"
    return "yes, behind the tree of a box" if level != "none" else "yes; this host proves no tree to try it behind"


def _row(key: str, text: str) -> str:
    return f"{key:<9}{shown.line(text, 600)}"


def to_json(needs: Needs, level: str) -> dict[str, Any]:
    """Return the explanation as plain JSON (pure)."""
    facts, closure = needs.facts, needs.closure
    return {
        "profile": needs.profile.name,
        "argv": list(needs.profile.argv),
        "chain": list(needs.chain),
        "implementation": facts.implementation if facts else None,
        "version": facts.version if facts else None,
        "executable": facts.executable if facts else None,
        "prefix": facts.prefix if facts else None,
        "base_prefix": facts.base_prefix if facts else None,
        "folders": list(closure.folders) if closure else [],
        "links": dict(closure.links) if closure else {},
        "imports": list(needs.imports),
        "bind": [*needs.profile.bind, *needs.bind],
        "level": level,
        "works": needs.works,
        "why": needs.why,
        "remedy": needs.remedy,
        "toml": toml_of(needs) if needs.works else "",
    }
