"""Messages of SNS and HFIR: `data_file` and `ipts`; the script lies on disk, under the instrument's name (pure).

Other messages travel between the same programs (`reference/peers.md` §4.1, M10): who sends one of them to the queue of
runs is told what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor import messagevalues as values
from supervisor.family import Family
from supervisor.runrequest import RunRequest, echo

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Keys that a run needs; the first one missing names the error.
REQUIRED = ("data_file", "facility", "instrument", "ipts", "run_number")
#: Keys of a run, in any family; a message with one of them is meant as a run.
_OF_A_RUN = ("data", "data_file", "run_number", "cancel")
#: What else is sent among these programs: the keys that tell it, what it is, and where it belongs.
_OTHERS = (
    (("use_default",), "asks for a reduction script to be made", "send it to the program that makes scripts"),
    (("template_data",), "asks for a reduction script to be made", "send it to the program that makes scripts"),
    (("reply_to",), "is a ping", "send it to the topic of pings"),
    (("src_name", "role"), "is a heartbeat of another program", "send it to the topic of heartbeats"),
)


def is_sns(message: Mapping[str, Any]) -> bool:
    """Returns whether a message is of SNS: by its data file or IPTS where ISIS has none, or as no run at all."""
    ours = ("data_file" in message or "ipts" in message) and "data" not in message
    return ours or not_a_run(message) is not None


def not_a_run(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns the key and a sentence for a message of SNS that asks for no run; None for any other message."""
    if any(key in message for key in _OF_A_RUN):
        return None
    for keys, what, remedy in _OTHERS:
        if all(key in message for key in keys):
            return keys[0], f"{' and '.join(keys)}: the message {what} and is no run; {remedy}"
    return None


def read(message: dict[str, Any], *, cancel: bool, priority: int) -> RunRequest:
    """Reads a message of SNS whose required keys are there.

    Raises:
        Fault: A value is wrong.
    """
    number = values.run(message["run_number"])
    version = values.version(message.get("run_version"))
    file = values.text(message, "data_file", needed=not cancel)
    return RunRequest(
        family=Family.SNS,
        facility=values.text(message, "facility", needed=not cancel).strip().upper(),
        instrument=values.instrument(message["instrument"]),
        rb=values.experiment("ipts", message.get("ipts"), needed=not cancel),
        run=number,
        runs=(number,),
        run_raw=message["run_number"],
        version=version or 0,
        version_given=version is not None,
        data=(file,) if file else (),
        batch=False,
        script=None,
        standard_vars={},
        advanced_vars={},
        software="",
        description="",
        flat=False,
        cancel=cancel,
        priority=priority,
        body=message,
        reply_body=echo(message),
    )
