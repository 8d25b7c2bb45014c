"""Settings of paths: where data lies, where results go, and what Windows calls both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, StrictStr

from supervisor import paths, pathtext
from supervisor.settingtypes import AbsolutePath, Instrument, OwnFolder, Section, Template, setting

if TYPE_CHECKING:
    from collections.abc import Iterator


def _script(value: str) -> str:
    problem = pathtext.template_problem(value, pathtext.SCRIPT_PLACEHOLDERS)
    if problem:
        raise ValueError(problem)
    return value


def _version_folder(value: str) -> str:
    problem = pathtext.name_problem(value, pathtext.VERSION_PLACEHOLDERS)
    if problem:
        raise ValueError(problem)
    return value


ScriptTemplate = Annotated[StrictStr, AfterValidator(_script)]
VersionFolder = Annotated[StrictStr, AfterValidator(_version_folder)]


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
    """Where data lies and results go.

    In templates {instrument}, {cycle}, {rb}, {run}, {facility} and {version} stand for the run's own.
    """

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
    version_directory: VersionFolder = setting(
        "run-version-{version}",
        "Folder of each version of a run, below `archive_directory` and `ceph_directory`, for messages of 2018 to 2022 "
        "that do not say `flat_output`. Empty keeps one folder for each run.",
    )
    script: ScriptTemplate = setting(
        "/isis/NDX{instrument}/user/scripts/autoreduction/reduce.py",
        "Script of an instrument, for messages of 2018 to 2022 whose script is null. {instrument} and {facility} "
        "may stand in it.",
    )
    variables: ScriptTemplate = setting(
        "/isis/NDX{instrument}/user/scripts/autoreduction/reduce_vars.py",
        "Variables of an instrument: what a message does not set is taken from there, if the file is readable.",
    )
    sns_script: ScriptTemplate = setting(
        "/{facility}/{instrument}/shared/autoreduce/reduce_{instrument}.py",
        "Script of an instrument of SNS; without this file its runs are answered as disabled.",
    )
    sns_directory: Template = setting(
        "/{facility}/{instrument}/{rb}/shared/autoreduce/",
        "Result folder of SNS, where {rb} is the IPTS: shared by all runs of an experiment, so files are merged into "
        "it one by one.",
    )
    data_roots: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)] = setting(
        ("/isis", "/archive", "/instrument", "/autoreducetmp/data", "/SNS", "/HFIR"),
        "Folders below which data files may lie; a message that names another path is answered with an error.",
    )
    result_roots: Annotated[tuple[OwnFolder, ...], Field(min_length=1)] = setting(
        ("/isis", "/instrument", "/SNS", "/HFIR"),
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
            script=self.script,
            variables=self.variables,
            sns_script=self.sns_script,
            sns_directory=self.sns_directory,
            version_directory=self.version_directory,
        )

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        sample = dict.fromkeys(pathtext.PLACEHOLDERS, "X")
        for name, needed in (
            ("archive_directory", ("{rb}", "{run}")),
            ("ceph_directory", ("{rb}", "{run}")),
            ("excitation_directory", ("{rb}",)),
            ("sns_directory", ("{instrument}", "{rb}")),
        ):
            template = getattr(self, name)
            if not self._may_lie_below(template, sample):
                yield f"{name} lies below none of result_roots ({', '.join(self.result_roots)}); add its root there"
            if not all(part in template for part in needed):
                yield f"{name} must contain {' and '.join(needed)}; write them into it, or one result replaces another"
        if self.version_directory and "{version}" not in self.version_directory:
            yield "version_directory must contain {version}; write it into it, or leave it empty"
        if self.script == self.variables:
            yield "script and variables are the same file; write two"
        for key, names in (("from", [rule.source for rule in self.root_map]), ("to", [r.to for r in self.root_map])):
            if len(set(names)) != len(names):
                yield f'root_map names a folder twice under "{key}"; keep one'

    def _may_lie_below(self, template: str, sample: dict[str, str]) -> bool:
        """Tells whether a result made from a template can lie below a root, where the message names the facility."""
        if "{facility}" not in template:
            return paths.under(pathtext.expand(template, sample), self.result_roots)
        fixed = pathtext.fixed_part(template)
        return paths.under(fixed, self.result_roots) or any(paths.under(root, (fixed,)) for root in self.result_roots)
