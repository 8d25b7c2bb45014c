"""Settings of interpreters: which program runs a script, chosen by instrument, by software, or by the script itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from supervisor.profiles import Profile, Profiles, same_software
from supervisor.settingtypes import (
    AbsolutePath,
    ByName,
    Command,
    Environment,
    Instrument,
    Name,
    Section,
    WrapperCommand,
    setting,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class InterpreterOverrides(Section):
    """An interpreter profile; `env` is added to that of `[interpreter]`."""

    argv: Command | None = setting(None, "Another program.")
    env: Environment = setting({}, "Environment variables added to those of `[interpreter]`.")
    bind: tuple[AbsolutePath, ...] = setting((), "Folders and files shown besides those of `[interpreter]`.")


class Interpreter(Section):
    """The program that runs scripts.

    The most telling word wins: the `CONDA_ENV` line of an SNS script, then the `software` of the message, then the
    instrument, then `argv` here. Each profile is tried at the start of the service; instruments whose profile does
    not work on this host are not taken by it. A reload tries what has changed first.
    """

    argv: Command = setting(
        ("python3",),
        "Python 3.8 or later that runs the scripts, with its arguments; a wrapper is allowed. A bare name is "
        "looked up in the box's PATH.",
    )
    env: Environment = setting({}, "Environment variables that scripts get besides those of the box.")
    bind: tuple[AbsolutePath, ...] = setting(
        (),
        "Folders and files that the program needs and that are not found by themselves. Its prefix, the installation "
        "below a virtual environment, links on the way, its `sys.path` and the libraries that it loads are; "
        "`doctor interpreter` lists them. They are shown read-only under their own names.",
        examples=['["/opt/mantid-data"]'],
    )
    conda_argv: WrapperCommand = setting(
        (),
        'Program that starts the conda environment of an SNS script\'s line CONDA_ENV = "name", for example '
        '["/usr/bin/conda-wrap", "{env}", "--classic"]: {env} stands for the name. Empty: only the environments '
        "listed under `interpreter.conda` can be asked for.",
    )
    instrument: Annotated[dict[Instrument, InterpreterOverrides], ByName] = setting(
        {}, "Another interpreter for one instrument."
    )
    software: dict[Name, InterpreterOverrides] = setting(
        {},
        'The interpreter of one `software` of a message, named as "Mantid 6.2.0". Empty: the key says nothing here. '
        "Otherwise a run that asks for software without a profile is refused.",
    )
    conda: dict[Name, InterpreterOverrides] = setting({}, "The interpreter of one conda environment.")

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        seen: dict[str, str] = {}
        for name in self.software:
            other = seen.setdefault(same_software(name), name)
            if other != name:
                yield f"software names {other!r} and {name!r}, which are the same; keep one"

    def profiles(self) -> Profiles:
        """Returns every profile in the form that `supervisor.profiles` chooses from."""
        return Profiles(
            common=Profile(name="interpreter", argv=self.argv, env=self.env, bind=self.bind),
            instrument=self._named("instrument", self.instrument),
            software=self._named("software", self.software),
            conda=self._named("conda", self.conda),
            conda_argv=self.conda_argv,
        )

    def _named(self, table: str, profiles: dict[str, InterpreterOverrides]) -> dict[str, Profile]:
        return {
            name: Profile(
                name=f"interpreter.{table}.{name}",
                argv=own.argv or self.argv,
                env={**self.env, **own.env},
                bind=(*self.bind, *own.bind),
            )
            for name, own in profiles.items()
        }
