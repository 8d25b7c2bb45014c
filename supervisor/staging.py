"""Staging: results copied beside their target, on the target's own file system, before anything is committed.

`plan.json` names every staging folder durably before the first byte is copied, so that a sweep can find what a dead
shepherd left (DESIGN §5). Failures here are conditions of the site (archive not writable, full): `SiteTrouble`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.copyout import OutputRejected, copy
from supervisor import archive, durable, names, provenance, records
from supervisor.promotion import staging_name
from supervisor.records import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sandbox.copyout import Manifest
    from sandbox.outcome import OutputFile
    from supervisor.layout import JobPlace
    from supervisor.provenance import Papers
    from supervisor.runplan import RunPlan

#: Below a result: where people look for logs today.
LOG_FOLDER = "reduction_log"


class SiteTrouble(Exception):
    """Data, archive or scratch cannot be had now; carries what, and the sentence about it."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(text)
        self.what = what


class ForeignTarget(Exception):
    """The target holds the result of another RB; it is never replaced."""


def trouble(what: str, path: str, error: OSError) -> SiteTrouble:
    """Return the trouble that `error` made at `path`, as a sentence."""
    return SiteTrouble(what, f'{what} cannot be used: "{path}": {error.strerror or error}')


class Staging:
    """The staging folders of one attempt."""

    def __init__(
        self, plan: RunPlan, place: JobPlace, insist: Callable[[Callable[[], None]], None] = lambda call: call()
    ) -> None:
        """Stage for `plan`; its records go below `place`, written by `insist`: the store is not the archive."""
        self._plan = plan
        self._place = place
        self._insist = insist
        self._key = names.part_of(plan.job)
        self.targets: list[Target] = []

    def _target(self, path: str, mode: str, *, overwrite: bool) -> Target:
        plan = self._plan
        prefix = os.path.join(os.path.dirname(path), f".autoreduce-{self._key}-{len(self.targets)}")
        suffix = f".run{names.encode(plan.run)}v{plan.version}"
        return Target(path=path, staging=prefix, mode=mode, suffix=suffix, run=plan.run, overwrite=overwrite)

    def _make(self, target: Target) -> None:
        try:
            archive.make_folder(os.path.dirname(target.path))
            archive.make_staging(self.folder(target), self._run_record([]))
        except OSError as error:
            raise trouble("archive", os.path.dirname(target.path), error) from error

    def folder(self, target: Target) -> str:
        """The staging folder of `target` that is copied into."""
        return staging_name(target, self._plan.n, 0)

    def _run_record(self, files: list[str]) -> dict[str, Any]:
        plan = self._plan
        return {
            "rb": plan.rb,
            "job": plan.job,
            "epoch": plan.n,
            "run": plan.run,
            "version": plan.version,
            "instrument": plan.instrument,
            "files": files,
        }

    def open_archive(self) -> None:
        """Look at the archive target and make its staging folder.

        Raises:
            SiteTrouble: it cannot be written.
            ForeignTarget: another RB's result stands there.
        """
        path = str(self._plan.target["path"])
        mode = str(self._plan.target["layout"])
        if mode == "replace":
            try:
                there = archive.look(path)
            except OSError as error:
                raise trouble("archive", path, error) from error
            if there is not None and not there.is_of(self._plan.rb):
                raise ForeignTarget(f'"{path}" holds the result of RB {there.rb}, not of RB {self._plan.rb}')
        target = self._target(path, mode, overwrite=mode == "merge")
        self.targets.append(target)
        self.write_plan()  # before the folder is made: what no plan names no sweep finds
        self._make(target)

    def open_extra(self, path: str) -> str | None:
        """Make the staging folder of a folder the script returned; return why it is passed over, or None.

        A folder that is not there yet, or holds an earlier result of this run, is replaced whole; anything else is
        merged file by file, and no file of another is touched (2016's D13: whole cycles were deleted here).

        Raises:
            SiteTrouble: it cannot be written.
        """
        home = self.targets[-1].path  # the archive's own stands last
        if path == home:
            return None
        if path.startswith(home + os.sep):
            return f'returned folder "{path}" lies inside the result folder itself, which holds everything already'
        if any(target.path == path for target in self.targets):
            return None
        try:
            there = archive.look(path)
        except OSError as error:
            raise trouble("returned folder", path, error) from error
        plan = self._plan
        own = there is None or (there.rb == plan.rb and there.run == plan.run)
        target = self._target(path, "replace" if own else "merge", overwrite=False)
        self.targets.insert(len(self.targets) - 1, target)  # extra folders first, then the archive (DESIGN §5)
        self.write_plan()
        self._make(target)
        return None

    def write_plan(self) -> None:
        """Make `plan.json` name every staging folder, durably."""
        record = {"targets": [records.target_record(target) for target in self.targets], "n": self._plan.n}
        named = records.pack(record)
        self._insist(lambda: durable.replace(self._place.plan(self._plan.n), named, "plan"))

    def fill(
        self,
        manifest: Manifest,
        out_fd: int,
        logs: dict[str, bytes],
        moved: Callable[[int], None],
        papers: Papers | None = None,
    ) -> tuple[OutputFile, ...]:
        """Copy the outputs and logs of a completed run into every staging folder.

        Args:
            manifest: what the script made.
            out_fd: the folder it made it in.
            logs: names to contents, for the log folder.
            moved: called with the bytes copied since the last call.
            papers: the record of the run, which goes into the log folder too; in a folder that other runs share its
                files get the stem of the logs' names.

        Raises:
            SiteTrouble: the archive does not take them.
            OutputRejected: an output bears the name of our own record, or is a file where the logs belong, or a folder
                where one of them does.
        """
        outputs: tuple[OutputFile, ...] = ()
        if any(found.path.split("/")[0] == archive.RUN_FILE for found in manifest.files) or (
            archive.RUN_FILE in manifest.folders
        ):
            raise OutputRejected(f"output '{archive.RUN_FILE}' bears the name of the record of a result")
        kept: Mapping[str, bytes] = {}
        ours = (*logs, *(papers.names if papers else ()))
        taken = self._paths(self.targets[-1], ours, logs)
        refuse_places(manifest, {path for target in self.targets for path in self._paths(target, ours, logs)})
        for place, target in enumerate(self.targets):
            folder = self.folder(target)
            try:
                dst = durable.open_folder(folder)
                try:
                    outputs = copy(manifest, out_fd, dst, moved)
                finally:
                    os.close(dst)
                outputs = tuple(output for output in outputs if output.path not in taken)
                if papers and not kept:
                    kept = papers.make(outputs)
                self._write_logs(folder, logs | provenance.under_stem(self._stem(target), kept))
                self.targets[place] = replace(target, files=self._paths(target, (*logs, *kept), logs))
                os.unlink(os.path.join(folder, archive.RUN_FILE))
                record = self._run_record([output.path for output in outputs])
                archive.write_file(os.path.join(folder, archive.RUN_FILE), records.pack(record))
                archive.sync(folder)
            except OSError as error:
                raise trouble("archive", folder, error) from error
        return outputs

    def _stem(self, target: Target) -> str:
        """What the names of our papers begin with in the folder of `target`: nothing where the run owns it."""
        if target.mode == "replace":
            return ""
        return provenance.stem_of(self._plan.log_names) or f"{names.encode(self._plan.run)}v{self._plan.version}-"

    def _paths(self, target: Target, ours: Iterable[str], logs: Mapping[str, bytes]) -> list[str]:
        """The paths of our own files below the folder of `target`; the names of logs stand as they are."""
        stem = self._stem(target)
        return [os.path.join(LOG_FOLDER, name if name in logs else stem + name) for name in ours]

    def keep_logs_only(self, logs: dict[str, bytes], papers: Mapping[str, bytes] | None = None) -> None:
        """Turn the archive's staging folder into one that adds log files and touches nothing else (DESIGN §5).

        Args:
            logs: names to contents; the names carry run, version and epoch.
            papers: further files (`provenance.papers`); they get the stem of the names of this attempt's logs.

        Raises:
            SiteTrouble: the archive does not take them.
        """
        stem = provenance.stem_of(self._plan.attempt_log_names) or f"e{self._plan.n}-"
        logs = logs | provenance.under_stem(stem, papers or {})
        self.drop(keep_last=True)
        home = self.targets[-1]
        folder = self.folder(home)
        try:
            archive.make_staging(folder, self._run_record([]))
            self._write_logs(folder, logs)
        except OSError as error:
            raise trouble("archive", folder, error) from error
        self.targets = [
            Target(
                path=home.path,
                staging=home.staging,
                mode="logs",
                suffix=home.suffix,
                run=home.run,
                files=[os.path.join(LOG_FOLDER, name) for name in logs],
            )
        ]
        self.write_plan()

    def drop(self, *, keep_last: bool = False) -> None:
        """Remove the staging folders of an attempt that is not promoted, as far as the archive lets us."""
        for target in self.targets[:-1] if keep_last else self.targets:
            remove_staging(target, self._plan.n)

    @staticmethod
    def _write_logs(folder: str, logs: dict[str, bytes]) -> None:
        log_folder = os.path.join(folder, LOG_FOLDER)
        archive.make_folder(log_folder)
        there = frozenset(archive.listing(log_folder))
        for name, data in logs.items():
            path = os.path.join(log_folder, name)
            if name in there:
                archive.remove_tree(path)  # the script made a file of this name: ours tells what happened
            archive.write_file(path, data)
        archive.sync(log_folder)


