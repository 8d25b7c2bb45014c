"""What differs between two configurations, and what of it can be applied without a restart (pure).

Values are compared as they are used, so that "60 s" and "1 min" are the same, and shown as they were written.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supervisor import tomltext
from supervisor.config import ConfigProblems, Configuration, validate
from supervisor.configwords import fields_of, is_section, is_table, needs_restart, section_in, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from supervisor.settingtypes import Section

#: Longest value that is shown, in characters.
_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key that has another value."""

    place: tuple[str, ...]
    #: As TOML.
    old: str
    new: str
    #: It takes effect at a restart only.
    restart: bool

    @property
    def key(self) -> str:
        """The key with its sections, as it is named to people."""
        return tomltext.path(self.place)


@dataclass(frozen=True, slots=True)
class _Leaf:
    value: Any
    #: What it is where nobody writes it; and that as an operator would write it.
    default: Any
    text: Any
    restart: bool


def changes(old: Configuration, new: Configuration) -> list[Change]:
    """Returns every key that has another value in `new` than in `old`, in the order of the sections."""
    before, after = dict(_leaves(old.settings)), dict(_leaves(new.settings))
    found = []
    for place in dict.fromkeys((*after, *before)):
        # A table that is not there says what an empty one says.
        was, will = before.get(place), after.get(place)
        known = was or will
        assert known is not None
        values = [known.default if leaf is None else leaf.value for leaf in (was, will)]
        if values[0] != values[1]:
            texts = [_shown(each.document, place, known) for each in (old, new)]
            found.append(Change(place=place, old=texts[0], new=texts[1], restart=known.restart))
    return found


def applicable(old: Configuration, new: Configuration, changed: Iterable[Change]) -> Configuration:
    """Returns `new`, but with the old values of the keys that need a restart.

    Raises:
        ConfigProblems: The old values of these cannot stand beside the new ones of the others.
    """
    document = copy.deepcopy(new.document)
    held = [change for change in changed if change.restart]
    for change in held:
        _put(document, change.place, written(old.document, change.place))
    try:
        settings = validate(document, new.origin)
    except ConfigProblems as found:
        keys = ", ".join(change.key for change in held)
        problems = [f"{problem} (with the old values of what needs a restart: {keys})" for problem in found.problems]
        raise ConfigProblems(found.origin, problems) from None
    return Configuration(path=new.path, origin=new.origin, document=document, settings=settings)


def _leaves(section: Section, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Leaf]]:
    """Yields every key below a section, with its value and that of a table that does not name it."""
    model = type(section)
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    usual = model()
    for key, field in fields_of(model).items():
        value = getattr(section, names[key])
        inner = section_in(field.annotation)
        if is_section(field.annotation):
            yield from _leaves(value, (*place, key))
        elif inner is not None and is_table(field.annotation):
            for name, content in value.items():
                yield from _leaves(content, (*place, key, name))
        else:
            default = getattr(usual, names[key])
            yield (*place, key), _Leaf(value, default, field.default, needs_restart(model, key))


def _shown(document: Mapping[str, Any], place: tuple[str, ...], leaf: _Leaf) -> str:
    value = written(document, place)
    if value is None:
        return "default" if leaf.text in (None, (), {}, "") else f"default ({_short(leaf.text)})"
    return _short(value)


def _short(value: Any) -> str:
    text = tomltext.toml(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _put(document: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    """Sets a key of a document, or takes it out where the value is None."""
    table = document
    for part in place[:-1]:
        table = table.setdefault(part, {})
    if value is None:
        table.pop(place[-1], None)
    else:
        table[place[-1]] = value
