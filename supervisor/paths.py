"""Placement of a run: where its data lies on this host, where its result goes, and what the reply calls that (pure).

A finished path must lie below a declared root. That check is lexical; whoever opens the path resolves links himself.
The names of files and roots themselves are `supervisor.pathrules`.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from supervisor.family import Family
from supervisor.pathrules import PathRules, RootMap, WindowsPrefix, to_linux, to_windows, under
from supervisor.pathtext import BadPath, component, cycle_of, expand, plain, shown

if TYPE_CHECKING:
    from supervisor.runrequest import RunRequest

__all__ = [
    "LOG_FOLDER",
    "BadPath",
    "Layout",
    "LogNames",
    "PathRules",
    "Placement",
    "RootMap",
    "WindowsPrefix",
    "place",
    "place_of",
    "to_linux",
    "to_windows",
    "under",
]

#: Folder below a result that holds the logs, as the 2016 worker and that of SNS named it.
LOG_FOLDER: Final = "reduction_log"
#: Longest name of a data file after which logs are named: with ``.e<epoch>.log`` it stays below NAME_MAX (255).
_LOG_STEM_BYTES: Final = 200


class Layout(StrEnum):
    """The ways in which results are filed."""

    ARCHIVE = "archive"
    CEPH = "ceph"
    EXCITATION = "excitation"
    SNS = "sns"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNames:
    """File names of the two logs below `LOG_FOLDER`."""

    #: What the script wrote to stdout.
    script: str
    #: What it wrote to stderr, where the Mantid framework logs.
    mantid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one run reads and where it publishes; all paths are absolute names on this host."""

    family: Family
    #: The data files, in the order of the message.
    data: tuple[str, ...]
    #: The result folder.
    target: str
    #: ``replace``: the run owns the folder. ``merge``: all runs of the RB share it, file by file.
    layout: Literal["replace", "merge"]
    kind: Layout
    #: Cycle such as ``15_1``; None when the data path names none and the layout needs none.
    cycle: str | None
    #: What the reply calls the target, with the trailing separator that the template has: a Windows path, for SNS the
    #: archive's own.
    reported: str
    #: Folder of the logs.
    log_folder: str
    #: The instrument's own script; it may not be there.
    script: str
    #: The instrument's own ``reduce_vars.py``; it may not be there. Empty for SNS, whose scripts have none.
    default_vars: str
    rb: str
    run: str
    version: int

    @property
    def log_names(self) -> LogNames:
        """The log names of a completed run."""
        if self.family is Family.SNS:
            return _sns_log_names(posixpath.basename(self.data[0]))
        return _log_names(f"RB{self.rb}Run{self.run}")

    def attempt_log_names(self, epoch: int) -> LogNames:
        """Returns the log names of an attempt without a result; they never replace those of a good run."""
        if self.family is Family.SNS:
            return _sns_log_names(f"{posixpath.basename(self.data[0])}.e{epoch}")
        return _log_names(f"RB{self.rb}Run{self.run}v{self.version}e{epoch}")


