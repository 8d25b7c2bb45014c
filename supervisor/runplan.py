"""The plan a supervisor hands to a shepherd: plain, validated, and complete, so that the shepherd needs no config.

It travels as JSON in a sealed memfd (DESIGN §3: a datagram over 212 kB fails, and nothing of a script may stand in argv
or the environment). Stdlib only: the nursery imports this.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from supervisor.datadigest import LIMIT
from supervisor.records import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One errand under one RB lock."""

    #: `run`, `promote` (end the promotion of epoch n) or `repair` (takes of epoch n left by a promoter that is gone).
    errand: str
    #: Root of the store.
    store: str
    rb: str
    #: The epoch we hold, or whose promotion is to be ended.
    n: int
    job: str
    #: Id, boot id and name of this host; the name is what replies call `information`.
    host: str
    boot: str
    hostname: str
    code_version: str
    instrument: str = ""
    run: str = ""
    version: int = 0
    #: The box: the arguments of `sandbox.box.Box`, limits as JSON, the script in base64.
    box: dict[str, Any] = field(default_factory=dict)
    #: The archive target: path, layout (`replace` or `merge`), reported (its Windows name).
    target: dict[str, Any] = field(default_factory=dict)
    #: The family of the message: `supervisor.family.Family`.
    family: str = "isis2016"
    #: The instrument's script where the message brings none: path, and switch (its absence means: do not reduce).
    script_on_disk: dict[str, Any] = field(default_factory=dict)
    #: The instrument's own reduce_vars.py, whose values lie underneath the message's; "" for none.
    default_vars: str = ""
    #: Interpreters that a script on disk may ask for: `profiles.Profiles.to_json`; empty where it may not.
    interpreters: dict[str, Any] = field(default_factory=dict)
    #: What each of them needs behind a tree, by its name: `seclusion.closure_to_json`.
    closures: dict[str, Any] = field(default_factory=dict)
    #: File names of the two logs of a completed run, and of an attempt that did not complete.
    log_names: list[str] = field(default_factory=list)
    attempt_log_names: list[str] = field(default_factory=list)
    #: Roots below which returned folders may lie, as this host sees them.
    allowed_roots: list[str] = field(default_factory=list)
    #: Bytes; of a larger data file the record of the run holds digests of both ends alone.
    data_limit: int = LIMIT
    #: What replies need: see `answers`.
    replies: dict[str, Any] = field(default_factory=dict)
    #: Seconds.
    beat: float = 10.0
    self_kill_after: float = 60.0
    give_up: float = 86400.0
    #: by, count (retries so far), cap, first, longest (seconds), jitter (fraction), luck (0 to 1, drawn beforehand).
    retry: dict[str, Any] = field(default_factory=dict)
    #: Epochs of this job that came to nothing: their staging is swept.
    sweep: list[int] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Return the plan as the bytes of the memfd."""
        return json.dumps({"v": VERSION, **asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> RunPlan:
        """Return the plan in `data`.

        Raises:
            ValueError: not a plan of this version.
        """
        record = json.loads(data)
        if not isinstance(record, dict) or record.get("v") != VERSION:
            raise ValueError(f"cannot read the plan: its version is not {VERSION}")
        return cls(**{name: record[name] for name in cls.__dataclass_fields__ if name in record})


def pack_script(script: bytes) -> str:
    """Return the bytes of a script as text for the plan."""
    return base64.b64encode(script).decode()


def unpack_script(text: str) -> bytes:
    """Return the bytes of a script from the plan."""
    return base64.b64decode(text)
