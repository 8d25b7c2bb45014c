"""What is wrong with a configuration, in the operator's words instead of the validator's.

Each sentence names the key as a path, what stands there, what is expected, and for a misspelt key the likely one. A
value is never shown where a secret may stand.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from supervisor import shown
from supervisor.settings import Settings
from supervisor.settingtypes import Section
from supervisor.tomltext import path, toml

if TYPE_CHECKING:
    from pydantic import ValidationError

#: Keys whose values are never repeated: an address or a misplaced key may carry a password.
_SECRET = ("url", "pass", "secret", "token", "credential")
#: What the validator calls a fault: what must stand there instead, and an example for keys whose default is none.
_KINDS = {
    "string_type": ("must be a text in quotes", '"text"'),
    "string_unicode": ("must be a text in quotes", '"text"'),
    "int_type": ("must be a whole number", "1"),
    "int_from_float": ("must be a whole number", "1"),
    "int_parsing_size": ("must be a whole number of usual size", "1"),
    "float_type": ("must be a number", "0.5"),
    "finite_number": ("must be a finite number", "0.5"),
    "bool_type": ("must be true or false", "true"),
    "dict_type": ("must be a table", '{ NAME = "text" }'),
    "tuple_type": ("must be a list", '["text"]'),
    "too_short": ("must not be empty", '["text"]'),
    "too_long": ("is too long", "a shorter one"),
    "string_too_short": ("must not be empty", '"text"'),
    "string_too_long": ("is too long", "a shorter text"),
    "string_pattern_mismatch": (
        "contains characters that a name cannot have; use letters, digits, '.', '_' and '-'",
        '"name-1"',
    ),
}
#: The same for numbers out of range: the word, and under which name the validator tells the bound.
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
#: A sentence with one of these says what to do about it.
_REMEDY = re.compile(r"\b(?:write|use|did you mean|keep|remove|add|leave|run)\b")
#: Longest sentence, in characters.
_MOST = 1000
#: Longest number that is repeated, in bits; more digits than that the interpreter would refuse to write.
_MOST_BITS = 256
#: Longest value in a sentence, in characters.
_LONGEST = 80


def sentences(error: ValidationError, document: Mapping[str, Any]) -> list[str]:
    """Returns one sentence for each problem, in the order of the sections.

    Args:
        error: What the validator found.
        document: What was read, for showing values as they were written.
    """
    found: list[str] = []
    for problem in error.errors(include_url=False):
        keys = [str(key) for key in problem["loc"] if key != "[key]"]
        # What sections contradict about each other is told by the root, whose sentences name their keys themselves.
        begin = f"{path(keys)}: " if keys else ""
        texts = _texts(problem, keys, written(document, problem["loc"]))
        found.extend(_fit(shown.line(begin + text)) for text in texts)
    return list(dict.fromkeys(found))


def fields_of(section: type[Section]) -> dict[str, Any]:
    """Returns the fields of a section under the names that the file uses."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def is_table(annotation: Any) -> bool:
    """Says whether a key holds a table of sections by name; a list of sections is a value."""
    return getattr(annotation, "__origin__", None) is dict or any(map(is_table, get_args(annotation)))


def needs_restart(section: type[Section], key: str) -> bool:
    """Says whether a change of a key needs a restart: as the key says, or else its section."""
    extra = fields_of(section)[key].json_schema_extra
    said = extra.get("restart") if isinstance(extra, dict) else None
    return section.RESTART if said is None else bool(said)


def section_in(annotation: Any) -> type[Section] | None:
    """Returns the section that an annotation holds, itself or as the content of a table or list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for inner in get_args(annotation):
        section = section_in(inner)
        if section is not None:
            return section
    return None


def is_section(annotation: Any) -> bool:
    """Says whether a key holds one section, not a table or list of them."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def written(document: Any, places: Sequence[int | str]) -> Any:
    """Returns what a document says at a place, None where it says nothing.

    Args:
        document: What was read.
        places: Keys and positions; names of tables may have been made upper case on the way.
    """
    for place in places:
        if isinstance(document, Mapping):
            names = [place, *(key for key in document if str(key).strip().upper() == place)]
            document = next((document[key] for key in names if key in document), None)
        elif isinstance(document, list) and isinstance(place, int) and place < len(document):
            document = document[place]
    return document


