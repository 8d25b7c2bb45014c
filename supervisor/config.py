"""Reading the configuration: a TOML file becomes frozen `Settings`, or every problem in it becomes a sentence."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from supervisor import shown, whereabouts
from supervisor.configwords import sentences
from supervisor.settings import Settings

#: Where the configuration is looked for when no file is named.
DEFAULT_PATH = whereabouts.CONFIG
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration that can be used, and what it was read from."""

    #: The file, absolute; None for the default one, which need not be there.
    path: str | None
    #: What it is called in sentences: the file as it was named, or "defaults".
    origin: str
    #: The tables as they were written.
    document: dict[str, Any]
    settings: Settings


def load_whole(path: str | None = None) -> Configuration:
    """Reads a configuration file and keeps what it was read from.

    Args:
        path: The file; None as for `load`.

    Raises:
        ConfigProblems: The file cannot be read or something in it is wrong.
    """
    origin, text = read(path)
    document = tables(text, origin)
    settings = validate(document, origin)
    where = None if path is None else os.path.abspath(path)
    return Configuration(path=where, origin=origin, document=document, settings=settings)


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
    return validate(tables(text, origin), origin)


def validate(document: dict[str, Any], origin: str) -> Settings:
    """Makes settings of the tables of a configuration (pure).

    Raises:
        ConfigProblems: Something in them is wrong.
    """
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
