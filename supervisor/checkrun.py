"""Looks of `doctor` that may hang: each in a forked process of its own, with an end (the caller has one thread)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sandbox.linux import trial
from supervisor.checkup import Finding, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Seconds for one look.
PATIENCE: Final = 20.0


def bounded(
    area: str, name: str, look: Callable[[], Iterable[Finding]], *, patience: float = PATIENCE
) -> list[Finding]:
    """Return the findings of a look, or one that says that it hung or broke down.

    Args:
        area: of that finding.
        name: ditto.
        look: called in a forked child.
        patience: seconds after which the child is killed.
    """
    try:
        said = trial.run(lambda: json.dumps([finding.to_json() for finding in look()]), patience=patience)
    except OSError as error:
        return [failed(area, name, f"could not be looked at: {error}")]
    try:
        return [Finding.from_json(record) for record in json.loads(said)]
    except (ValueError, TypeError, KeyError):
        pass
    if "SIGKILL" in said:
        return [failed(area, name, f"does not answer within {patience:g} s", "mend the mount or the network to it")]
    return [failed(area, name, f"could not be looked at: {said}")]
