"""The body of a reply in the words of each family of consumers (pure, standard library only).

Replies are thought of in the words of 2016 and said in those of the family: the strict consumer of 2018 to 2022 refuses
a message with a key that its `Message` class does not know, takes null for success and one text for the result; the
workflow manager of SNS reads ``information`` and ``error`` and nothing of the logs (`reference/peers.md` §1.3, §2.1,
§2.2, §4.1 M9 and M10, §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.family import Family

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Every key of the strict `Message` class, and so every key that a reply to 2018-22 may have.
STRICT_KEYS = frozenset(
    {"description", "facility", "run_number", "run_title", "instrument", "rb_number", "started_by", "data"}
    | {"overwrite", "run_version", "job_id", "reduction_script", "reduction_arguments", "reduction_log", "admin_log"}
    | {"message", "retry_in", "reduction_data", "software", "flat_output"}
)
#: What SNS says of a data file that is not there; all else that went wrong stands behind `_SNS_PREFIX`.
_SNS_NO_DATA = "Data file not found: "
_SNS_PREFIX = "REDUCTION: "


def body_of(family: Family, echo: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the body of a reply, without the facts that no consumer of today knows.

    Args:
        family: Whose words.
        echo: The message received, without what only a reply may say.
        own: What we have to say, in the words of 2016.
    """
    match family:
        case Family.ISIS2016:
            return {**echo, **own}
        case Family.ISIS2018:
            return _strict({**echo, **own}, own)
        case Family.SNS:
            return {**echo, **_sns(own)}


def _strict(body: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in body.items() if key in STRICT_KEYS}
    if "message" in own:
        # Its database takes null for success, and an empty text for an error without words.
        known["message"] = own["message"] or None
    if "reduction_data" in own:
        folders = own["reduction_data"]
        known["reduction_data"] = folders[-1] if folders else None
    return known


def _sns(own: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: own[key] for key in ("information", "retry_in") if key in own}
    if "error" in own:
        said["error"] = own["error"]
    elif own.get("message"):
        text = own["message"]
        said["error"] = text if text.startswith(_SNS_NO_DATA) else _SNS_PREFIX + text
    return said


def access_text(family: Family, path: str, *, what: str, write: bool, missing: bool) -> str | None:
    """Returns how a family's worker says that a path cannot be used; None where it has no words for it.

    Args:
        family: Whose words.
        path: The path.
        what: ``data file``, ``script``, or what else it is.
        write: It was to be written, not read.
        missing: It does not exist; otherwise it may not be used.
    """
    match family:
        case Family.ISIS2016:
            return permission_error(path, write=write, exists=not missing)
        case Family.ISIS2018:
            if write:
                return f"Error encountered when trying to read the reduction directory {path}"
            if what == "data file":
                return f"Error encountered when trying to access the datafile {path}"
            return f"Error encountered when trying to read the reduction script {path}"
        case Family.SNS:
            return f"{_SNS_NO_DATA}{path}" if what == "data file" and missing else None


def permission_error(path: str, *, write: bool, exists: bool) -> str:
    """Returns 2016's text for a folder or file that cannot be used; its own worker overwrote it (defect D5)."""
    verb, access = ("Couldn't write to", "no write access") if write else ("Couldn't read", "no read access")
    return f"Permission error: {verb} {path}  -  {access if exists else 'does not exist'}"
