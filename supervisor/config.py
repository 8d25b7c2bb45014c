"""Reading the configuration: a TOML file becomes frozen `Settings`, or every problem in it becomes a sentence."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pydantic import ValidationError

from supervisor import shown
from supervisor.configwords import sentences
from supervisor.settings import Settings

#: Where the configuration is looked for when no file is named.
DEFAULT_PATH = "/etc/autoreduce/supervisor.toml"
#: Longest file that is read, in bytes; a real one has a few thousand.
_LONGEST = 1024 * 1024


class ConfigProblems(Exception):
    """The configuration cannot be used; `problems` says everything that is wrong with it."""

    def __init__(self, origin: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{origin}: {problem}" for problem in problems))
        #: The file, or what else the text came from.
        self.origin = origin
        #: One sentence each: key, value, what to write.
        self.problems = problems


def load(path: str | None = None) -> Settings:
    """Reads a configuration file.

    Args:
        path: The file; None reads `DEFAULT_PATH` if it is there and takes every default if it is not.

    Raises:
        ConfigProblems: The file cannot be read or something in it is wrong.
    """
    origin, text = read(path)
    return parse(text, origin)


def read(path: str | None = None) -> tuple[str, str]:
    """Reads a configuration file and returns what it is called and its text.

    Args:
        path: The file; None reads `DEFAULT_PATH`, or gives an empty text called "defaults" where that is not there.

    Raises:
        ConfigProblems: The file cannot be read as text.
    """
    if path is None and not os.path.lexists(DEFAULT_PATH):
        return "defaults", ""
    origin = path or DEFAULT_PATH
    try:
        with open(origin, "rb") as file:
            body = file.read(_LONGEST + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigProblems(origin, [f"cannot be read: {reason}; name a configuration with --config"]) from None
    if len(body) > _LONGEST:
        raise ConfigProblems(origin, [f"is longer than {_LONGEST} bytes; a configuration is a short text"])
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise ConfigProblems(origin, [f"is not UTF-8 text (line {line}); save it as UTF-8"]) from None
    return origin, text


def parse(text: str, origin: str) -> Settings:
    """Reads a configuration text; pure, so whether a file it names exists is not asked here.

    Args:
        text: TOML.
        origin: What the text came from, for the error.

    Raises:
        ConfigProblems: The text is no TOML or something in it is wrong.
    """
    document = tables(text, origin)
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise ConfigProblems(origin, sentences(error, document)) from None


def tables(text: str, origin: str) -> dict[str, Any]:
    """Reads a text as TOML, whatever its tables mean.

    Raises:
        ConfigProblems: It is none.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # A plain ValueError: the interpreter itself refuses to read a number of thousands of digits.
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "too long a number or too deeply nested"
        reason = reason[:1].lower() + reason[1:]
        raise ConfigProblems(origin, [f"is not valid TOML: {shown.line(reason, 300)}"]) from None