def place(
    *,
    data: tuple[str, ...],
    instrument: str,
    rb: str,
    run: str,
    version: int,
    rules: PathRules,
    family: Family,
    facility: str,
    flat: bool = False,
) -> Placement:
    """Decides where a run reads and publishes.

    Args:
        data: The paths as the message gives them; the first one says the cycle.
        instrument: Name of the instrument.
        rb: The RB number, or the IPTS.
        run: The run as `supervisor.runkey.run_value` gives it, or the name of a batch.
        version: Version of the run; part of the names of logs that are not a result's.
        rules: The site's rules.
        family: Who speaks; SNS files and names its results by rules of its own.
        facility: Name of the facility; judged only where a template uses it.
        flat: The result goes into the run's own folder, not into one of its version.

    Raises:
        BadPath: A part is unfit to be one path component, the data lies below no data root, the cycle is missing where
            the layout needs it, or the result would lie below no result root. Its key is that of the message.
    """
    sns = family is Family.SNS
    data_key, rb_key = ("data_file", "ipts") if sns else ("data", "rb_number")
    instrument = component("instrument", instrument).upper()
    rb = component(rb_key, rb)
    run = component("run_number", run)
    if not data:
        raise BadPath(data_key, "names no file; name at least one")
    sources = tuple(_source(one, rules, data_key) for one in data)
    if sns and len(posixpath.basename(sources[0]).encode()) > _LOG_STEM_BYTES:
        raise BadPath(data_key, f"has a file name of more than {_LOG_STEM_BYTES} bytes, after which logs are named")
    kind, template = _layout(instrument, family, rules)
    versioned = family is Family.ISIS2018 and kind in {Layout.ARCHIVE, Layout.CEPH} and bool(rules.version_directory)
    if versioned and not flat:
        template = posixpath.join(template, rules.version_directory)
    # A flat result may stand beside folders of versions, which a replacement would take away.
    merged = kind in {Layout.EXCITATION, Layout.SNS} or (versioned and flat)
    script, variables = (rules.sns_script, "") if sns else (rules.script, rules.variables)
    cycle = cycle_of(data[0])
    if cycle is None and "{cycle}" in template:
        raise BadPath(
            data_key,
            f"{shown(data[0])} names no cycle such as cycle_15_1, and results of {instrument} are filed by cycle",
        )
    parts = {"instrument": instrument, "cycle": cycle or "", "rb": rb, "run": run, "version": str(version)}
    if any("{facility}" in used for used in (template, script, variables)):
        parts["facility"] = component("facility", facility).upper()
    named = expand(template, parts)
    target = rules.local(plain(named))
    if not under(target, rules.local_result_roots()) or target in map(plain, rules.local_result_roots()):
        roots = ", ".join(rules.result_roots)
        raise BadPath(
            rb_key,
            f"the result folder {shown(target)} lies below none of the result roots ({roots}); see paths.result_roots",
        )
    slash = "/" if named.endswith("/") else ""
    return Placement(
        family=family,
        data=sources,
        target=target,
        layout="merge" if merged else "replace",
        kind=kind,
        cycle=cycle,
        reported=plain(named) + slash if sns else to_windows(target + slash, rules),
        log_folder=posixpath.join(target, LOG_FOLDER),
        script=rules.local(plain(expand(script, parts))) if script else "",
        default_vars=rules.local(plain(expand(variables, parts))) if variables else "",
        rb=rb,
        run=run,
        version=version,
    )


def place_of(decoded: RunRequest, rules: PathRules) -> Placement:
    """Decides where the run of a message reads and publishes; see `place`."""
    return place(
        data=decoded.data,
        instrument=decoded.instrument,
        rb=decoded.rb,
        run=decoded.run,
        version=decoded.version,
        rules=rules,
        family=decoded.family,
        facility=decoded.facility,
        flat=decoded.flat,
    )


def _source(data: str, rules: PathRules, key: str) -> str:
    source = to_linux(data, rules, key=key)
    if not under(source, rules.local_data_roots()):
        roots = ", ".join(rules.data_roots)
        raise BadPath(key, f"{shown(source)} lies below none of the data roots ({roots}); see paths.data_roots")
    return source


def _layout(instrument: str, family: Family, rules: PathRules) -> tuple[Layout, str]:
    if family is Family.SNS:
        return Layout.SNS, rules.sns_directory
    if instrument in rules.excitation_instruments:
        return Layout.EXCITATION, rules.excitation_directory
    if instrument in rules.ceph_instruments:
        return Layout.CEPH, rules.ceph_directory
    return Layout.ARCHIVE, rules.archive_directory


def _log_names(stem: str) -> LogNames:
    return LogNames(script=f"{stem}Script.out", mantid=f"{stem}Mantid.log")


def _sns_log_names(stem: str) -> LogNames:
    return LogNames(script=f"{stem}.log", mantid=f"{stem}.err")
