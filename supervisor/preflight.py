"""Preflight: the last look at the site before a box is let go (DESIGN §5, "claimed").

Every call here touches the archive and may hang; it is the store thread of a shepherd that makes them.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from sandbox.verdict import Verdict
from supervisor import durable, ondisk, sentences
from supervisor.profiles import BadScriptLine, NoProfile, Profile
from supervisor.staging import trouble

if TYPE_CHECKING:
    from supervisor.ondisk import Found
    from supervisor.runplan import RunPlan
    from supervisor.staging import Staging


class Ends(Exception):
    """The run ends before it begins; the sentence says why."""

    def __init__(self, verdict: Verdict, sentence: str, *, switched_off: bool = False) -> None:
        super().__init__(sentence)
        self.verdict = verdict
        #: The instrument's script is not there, which has a reply of its own.
        self.switched_off = switched_off


def look(plan: RunPlan, staging: Staging) -> Found:
    """Open every input and read a byte of it; read what lies on disk; make staging beside the archive target.

    Raises:
        SiteTrouble: something cannot be had now.
        ForeignTarget: another RB's result stands at the target.
        Ends: the run ends here.
    """
    for path in plan.box["input_files"]:
        try:
            fd = _open(path)
            try:
                os.read(fd, 1)
            finally:
                os.close(fd)
        except OSError as error:
            raise trouble("data file", path, error) from error
    try:
        found = _on_disk(plan)
    except ondisk.SwitchedOff as off:
        raise Ends(Verdict.skipped, str(off), switched_off=True) from off
    except NoProfile as lacking:
        raise Ends(Verdict.refused, sentences.refused(str(lacking))) from lacking
    except BadScriptLine as bad:
        told = sentences.script_line(bad.line, plan.box["script_name"], str(bad))
        raise Ends(Verdict.script_error, told) from bad
    staging.open_archive()
    return found


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # What was not there a minute ago is remembered as absent on NFS until its folder is opened anew.
        with contextlib.suppress(OSError):
            os.close(durable.open_folder(os.path.dirname(path)))
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _on_disk(plan: RunPlan) -> Found:
    chosen = Profile(name="", argv=tuple(plan.box["interpreter"]), env=plan.box["env"])
    return ondisk.read_all(
        plan.script_on_disk, plan.default_vars, plan.interpreters, plan.closures, chosen, plan.instrument
    )