def refuse_places(manifest: Manifest, ours: Collection[str]) -> None:
    """Refuse results of another kind where our own files belong; a file where one of ours belongs gives way.

    Args:
        manifest: what the script made.
        ours: paths of our own files, relative like those of the results.

    Raises:
        OutputRejected: the text names the result.
    """
    if any(found.path == LOG_FOLDER for found in manifest.files):
        raise OutputRejected(f"output '{LOG_FOLDER}' is a file; that name is the folder of the logs")
    for folder in manifest.folders:
        if folder in ours:
            raise OutputRejected(f"output '{folder}' is a folder; that name is a file of the logs")


def stagings_of(target: Target, n: int) -> list[str]:
    """Return every staging folder of epoch `n` that stands beside `target`.

    Raises:
        OSError: the archive cannot be used now.
    """
    folder = os.path.dirname(target.path)
    prefix = f"{os.path.basename(target.staging)}-{n}."
    return [os.path.join(folder, name) for name in archive.listing(folder) if name.startswith(prefix)]


def remove_staging(target: Target, n: int) -> None:
    """Remove every staging folder of epoch `n` beside `target`; what cannot be removed stays for the next sweep."""
    try:
        for path in stagings_of(target, n):
            archive.remove_tree(path)
    except OSError:
        return


def planned(place: JobPlace, n: int) -> list[Target]:
    """Return the targets that the plan of an attempt names; none where it made no plan."""
    data = durable.read(place.plan(n))
    if data is None:
        return []
    return [
        records.build(Target, place.plan(n), record)
        for record in records.unpack(place.plan(n), data).get("targets", [])
    ]


def sweep(place: JobPlace, epochs: list[int]) -> None:
    """Remove the staging named in the plans of epochs that came to nothing; a zombie that copies there loses it."""
    for n in epochs:
        for target in planned(place, n):
            remove_staging(target, n)
