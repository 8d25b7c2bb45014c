"""Messages of ISIS: the family of 2016, and that of 2018 to 2022 with its lists, software and null script (pure).

`reference/peers.md` §1.3 and §4.1 (M1 to M9) show what is on the wire. In the later family every key but four has a
default, that of its own sender: facility ISIS, no script (the instrument's own), no arguments, no software.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor import messagevalues as values
from supervisor.family import Family
from supervisor.runrequest import RunRequest, echo

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Keys that a run needs, in the order in which the 2016 worker asked for them: the first one missing names the error.
REQUIRED_2016 = (
    "data",
    "facility",
    "instrument",
    "rb_number",
    "run_number",
    "reduction_script",
    "reduction_arguments",
)
#: Keys of a run that have no default in the later family.
REQUIRED_2018 = ("data", "instrument", "rb_number", "run_number")
#: Keys that only the later family has.
ONLY_2018 = ("software", "description", "run_title", "started_by", "job_id", "flat_output", "overwrite")
#: The facility of a later message that names none.
FACILITY = "ISIS"


def is_2018(message: Mapping[str, Any]) -> bool:
    """Returns whether a message of ISIS is of the later family: by a key of its own, a list, or a null script."""
    return (
        any(key in message for key in ONLY_2018)
        or isinstance(message.get("data"), list)
        or isinstance(message.get("run_number"), list)
        or ("reduction_script" in message and message["reduction_script"] is None)
    )


def read_2016(message: dict[str, Any], *, cancel: bool, priority: int) -> RunRequest:
    """Reads a message of 2016 whose required keys are there.

    Raises:
        Fault: A value is wrong.
    """
    standard, advanced = values.arguments(message.get("reduction_arguments"), lenient=cancel)
    number = values.run(message["run_number"])
    version = values.version(message.get("run_version"))
    file = values.text(message, "data", needed=not cancel)
    return RunRequest(
        family=Family.ISIS2016,
        facility=values.text(message, "facility", needed=not cancel).strip().upper(),
        instrument=values.instrument(message["instrument"]),
        rb=values.experiment("rb_number", message.get("rb_number"), needed=not cancel),
        run=number,
        runs=(number,),
        run_raw=message["run_number"],
        version=version or 0,
        version_given=version is not None,
        data=(file,) if file else (),
        batch=False,
        script=values.text(message, "reduction_script", needed=not cancel, empty=True),
        standard_vars=standard,
        advanced_vars=advanced,
        software="",
        description="",
        flat=False,
        cancel=cancel,
        priority=priority,
        body=message,
        reply_body=echo(message),
    )


def read_2018(message: dict[str, Any], *, cancel: bool, priority: int) -> RunRequest:
    """Reads a message of 2018 to 2022 whose required keys are there.

    Raises:
        Fault: A value is wrong, or there is not one data file for each run.
    """
    standard, advanced = values.arguments(message.get("reduction_arguments"), lenient=cancel)
    numbers = values.runs(message["run_number"])
    data = () if cancel else values.files(message["data"])
    if not cancel and len(data) != len(numbers):
        raise values.Fault(
            "data", f"names {_count(data, 'file')} for {_count(numbers, 'run')}; name one file for each run"
        )
    version = values.version(message.get("run_version"))
    named = message.get("facility") is not None
    return RunRequest(
        family=Family.ISIS2018,
        facility=values.text(message, "facility", needed=not cancel).strip().upper() if named else FACILITY,
        instrument=values.instrument(message["instrument"]),
        rb=values.experiment("rb_number", message.get("rb_number"), needed=not cancel),
        run=values.run_name(message["run_number"], numbers),
        runs=numbers,
        run_raw=message["run_number"],
        version=version or 0,
        version_given=version is not None,
        data=data,
        batch=isinstance(message.get("data"), list),
        script=_script(message, cancel=cancel),
        standard_vars=standard,
        advanced_vars=advanced,
        software="" if cancel else values.software(message.get("software")),
        description=_description(message, cancel=cancel),
        flat=values.truthy(message.get("flat_output")),
        cancel=cancel,
        priority=priority,
        body=message,
        reply_body=echo(message),
    )


def _count(names: tuple[str, ...], noun: str) -> str:
    return f"{len(names)} {noun}" + ("" if len(names) == 1 else "s")


def _script(message: Mapping[str, Any], *, cancel: bool) -> str | None:
    if message.get("reduction_script") is None and not cancel:
        return None
    return values.text(message, "reduction_script", needed=not cancel, empty=True)


def _description(message: Mapping[str, Any], *, cancel: bool) -> str:
    if message.get("description") is None:
        return ""
    return values.text(message, "description", needed=not cancel, empty=True)
