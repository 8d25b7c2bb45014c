"""The configuration in force as TOML that can be loaded again, each key with where its value comes from if wanted.

Values stand as the operator wrote them ("8 GiB", not 8589934592). Nothing here is secret: the model has no key for a
password, only for the file that holds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import KEYS
from supervisor import shown
from supervisor.configorigin import Lines
from supervisor.configwords import fields_of, is_section, is_table, section_in, written
from supervisor.settings import Settings
from supervisor.settings_runs import InstrumentSettings
from supervisor.tomltext import bare, path, toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from supervisor.settingtypes import Section

_EMPTY: Final[tuple[Any, ...]] = ("", (), [], {}, None)
#: Longest line before the entries of a list get lines of their own.
_WIDTH: Final = 110


def whole(document: Mapping[str, Any], text: str, name: str, *, origins: bool, everything: bool) -> str:
    """Returns the whole configuration.

    Args:
        document: What tomllib made of `text`; it has passed the model.
        text: The configuration file.
        name: What it is called.
        origins: Say behind each key in which line of the file it stands, or that it is the default.
        everything: Show also the keys that are empty by default.
    """
    lines = Lines(text) if origins else None
    called = shown.line(name)

    def origin(place: Sequence[str]) -> str:
        line = lines.of(place) if lines else None
        return "" if lines is None else "default" if line is None else f"line {line} of {called}"

    rows = [f"# The configuration in force: {called}."]
    if not everything:
        rows.append("# Keys that are empty by default and in the file are left out; --all shows them.")
    for key, field in fields_of(Settings).items():
        section = section_in(field.annotation)
        assert section is not None, f"{key} is no section"
        part = document.get(key, {})
        if is_section(field.annotation):
            rows += _table([key], section, part, origin, everything=everything)
        else:
            for one, content in part.items():
                rows += _table([key, one], section, content, origin, everything=everything)
    return "\n".join(rows) + "\n"


def for_run(document: Mapping[str, Any], text: str, name: str, *, instrument: str, rb: str, origins: bool) -> str:
    """Returns what a run of an instrument and RB would get, with the tables that speak of them merged.

    Args:
        document: What tomllib made of `text`; it has passed the model.
        text: The configuration file.
        name: What it is called.
        instrument: In upper case.
        rb: In upper case; empty for any RB without a table of its own.
        origins: Say behind each key from which table and line it comes, or that it is the default.
    """
    merged = _Merged(document, Lines(text), origins=origins)
    who = f"{instrument}, RB {shown.line(rb)}" if rb else instrument
    rows = [f"# What a run of {who} gets by {shown.line(name)}.", "", "[limits]"]
    homes: list[tuple[str, ...]] = [("limits", "instrument", instrument), ("limits",)]
    if rb:
        homes.insert(0, ("limits", "rb", rb))
    rows += [merged.row(key, homes, _default(Settings, "limits", key)) for key in KEYS]
    homes = [("interpreter", "instrument", instrument), ("interpreter",)]
    rows += ["", "[interpreter]", merged.row("argv", homes, _default(Settings, "interpreter", "argv"))]
    tables = [written(document, (*home, "env")) or {} for home in homes]
    names = dict.fromkeys(name for table in reversed(tables) for name in table)
    if names:
        rows += ["", "[interpreter.env]", *(merged.row(name, [(*home, "env") for home in homes], "") for name in names)]
    rows += ["", f"[instrument.{bare(instrument)}]"]
    own = ("instrument", instrument)
    for key in fields_of(InstrumentSettings):
        default = _default(InstrumentSettings, key)
        if key == "require" and not written(document, (*own, key)):
            rows.append(merged.row(key, [("isolation",)], _default(Settings, "isolation", key)))
        else:
            rows.append(merged.row(key, [own], default))
    return "\n".join(rows) + "\n"


class _Merged:
    """Looks a key up in several tables of a document; the first that has it wins."""

    def __init__(self, document: Mapping[str, Any], lines: Lines, *, origins: bool) -> None:
        self._document = document
        self._lines = lines
        self._origins = origins

    def row(self, key: str, homes: Sequence[tuple[str, ...]], default: Any) -> str:
        """Returns the line of a key with its value, and from where it has it."""
        for home in homes:
            value = written(self._document, (*home, key))
            if value is not None:
                table, line = path(home), self._lines.of((*home, key))
                return _row(key, value, f"[{table}] line {line}" if self._origins else "")
        return _row(key, default, "default" if self._origins else "")


def _table(
    place: list[str], section: type[Section], part: Mapping[str, Any], origin: Any, *, everything: bool
) -> Iterator[str]:
    yield ""
    yield f"[{'.'.join(map(bare, place))}]"
    inner: list[tuple[list[str], type[Section], Mapping[str, Any]]] = []
    for key, field in fields_of(section).items():
        below = section_in(field.annotation)
        if is_section(field.annotation) and below:
            inner.append(([*place, key], below, part.get(key, {})))
        elif below and is_table(field.annotation):
            inner += [([*place, key, name], below, content) for name, content in part.get(key, {}).items()]
        elif key in part:
            yield _row(key, part[key], origin([*place, key]))
        elif field.default is not None and (everything or field.default not in _EMPTY):
            yield _row(key, field.default, origin([*place, key]))
    for where, model, content in inner:
        yield from _table(where, model, content, origin, everything=everything)


def _default(section: type[Section], *keys: str) -> Any:
    for key in keys[:-1]:
        section = fields_of(section)[key].annotation
    return fields_of(section)[keys[-1]].default


def _row(key: str, value: Any, origin: str) -> str:
    text, comment = f"{bare(key)} = {toml(value)}", f"  # {origin}" if origin else ""
    if len(text) > _WIDTH and isinstance(value, list | tuple):
        return "\n".join([f"{bare(key)} = [{comment}", *(f"  {toml(entry)}," for entry in value), "]"])
    return text + comment