def _texts(problem: Mapping[str, Any], keys: list[str], written: Any) -> Iterator[str]:
    kind, context = problem["type"], problem.get("ctx", {})
    value = "" if any(word in key.lower() for key in keys for word in _SECRET) else _shown(written)
    if kind == "extra_forbidden":
        yield _unknown(keys)
    elif kind == "missing":
        yield f"is missing; this table needs {' and '.join(fields_of(_section_at(keys[:-1])))}: write {keys[-1]} = ..."
    elif kind in {"value_error", "assertion_error"}:
        for line in str(context["error"]).splitlines():
            told = line if _REMEDY.search(line) else line + _example(keys, '"text"')
            yield f"{value} {told}".lstrip() if line.startswith("must ") else told
    elif kind in {"model_type", "model_attributes_type"} and isinstance(problem["loc"][-1], int):
        yield f"{value} must be a table; write for example {_entry(_section_at(keys))}".lstrip()
    elif kind == "tuple_type" and section_in(_annotation_at(keys)):
        yield f"{value} must be a list of tables; write for example [{_entry(_section_at(keys))}]".lstrip()
    elif kind == "dict_type" and section_in(_annotation_at(keys)):
        yield f"{value} must be a table of sections; write for example [{path([*keys, 'NAME'])}] on a line of its own"
    elif kind in {"model_type", "model_attributes_type"}:
        yield f"{value} must be a section; write [{path(keys)}] on a line of its own, and its keys below".lstrip()
    elif kind == "literal_error":
        choices = [str(choice) for choice in get_args(_field_at(keys).annotation)]
        near = difflib.get_close_matches(str(written), choices, n=1) if isinstance(written, str) else []
        remedy = f"did you mean {toml(near[0])}?" if near else f"write for example {toml(choices[0])}"
        yield f"{value} must be {' or '.join(map(toml, choices))}; {remedy}".lstrip()
    elif kind in _BOUNDS:
        word, name = _BOUNDS[kind]
        yield f"{value} must be {word} {context[name]:g}{_example(keys, '1')}".lstrip()
    else:
        text, example = _KINDS.get(kind, ("cannot be used as it stands", '"text"'))
        yield f"{value} {text}{'' if _REMEDY.search(text) else _example(keys, example)}".lstrip()


def _fit(sentence: str) -> str:
    """Cuts a sentence in its middle, where a value stands; key and remedy are at its ends."""
    half = _MOST // 2
    return sentence if len(sentence) <= _MOST else f"{sentence[:half]} ... {sentence[-half:]}"


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


def _field_at(keys: Sequence[str]) -> Any:
    if not keys:
        return None
    return fields_of(_section_at(keys[:-1])).get(keys[-1])


def _annotation_at(keys: Sequence[str]) -> Any:
    return getattr(_field_at(keys), "annotation", None)


def _entry(section: type[Section]) -> str:
    return f"{{ {', '.join(f'{key} = ...' for key in fields_of(section))} }}"


def _example(keys: Sequence[str], otherwise: str) -> str:
    """Returns the end of a sentence: what could stand there, by the key's own default or example if it has one."""
    field = _field_at(keys)
    default = getattr(field, "default", None)
    examples = getattr(field, "examples", None)
    if examples:
        return f"; write for example {examples[0]}"
    if isinstance(default, str | int | float | tuple) and default not in ("", ()):
        otherwise = toml(default if not isinstance(default, tuple) else list(default))
    return f"; write for example {otherwise}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list" if value else "[]"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "so large a number"
    if value is None:
        return ""
    text = toml(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
