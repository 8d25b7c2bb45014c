"""What is wrong with a configuration, in the operator's words instead of the validator's.

Each sentence names the key as a path, what stands there, what is expected, and for a misspelt key the likely one. A
value is never shown where a secret may stand.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from supervisor.settings import Settings
from supervisor.settingtypes import Section

if TYPE_CHECKING:
    from pydantic import ValidationError

#: Keys whose values are never repeated: an address or a misplaced key may carry a password.
_SECRET = ("url", "pass", "secret", "token", "credential")
_KINDS = {
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "contains characters that a name cannot have; use letters, digits, '.', '_' and '-'",
}


def sentences(error: ValidationError, document: Mapping[str, Any]) -> list[str]:
    """Returns one sentence for each problem, in the order of the sections.

    Args:
        error: What the validator found.
        document: What was read, for showing values as they were written.
    """
    found: list[str] = []
    for problem in error.errors(include_url=False):
        keys = [str(key) for key in problem["loc"] if key != "[key]"]
        found.extend(f"{_path(keys)}: {text}" for text in _texts(problem, keys, _written(document, problem["loc"])))
    return list(dict.fromkeys(found))


def fields_of(section: type[Section]) -> dict[str, Any]:
    """Returns the fields of a section under the names that the file uses."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def section_in(annotation: Any) -> type[Section] | None:
    """Returns the section that an annotation holds, itself or as the content of a table or list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for inner in get_args(annotation):
        section = section_in(inner)
        if section is not None:
            return section
    return None


def toml(value: Any) -> str:
    """Writes a value as TOML; backslashes stand in single quotes, where they mean themselves."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = "\\" in value and "'" not in value and value.isprintable()
        return f"'{value}'" if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(content)}" for key, content in value.items()) + " }" if value else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(toml(content) for content in value) + "]"
    return str(value)


def _texts(problem: Mapping[str, Any], keys: list[str], written: Any) -> Iterator[str]:
    kind, context = problem["type"], problem.get("ctx", {})
    shown = "" if any(word in key.lower() for key in keys for word in _SECRET) else _shown(written)
    if kind == "extra_forbidden":
        yield _unknown(keys)
    elif kind == "missing":
        yield f"is missing; this table needs {' and '.join(fields_of(_section_at(keys[:-1])))}"
    elif kind in {"value_error", "assertion_error"}:
        for line in str(context["error"]).splitlines():
            yield f"{shown} {line}".lstrip() if line.startswith("must ") else line
    elif kind in {"model_type", "model_attributes_type"}:
        yield f"{shown} must be a section; write [{_path(keys)}] on a line of its own, and its keys below".lstrip()
    elif kind == "literal_error":
        choices = [str(choice) for choice in get_args(_field_at(keys).annotation)]
        near = difflib.get_close_matches(str(written), choices, n=1)
        guess = f"; did you mean {toml(near[0])}?" if near else ""
        yield f"{shown} must be {' or '.join(map(toml, choices))}{guess}".lstrip()
    elif kind in {"greater_than", "greater_than_equal", "less_than_equal"}:
        word = {"greater_than": "more than", "greater_than_equal": "at least", "less_than_equal": "at most"}[kind]
        bound = next(context[name] for name in ("gt", "ge", "le") if name in context)
        yield f"{shown} must be {word} {bound:g}{_example(keys)}".lstrip()
    else:
        text = _KINDS.get(kind) or str(problem["msg"])[:1].lower() + str(problem["msg"])[1:]
        yield f"{shown} {text}{_example(keys)}".lstrip()


def _unknown(keys: list[str]) -> str:
    name = keys[-1]
    known = list(fields_of(_section_at(keys[:-1])))
    word = "key" if len(keys) > 1 else "section"
    if "password" in name and keys[0] == "broker" and name not in known:
        return "unknown key; a password never stands in this file: write password_file or credential"
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    if near:
        return f'unknown {word}; did you mean "{near[0]}"?'
    homes = [f"{section}.{name}" for section, fields in _everywhere() if name in fields]
    if homes:
        return f"unknown {word}; did you mean {' or '.join(toml(home) for home in homes)}?"
    return f"unknown {word}; there are {', '.join(known)}"


def _everywhere() -> Iterator[tuple[str, Iterable[str]]]:
    for name, field in fields_of(Settings).items():
        section = section_in(field.annotation)
        if section is not None and name != "instrument":
            yield name, fields_of(section)


def _section_at(keys: Iterable[str]) -> type[Section]:
    """Returns the section at a path; names inside a table (instruments, list places) are passed over."""
    section: type[Section] = Settings
    for key in keys:
        field = fields_of(section).get(key)
        if field is not None:
            section = section_in(field.annotation) or section
    return section


def _field_at(keys: list[str]) -> Any:
    return fields_of(_section_at(keys[:-1])).get(keys[-1])


def _example(keys: list[str]) -> str:
    default = getattr(_field_at(keys), "default", None)
    return f"; write for example {toml(default)}" if isinstance(default, str | int | float) and default != "" else ""


def _path(keys: Iterable[str]) -> str:
    return ".".join(key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key) for key in keys)


def _written(document: Any, places: Sequence[int | str]) -> Any:
    """Returns what the file says at a place; names of tables were made upper case on the way."""
    for place in places:
        if isinstance(document, Mapping):
            document = next((document[key] for key in document if str(key).upper() == str(place).upper()), None)
        elif isinstance(document, list) and isinstance(place, int) and place < len(document):
            document = document[place]
    return document


def _shown(value: Any) -> str:
    if isinstance(value, str | bool | int | float):
        text = toml(value)
        return text if len(text) <= 80 else text[:77] + "..."
    return ""
