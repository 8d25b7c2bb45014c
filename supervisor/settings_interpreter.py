"""Settings of interpreters: which program runs the scripts of which instrument."""

from __future__ import annotations

from typing import Annotated

from supervisor.settingtypes import ByName, Command, Environment, Instrument, Section, setting


class InterpreterOverrides(Section):
    """The interpreter of one instrument; `env` is added to that of `[interpreter]`."""

    argv: Command | None = setting(None, "Another program.")
    env: Environment = setting({}, "Environment variables added to those of `[interpreter]`.")


class Interpreter(Section):
    """The program that runs scripts."""

    argv: Command = setting(
        ("python3",),
        "Python 3.8 or later that runs the scripts, with its arguments; a wrapper is allowed. A bare name is "
        "looked up in the box's PATH.",
    )
    env: Environment = setting({}, "Environment variables that scripts get besides those of the box.")
    instrument: Annotated[dict[Instrument, InterpreterOverrides], ByName] = setting(
        {}, "Another interpreter for one instrument."
    )
