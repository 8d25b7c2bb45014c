"""Interpreter profiles: which program runs a script, decided by what the site wrote and what the run asks for (pure).

Standard library only: a script that lies on disk is read by the shepherd, and only its text says which conda
environment it wants (`reference/peers.md` §2.1, "Environment selection").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The line of an SNS script that names its environment; a comment in front of it switches it off.
_CONDA_ENV: Final = re.compile(
    rb"""^(?:\xef\xbb\xbf)?[ \t]*CONDA_ENV[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)')""", re.MULTILINE
)
#: Names that conda itself allows, less what a wrapper could take for an option or a path.
_ENV_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", re.ASCII)


class NoProfile(Exception):
    """The run asks for an interpreter that the site has not written down; the sentence says what would offer it."""


class BadScriptLine(Exception):
    """The script's own line about its environment cannot be followed."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        #: Line of the script, counted from 1.
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One interpreter: what is started, and with which variables."""

    #: Where it stands in the configuration, such as ``interpreter.instrument.GEM``.
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    #: Folders and files that it needs beside what is found out about it.
    bind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """All profiles of a site."""

    common: Profile
    #: By instrument, upper case.
    instrument: Mapping[str, Profile] = field(default_factory=dict)
    #: By software and version, as the site wrote them.
    software: Mapping[str, Profile] = field(default_factory=dict)
    #: By name of the conda environment.
    conda: Mapping[str, Profile] = field(default_factory=dict)
    #: Program of any other conda environment, with ``{env}`` for its name; empty for none.
    conda_argv: tuple[str, ...] = ()

    def each(self) -> tuple[Profile, ...]:
        """Every profile whose program is known beforehand."""
        return (self.common, *self.instrument.values(), *self.software.values(), *self.conda.values())

    def choose(self, instrument: str, software: str = "") -> Profile:
        """Return the profile of a run, before its script is seen.

        Args:
            instrument: upper case.
            software: what the message asks for, "" for nothing.

        Raises:
            NoProfile: the site offers software, but not this.
        """
        if software and self.software:
            wanted = same_software(software)
            for name, profile in self.software.items():
                if same_software(name) == wanted:
                    return profile
            offered = ", ".join(f'"{name}"' for name in self.software)
            raise NoProfile(
                f'software "{software}" has no interpreter here (there are {offered}); write '
                f'[interpreter.software."{software}"], or send the run with one of these'
            )
        return self.instrument.get(instrument, self.common)

    def for_conda(self, env: str) -> Profile:
        """Return the profile of a conda environment.

        Raises:
            NoProfile: the site offers none of this name.
        """
        if env in self.conda:
            return self.conda[env]
        if not self.conda_argv:
            raise NoProfile(
                f'conda environment "{env}" has no interpreter here; write [interpreter.conda.{env}] or '
                "interpreter.conda_argv"
            )
        argv = tuple(word.replace("{env}", env) for word in self.conda_argv)
        return Profile(name=f"interpreter.conda_argv for {env}", argv=argv, env=self.common.env, bind=self.common.bind)

    def to_json(self) -> dict[str, Any]:
        """Return what a shepherd needs to follow a script's CONDA_ENV line."""
        return {
            "env": dict(self.common.env),
            "bind": list(self.common.bind),
            "conda": {
                name: {"argv": list(each.argv), "env": dict(each.env), "bind": list(each.bind)}
                for name, each in self.conda.items()
            },
            "conda_argv": list(self.conda_argv),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], chosen: Profile) -> Self:
        """Return the profiles of `to_json` around the one chosen before the script was seen."""
        conda = {
            name: Profile(
                name=f"interpreter.conda.{name}", argv=tuple(each["argv"]), env=each["env"], bind=tuple(each["bind"])
            )
            for name, each in record["conda"].items()
        }
        common = Profile(name=chosen.name, argv=chosen.argv, env=record["env"], bind=tuple(record["bind"]))
        return cls(common=common, conda=conda, conda_argv=tuple(record["conda_argv"]))


def same_software(name: str) -> str:
    """Return what two names of one software have in common: case and spaces mean nothing."""
    return " ".join(name.casefold().split())


def conda_env(script: bytes) -> str:
    """Return the conda environment that a script asks for, "" for none.

    Raises:
        BadScriptLine: it asks for several, or for a name that no environment has.
    """
    found: dict[str, int] = {}
    for match in _CONDA_ENV.finditer(script):
        name = (match[1] or match[2] or b"").decode("utf-8", "replace")
        found.setdefault(name, script.count(b"\n", 0, match.start()) + 1)
    if not found:
        return ""
    if len(found) > 1:
        (first, at), (second, line) = list(found.items())[:2]
        raise BadScriptLine(
            line, f'CONDA_ENV is "{first}" at line {at} and "{second}" at line {line}; keep the one that is meant'
        )
    ((name, line),) = found.items()
    if not _ENV_NAME.fullmatch(name):
        raise BadScriptLine(line, f"CONDA_ENV is {name[:100]!r}, which is no name of a conda environment")
    return name
