"""Settings of paths: where data lies, where results go, and what Windows calls both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StrictStr

from supervisor import paths, pathtext
from supervisor.settingtypes import AbsolutePath, Instrument, OwnFolder, Section, Template, setting

if TYPE_CHECKING:
    from collections.abc import Iterator


class WindowsPrefix(Section):
    """One share under its two names."""

    windows: Annotated[StrictStr, Field(min_length=2)] = Field(description="The share as Windows names it.")
    linux: AbsolutePath = Field(description="The same folder on Linux.")

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        if not self.windows.startswith("\\\\") or not self.windows.strip("\\"):
            yield f"windows is {self.windows!r}; write a share in single quotes, for example '\\\\isis\\inst$\\'"


class RootMap(Section):
    """An archive folder that this host has mounted elsewhere."""

    source: AbsolutePath = Field(alias="from", description="Archive name of the folder.")
    to: AbsolutePath = Field(description="Where this host has it.")


class PathSettings(Section):
    """Where data lies and results go. In templates {instrument}, {cycle}, {rb} and {run} stand for the run's own."""

    windows_prefixes: tuple[WindowsPrefix, ...] = setting(
        (
            {"windows": "\\\\isis\\inst$\\", "linux": "/isis/"},
            {"windows": "\\\\autoreduce\\data\\", "linux": "/autoreducetmp/data/"},
        ),
        "Shares of the site under both names: data paths of messages are translated by them, and result paths"
        " of replies back.",
    )
    archive_directory: Template = setting(
        "/isis/NDX{instrument}/Instrument/data/cycle_{cycle}/autoreduced/{rb}/{run}",
        "Result folder of an instrument that stands in neither list below. A run replaces the folder of an "
        "earlier run.",
    )
    ceph_directory: Template = setting(
        "/instrument/{instrument}/RBNumber/RB{rb}/autoreduced/{run}",
        "Result folder of `ceph_instruments`. A run replaces it.",
    )
    ceph_instruments: tuple[Instrument, ...] = setting((), "Instruments whose results go to `ceph_directory`.")
    excitation_directory: Template = setting(
        "/instrument/{instrument}/RBNumber/RB{rb}/autoreduced/",
        "Result folder of `excitation_instruments`: shared by all runs of an RB, so files are merged into it "
        "one by one.",
    )
    excitation_instruments: tuple[Instrument, ...] = setting(
        ("LET", "MARI", "MAPS", "MERLIN", "WISH"),
        "Instruments whose results go to `excitation_directory`; this list wins over `ceph_instruments`.",
    )
    data_roots: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)] = setting(
        ("/isis", "/archive", "/instrument", "/autoreducetmp/data"),
        "Folders below which data files may lie; a message that names another path is answered with an error.",
    )
    result_roots: Annotated[tuple[OwnFolder, ...], Field(min_length=1)] = setting(
        ("/isis", "/instrument"),
        "Folders below which results may be written, and below which a script may name further folders; "
        "others are refused.",
    )
    root_map: tuple[RootMap, ...] = setting(
        (),
        'Folders that this host has mounted elsewhere, as a list of { from = "/isis", to = "/mnt/isis" }. '
        "Messages, replies and all other keys of this section keep the archive's names.",
    )

    def rules(self) -> paths.PathRules:
        """Returns the rules in the form that `supervisor.paths` decides by."""
        return paths.PathRules(
            windows_prefixes=tuple(
                paths.WindowsPrefix(windows=rule.windows, linux=rule.linux) for rule in self.windows_prefixes
            ),
            archive_directory=self.archive_directory,
            ceph_directory=self.ceph_directory,
            excitation_directory=self.excitation_directory,
            ceph_instruments=frozenset(self.ceph_instruments),
            excitation_instruments=frozenset(self.excitation_instruments),
            data_roots=self.data_roots,
            result_roots=self.result_roots,
            root_map=tuple(paths.RootMap(source=rule.source, to=rule.to) for rule in self.root_map),
        )

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        sample = dict.fromkeys(pathtext.PLACEHOLDERS, "X")
        for name, needed in (
            ("archive_directory", ("{rb}", "{run}")),
            ("ceph_directory", ("{rb}", "{run}")),
            ("excitation_directory", ("{rb}",)),
        ):
            template = getattr(self, name)
            if not paths.under(pathtext.expand(template, sample), self.result_roots):
                yield f"{name} lies below none of result_roots ({', '.join(self.result_roots)}); add its root there"
            if not all(part in template for part in needed):
                yield f"{name} must contain {' and '.join(needed)}; without, one result would replace another's"
        for key, names in (("from", [rule.source for rule in self.root_map]), ("to", [r.to for r in self.root_map])):
            if len(set(names)) != len(names):
                yield f'root_map names a folder twice under "{key}"; keep one'
