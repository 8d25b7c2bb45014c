"""What a run reads from the archive before its box is let go: the instrument's script, and its variables' defaults.

Done by the store thread of a shepherd, as every call here may hang. What lies on disk is written by instrument
scientists and read by us, so it is bounded; a script is read once, and what was read is what runs and is recorded.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.closure import Closure, by_path
from supervisor.boxarguments import closure_from_json
from supervisor.profiles import Profile, Profiles, conda_env
from supervisor.sentences import switched_off
from supervisor.staging import SiteTrouble, trouble

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Largest script and largest reduce_vars.py that is read, bytes; the largest in production has 50 kB.
LONGEST: Final = 16 * 1024 * 1024


class SwitchedOff(Exception):
    """The instrument's script is not there, which means that its runs are not to be reduced (SNS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was read; None where nothing was to be read or, of defaults, there is nothing."""

    script: bytes | None = None
    #: The interpreter that the script asks for; None where it asks for none.
    profile: Profile | None = None
    defaults: bytes | None = None
    #: What that interpreter needs behind a tree.
    closure: Closure | None = None

    def __bool__(self) -> bool:
        """Whether the box has to be told anything."""
        return self.script is not None or self.defaults is not None


def read_all(
    script: Mapping[str, Any],
    default_vars: str,
    interpreters: Mapping[str, Any],
    closures: Mapping[str, Any],
    chosen: Profile,
    instrument: str,
) -> Found:
    """Read what lies on disk.

    Args:
        script: path and switch, or empty.
        default_vars: path, or "".
        interpreters: what the script may ask for, or empty.
        closures: what those need behind a tree, as far as it was found out.
        chosen: the interpreter chosen before the script is seen.
        instrument: for the sentence.

    Raises:
        SwitchedOff: the script is the instrument's switch, and not there.
        SiteTrouble: the script cannot be read now.
        NoProfile, BadScriptLine: the script asks for an interpreter that cannot be had.
    """
    text = _script(script, instrument) if script else None
    profile = None
    if text is not None and interpreters:
        env = conda_env(text)
        profile = Profiles.from_json(interpreters, chosen).for_conda(env) if env else None
    return Found(
        script=text,
        profile=profile,
        defaults=read_defaults(default_vars) if default_vars else None,
        closure=None if profile is None else _closure(profile, closures),
    )


def _closure(profile: Profile, closures: Mapping[str, Any]) -> Closure | None:
    """Return what was found out when the service started; of a program that was named just now, what its path tells."""
    if profile.name in closures:
        return closure_from_json(closures[profile.name])
    return by_path(profile.argv[0], also=profile.bind) if profile.argv[0].startswith("/") else None


def _script(script: Mapping[str, Any], instrument: str) -> bytes:
    path = str(script["path"])
    try:
        return _read(path)
    except FileNotFoundError as error:
        # A file system that is not mounted has no scripts either: only a folder that is there says "switched off".
        if script.get("switch") and os.path.isdir(os.path.dirname(path)):
            raise SwitchedOff(switched_off(instrument, path)) from error
        raise _trouble(path, error) from error
    except OSError as error:
        raise _trouble(path, error) from error


def _trouble(path: str, error: OSError) -> SiteTrouble:
    return SiteTrouble("script", str(trouble("reduction script", path, error)))


def read_defaults(path: str) -> bytes | None:
    """Return the defaults; most instruments of a new site have none, and the message's values are whole without."""
    try:
        return _read(path)
    except OSError:
        return None


def _read(path: str) -> bytes:
    # Non-blocking: a FIFO in its place would hold us for ever.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        text = file.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise OSError(0, f"larger than {LONGEST} bytes")
    return text
