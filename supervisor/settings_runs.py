"""Settings of a run: where it reads and writes, what it may use, and what runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr

from sandbox.limits import KEYS
from supervisor import paths, pathtext
from supervisor.settingtypes import (
    AbsolutePath,
    ByName,
    Command,
    Environment,
    Instrument,
    LimitText,
    OwnFolder,
    Section,
    Template,
    setting,
)

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


class LimitOverrides(Section):
    """Limits of one instrument or RB; what is not named keeps the value of `[limits]`."""

    memory: LimitText = None
    wall: LimitText = None
    cpu: LimitText = None
    processes: LimitText = None
    open_files: LimitText = None
    file_size: LimitText = None
    output: LimitText = None
    files: LimitText = None
    log: LimitText = None
    tmp: LimitText = None
    grace: LimitText = None
    cpus: LimitText = None

    def written(self) -> dict[str, Any]:
        """Returns the limits that are named, as they were written."""
        return {key: getattr(self, key) for key in KEYS if getattr(self, key) is not None}


class LimitSettings(LimitOverrides):
    """Limits of every run.

    Sizes as "8 GiB", times as "2 h", counts plain, "none" for no limit. New values hold for runs started
    later.
    """

    memory: LimitText = setting(
        "8 GiB", "Memory of all processes of a run together; reached: the run is killed, `memory_limit`."
    )
    wall: LimitText = setting(
        "4 h", "Time by the clock; reached: the run is asked to end and killed after `grace`, `wall_limit`."
    )
    cpu: LimitText = setting(
        "none", "Processor time of all processes together; reached: the run is ended, `cpu_limit`."
    )
    processes: LimitText = setting(
        256, "Processes and threads at one time; reached: starting another fails inside the script."
    )
    open_files: LimitText = setting(
        1024, "Open files of each process; reached: opening another fails inside the script."
    )
    file_size: LimitText = setting(
        "none", "Size of any one file; reached: writing on fails inside the script, `output_limit` if it dies of it."
    )
    output: LimitText = setting("20 GiB", "All bytes in the output folder; reached: the run is killed, `output_limit`.")
    files: LimitText = setting(
        100_000, "Files and folders in the output folder; reached: the run is killed, `output_limit`."
    )
    log: LimitText = setting(
        "10 MiB",
        "Log that is kept; beyond it the middle is left out and the run goes on, beyond 64 times as much it "
        "ends, `log_limit`.",
    )
    tmp: LimitText = setting("2 GiB", "Bytes in the private temporary folder; reached: recorded beside the verdict.")
    grace: LimitText = setting("10 s", "Time between the request to end and the kill.")
    cpus: LimitText = setting(
        "none", "Processors a run may use at one time, for example 2 or 0.5; reached: it is slowed down."
    )
    instrument: Annotated[dict[Instrument, LimitOverrides], ByName] = setting({}, "Other limits for one instrument.")
    rb: Annotated[dict[str, LimitOverrides], ByName] = setting(
        {}, "Other limits for one RB number; they win over those of its instrument."
    )


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


class InstrumentSettings(Section):
    """One instrument; the table is named after it. One without a table has the defaults."""

    enabled: StrictBool = setting(
        True, "`false` lets the instrument's runs wait until it is `true` again; none is lost."
    )
    mode: Literal["auto", "module", "program"] = setting(
        "auto",
        'How the script is run: "module" imports it and calls main(input_file, output_dir), "program" runs it'
        ' with both as arguments. "auto" decides by the family of the message; for 2016 it is "module".',
    )
