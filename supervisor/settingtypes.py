"""The kinds of values a configuration key may have, and the two words by which sections declare their keys.

Each kind is checked by one small pure function whose error says what to write; `supervisor.configwords` puts the key
and the value in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationInfo,
    model_validator,
)

from sandbox.limits import LimitError, Limits, parse_duration, parse_size
from supervisor.brokerurl import parse_address
from supervisor.pathtext import template_problem

#: One path component for people and machines alike: an instrument's name.
_INSTRUMENT = re.compile(r"[A-Z0-9_-]{1,60}", re.ASCII)
_LONGEST_NAME = 100
#: Names of users and hosts are far shorter.
_LONGEST_LINE = 300
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def setting(default: Any, text: str, *, restart: bool | None = None, **bounds: Any) -> Any:
    """Declares one key: its default as an operator would write it, and the text of the reference page.

    Args:
        default: As an operator would write it.
        text: What it means and what happens when it is reached.
        restart: Whether a change needs a restart; None as its section says.
        bounds: Of a number.
    """
    if restart is not None:
        bounds["json_schema_extra"] = {"restart": restart}
    return Field(default=default, validate_default=True, description=text, **bounds)


class Section(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: Whether changes of its keys need a restart, where a key says nothing else; else a reload applies them.
    RESTART: ClassVar[bool] = False

    def contradictions(self) -> Iterator[str]:
        """Yields a sentence for each pair of keys that cannot stand together."""
        return iter(())

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        # One line for each sentence: pydantic carries one error for a model, and an operator wants to see them all.
        sentences = list(self.contradictions())
        if sentences:
            raise ValueError("\n".join(sentences))
        return self


def _absolute(value: str) -> str:
    if not value.startswith("/") or "\0" in value or ".." in value.split("/"):
        raise ValueError("must be an absolute path without '..'; write for example \"/var/lib/autoreduce-supervisor\"")
    return value.rstrip("/") or "/"


def _own_folder(value: str) -> str:
    if _absolute(value) == "/":
        raise ValueError('must be a folder of its own, not "/"')
    return _absolute(value)


def _absolute_or_empty(value: str) -> str:
    return _absolute(value) if value else value


def _queue(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError('must be a queue name without spaces; write for example "/queue/ReductionPending"')
    return value


def _urls(value: Any) -> Any:
    entries = [value] if isinstance(value, str) else value
    if entries == ["none"]:
        return ()
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, str) for entry in entries):
        raise ValueError(
            'must be a text or a list of texts; write "none", "stomp://host:61613" or "stomp+ssl://host:61614"'
        )
    for entry in entries:
        parse_address(entry)
    return tuple(entries)


def _upper_names(value: Any) -> Any:
    """Makes the names of tables upper case, as messages are compared; two spellings of one name are a contradiction."""
    if not isinstance(value, Mapping):
        return value
    named: dict[str, Any] = {}
    for name, content in value.items():
        upper = name.strip().upper()
        if upper in named:
            raise ValueError(f"names {upper} twice in different letter case; keep one section")
        named[upper] = content
    return named


def _line(value: str) -> str:
    if not value.isprintable():
        raise ValueError('must be one line of text without control characters; write for example "autoreduce"')
    if len(value) > _LONGEST_LINE:
        raise ValueError(f"must have at most {_LONGEST_LINE} characters; write a shorter one")
    return value


def instrument_name(name: str) -> str:
    """Returns the name of an instrument in upper case.

    Raises:
        ValueError: It is none.
    """
    if not _INSTRUMENT.fullmatch(name.upper()):
        raise ValueError(f"{name!r} is no instrument name; use letters, digits, '_' and '-'")
    return name.upper()


def _limit(value: Any, info: ValidationInfo) -> Any:
    """Checks one limit by the box's own vocabulary and keeps what was written."""
    if value is not None:
        try:
            Limits().replace_from({str(info.field_name): value})
        except LimitError as error:
            words = (problem.removeprefix(f"limits.{info.field_name}").lstrip(": ") for problem in error.problems)
            raise ValueError("; ".join(words)) from None
    return value


def _environment(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an environment variable")
        if name.startswith("AUTOREDUCE_"):
            raise ValueError(f"{name} is set by the box itself; names that begin with AUTOREDUCE_ are its own")
        if "\0" in text:
            raise ValueError(f"the value of {name} contains a NUL character")
    return value


def _command(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value is not None and (not value or not value[0] or any("\0" in word for word in value)):
        raise ValueError('must name a program and its arguments; write for example ["/usr/bin/python3"]')
    return value


def _wrapper(value: tuple[str, ...]) -> tuple[str, ...]:
    if value and not any("{env}" in word for word in value[1:]):
        raise ValueError(
            'must pass the name on as {env}; write for example ["/usr/bin/conda-wrap", "{env}", "--classic"]'
        )
    return value if not value else (_command(value) or ())


def _name(value: str) -> str:
    if not value.isprintable() or not value.strip() or len(value) > _LONGEST_NAME:
        raise ValueError(f"is no name: write one line of 1 to {_LONGEST_NAME} characters")
    return value


def _template(value: str) -> str:
    problem = template_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def _read_only(value: str) -> str:
    problem = template_problem(value)
    others = set(_PLACEHOLDER.findall(value)) - {"instrument", "rb", "cycle"}
    if others and not (problem and "absolute" in problem):
        problem = f"must use only {{instrument}} {{rb}} {{cycle}}, not {{{min(others)}}}"
    if problem:
        raise ValueError(f'{problem}; write for example "/isis/NDX{{instrument}}/user/masks"')
    return value


Line = Annotated[StrictStr, AfterValidator(_line)]
Size = Annotated[int, BeforeValidator(parse_size)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
AbsolutePath = Annotated[StrictStr, AfterValidator(_absolute)]
OwnFolder = Annotated[StrictStr, AfterValidator(_own_folder)]
OptionalPath = Annotated[StrictStr, AfterValidator(_absolute_or_empty)]
Queue = Annotated[StrictStr, AfterValidator(_queue), Field(min_length=1)]
OptionalQueue = Annotated[StrictStr, AfterValidator(_queue)]
Urls = Annotated[tuple[str, ...], BeforeValidator(_urls)]
Instrument = Annotated[StrictStr, AfterValidator(instrument_name)]
LimitText = Annotated[Any, AfterValidator(_limit)]
Template = Annotated[StrictStr, AfterValidator(_template)]
ReadOnlyTemplate = Annotated[StrictStr, AfterValidator(_read_only)]
Command = Annotated[tuple[StrictStr, ...], AfterValidator(_command)]
WrapperCommand = Annotated[tuple[StrictStr, ...], AfterValidator(_wrapper)]
Name = Annotated[StrictStr, AfterValidator(_name)]
Environment = Annotated[dict[StrictStr, StrictStr], AfterValidator(_environment)]
ByName = BeforeValidator(_upper_names)
