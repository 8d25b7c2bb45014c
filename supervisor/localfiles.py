"""Results of a local run: staged whole inside the folder they belong to, then brought into place by renames.

Before the first rename everything is copied and fsynced, and it is known that every file can go where it belongs; so a
full disk, a refused output or a Ctrl-C leaves what stood there before as it was. What is there and is not made again
stays.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING

from sandbox.copyout import copy
from supervisor import archive
from supervisor.staging import LOG_FOLDER, refuse_places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.copyout import Manifest
    from sandbox.outcome import OutputFile
    from supervisor.provenance import Papers


class Destination:
    """The folder that a person named for the results of one run."""

    def __init__(self, path: str) -> None:
        """Make the folder at the absolute `path`, with its parents, and a staging folder in it.

        Raises:
            OSError: it cannot be made or written.
        """
        self.path = path
        os.makedirs(path, exist_ok=True)
        # Inside and not beside: whoever may write results here may not write the folder above, and this is the very
        # file system that the renames need.
        self._staging = os.path.join(path, f".autoreduce-{secrets.token_hex(6)}")
        os.mkdir(self._staging, 0o700)

    @property
    def log_folder(self) -> str:
        """Where the logs go."""
        return os.path.join(self.path, LOG_FOLDER)

    def file_results(
        self,
        manifest: Manifest,
        out_fd: int,
        logs: Mapping[str, bytes],
        papers: Papers | None = None,
    ) -> tuple[OutputFile, ...]:
        """Put results and logs into place.

        Args:
            manifest: what the script made.
            out_fd: the folder it made it in.
            logs: names to contents, for the log folder; a file of that name made by the script gives way.
            papers: the record of the run, which goes there too.

        Raises:
            OutputRejected: a result has the name of the log folder, or is a folder with the name of a file in it.
            OSError: they cannot be written, or something stands in their way.
        """
        taken = {f"{LOG_FOLDER}/{name}" for name in (*logs, *(papers.names if papers else ()))}
        refuse_places(manifest, taken)
        staging = os.open(self._staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            outputs = copy(manifest, out_fd, staging)
        finally:
            os.close(staging)
        outputs = tuple(output for output in outputs if output.path not in taken)
        self._stage_logs({**logs, **(papers.make(outputs) if papers else {})})
        self._move([*manifest.folders, LOG_FOLDER], [*(output.path for output in outputs), *sorted(taken)])
        return outputs

    def file_logs(self, logs: Mapping[str, bytes]) -> None:
        """Put logs into place, and nothing else.

        Raises:
            OSError: they cannot be written, or something stands in their way.
        """
        archive.remove_tree(self._staging)  # what was staged of results that could not be filed
        os.mkdir(self._staging, 0o700)
        self._stage_logs(logs)
        self._move([LOG_FOLDER], [f"{LOG_FOLDER}/{name}" for name in logs])

    def close(self) -> None:
        """Remove the staging folder with all in it.

        Raises:
            OSError: something in it cannot be removed.
        """
        archive.remove_tree(self._staging)

    def _stage_logs(self, logs: Mapping[str, bytes]) -> None:
        folder = os.path.join(self._staging, LOG_FOLDER)
        os.makedirs(folder, exist_ok=True)
        for name, data in logs.items():
            archive.remove_tree(os.path.join(folder, name))
            archive.write_file(os.path.join(folder, name), data)
        archive.sync(folder)

    def _move(self, folders: list[str], files: list[str]) -> None:
        for folder in folders:
            self._refuse_other(folder, folder=True)
        for file in files:
            self._refuse_other(file, folder=False)
        for folder in folders:
            os.makedirs(os.path.join(self.path, folder), mode=0o750, exist_ok=True)
        for file in files:
            os.replace(os.path.join(self._staging, file), os.path.join(self.path, file))
        for folder in {"", *folders}:
            archive.sync(os.path.join(self.path, folder))

    def _refuse_other(self, relative: str, *, folder: bool) -> None:
        """Refuse a place where something of another kind stands; a link is never written through."""
        place = os.path.join(self.path, relative)
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            return
        if folder and not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, "no folder, but results belong into one of this name", place)
        if not folder and stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a folder, but a result file has this name", place)
