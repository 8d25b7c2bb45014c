"""The files of a record as they lie in a result folder, read as what they are: files that others may have edited."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import provenance
from supervisor.replaying import BadRecord, Recorded, choose, read
from supervisor.staging import LOG_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of a copy of a script that are read; a message holds at most 16 MiB.
_SCRIPT = 64 * 1024 * 1024


class NoRecord(Exception):
    """There is no record to be replayed; the text names the place, the cause and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A record and what lies beside it."""

    recorded: Recorded
    #: Path of the record.
    path: str
    #: Names of other records of the same run in that folder.
    others: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        """Path of the copy of the script."""
        return self._named(provenance.SCRIPT)

    @property
    def variables(self) -> str:
        """Path of the copy of the variables."""
        return self._named(provenance.VARIABLES)

    @property
    def defaults(self) -> str:
        """Path of the copy of the instrument's own variables."""
        return self._named(provenance.DEFAULTS)

    @property
    def result(self) -> str:
        """The result folder."""
        folder = os.path.dirname(self.path)
        return os.path.dirname(folder) if os.path.basename(folder) == LOG_FOLDER else folder

    def _named(self, name: str) -> str:
        return self.path.removesuffix(provenance.RECORD) + name


def find(path: str, run: str | None) -> Beside:
    """Return the record that a person means.

    Args:
        path: a result folder, its `reduction_log`, or a record itself.
        run: the run, where several have their records in one folder; None for the only one.

    Raises:
        NoRecord: there is none, or which is meant is not clear.
        BadRecord: the one that is meant cannot be used.
    """
    path = os.path.abspath(path)
    if not os.path.isdir(path):
        if not path.endswith(provenance.RECORD):
            raise NoRecord(f'"{path}" is neither a result folder nor a record; a record is named *{provenance.RECORD}')
        return Beside(recorded=_record(path), path=path)
    inside = os.path.join(path, LOG_FOLDER)
    folder = inside if os.path.isdir(inside) else path
    try:
        names = [name for name in sorted(os.listdir(folder)) if name.endswith(provenance.RECORD)]
    except OSError as error:
        raise NoRecord(f'cannot read "{folder}": {(error.strerror or str(error)).lower()}') from None
    if not names:
        raise NoRecord(f'there is no record in "{folder}"; results of this supervisor have a {provenance.RECORD} there')
    readable, broken = _read_all(folder, names)
    if not readable:
        raise broken[0]
    by_run = choose(readable)
    if run is None and len(by_run) > 1:
        raise NoRecord(f'"{path}" holds the records of runs {", ".join(by_run)}; say which with --run')
    wanted = next(iter(by_run)) if run is None else _same_run(run, by_run)
    if wanted is None:
        raise NoRecord(f'"{path}" holds no record of run {run}; there are: {", ".join(by_run)}')
    first, *others = by_run[wanted]
    return Beside(recorded=readable[first], path=os.path.join(folder, first), others=tuple(others))


def bytes_of(path: str, longest: int = _SCRIPT) -> bytes:
    """Return the bytes of a plain file, following no link and waiting for nothing.

    Raises:
        OSError: it cannot be read.
        BadRecord: it is no plain file, or longer than `longest`.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadRecord(f'"{path}" is no plain file')
        body = file.read(longest + 1)
    if len(body) > longest:
        raise BadRecord(f'"{path}" is longer than {longest} bytes, which none of ours is')
    return body


def _same_run(run: str, by_run: Mapping[str, list[str]]) -> str | None:
    """The run that a person means: as it is written, else by its number."""
    if run in by_run:
        return run
    number = run.strip().lstrip("0") or "0"
    return next((known for known in by_run if (known.lstrip("0") or "0") == number), None)


def _read_all(folder: str, names: list[str]) -> tuple[dict[str, Recorded], list[BadRecord]]:
    readable: dict[str, Recorded] = {}
    broken: list[BadRecord] = []
    for name in names:
        try:
            readable[name] = _record(os.path.join(folder, name))
        except BadRecord as bad:
            broken.append(bad)
    return readable, broken


def _record(path: str) -> Recorded:
    try:
        return read(bytes_of(path, provenance.LONGEST))
    except OSError as error:
        raise BadRecord(f'cannot read the record "{path}": {(error.strerror or str(error)).lower()}') from None
    except BadRecord as bad:
        raise BadRecord(f'cannot use the record "{path}": {bad}') from None
