"""A message decoded: a stranger's bytes become a `RunRequest` or a `BadRequest`, by the family that its keys tell.

Pure; strict where a guess could harm (encoding, doubled keys, numbers that are none), lenient where producers differ
without meaning it. Nothing but the keys tells a family: one queue may carry all of them, and headers get lost on the
way through other brokers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from supervisor import request_isis, request_sns
from supervisor.brokerkinds import message_number, stable_id
from supervisor.family import Family
from supervisor.messagevalues import Fault, truthy
from supervisor.runrequest import REPLY_KEYS, BadRequest, RunRequest, echo
from supervisor.strictjson import NotStrict, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFAULT_PRIORITY",
    "REPLY_KEYS",
    "REQUIRED",
    "REQUIRED_OF_CANCEL",
    "BadRequest",
    "RunRequest",
    "broker_time_ms",
    "decode",
    "echo",
    "family_of",
    "job_id",
    "priority",
    "producer_sequence",
    "readable",
]


class _Reader(Protocol):
    def __call__(self, message: dict[str, Any], *, cancel: bool, priority: int) -> RunRequest: ...


#: Keys that a run needs; the first one missing names the error.
REQUIRED: Final[dict[Family, tuple[str, ...]]] = {
    Family.ISIS2016: request_isis.REQUIRED_2016,
    Family.ISIS2018: request_isis.REQUIRED_2018,
    Family.SNS: request_sns.REQUIRED,
}
#: Keys that a cancel needs, in every family.
REQUIRED_OF_CANCEL: Final = ("instrument", "run_number")
#: JMS priority of a message that names none.
DEFAULT_PRIORITY: Final = 4

_READERS: Final[dict[Family, _Reader]] = {
    Family.ISIS2016: request_isis.read_2016,
    Family.ISIS2018: request_isis.read_2018,
    Family.SNS: request_sns.read,
}
_MAX_ID = 1024
#: ActiveMQ Classic ends its ids in the producer's sequence; Artemis counts the messages of all.
_SEQUENCE = re.compile(r"(?:ID:.*:)?([0-9]{1,18})", re.ASCII | re.DOTALL)


def family_of(message: Mapping[str, Any]) -> Family:
    """Returns the family of a message, by its keys alone.

    SNS: there is `data_file` or `ipts` and no `data`, or it is one of SNS's messages that ask for no run. ISIS of 2018
    to 2022: a key that only it knows (`request_isis.ONLY_2018`), a list under `data` or `run_number`, or a
    `reduction_script` that is null. Any other message is of 2016.
    """
    if request_sns.is_sns(message):
        return Family.SNS
    return Family.ISIS2018 if request_isis.is_2018(message) else Family.ISIS2016


def decode(body: bytes, headers: Mapping[str, str]) -> RunRequest:
    """Reads one message.

    Args:
        body: The body as it came.
        headers: The STOMP headers.

    Raises:
        BadRequest: Something is missing or wrong; the first thing only, as consumers show one line.
    """
    try:
        message = read_object(body)
    except NotStrict as fault:
        raise BadRequest("body", str(fault), None if fault.partial is None else echo(fault.partial)) from None
    other = request_sns.not_a_run(message)
    if other is not None:
        raise BadRequest(*other, echo(message))
    family = family_of(message)
    cancel = truthy(message.get("cancel"))
    for key in REQUIRED_OF_CANCEL if cancel else REQUIRED[family]:
        if key not in message:
            raise BadRequest(key, f"{key} is missing", echo(message))
        if message[key] is None and key != "reduction_arguments":
            raise BadRequest(key, f"{key} is missing: it is null", echo(message))
    try:
        return _READERS[family](message, cancel=cancel, priority=priority(headers))
    except Fault as fault:
        raise BadRequest(fault.key, f"{fault.key}: {fault}", echo(message)) from None


def readable(body: bytes) -> dict[str, Any] | None:
    """Returns what a reply can repeat of any body; None if no object can be read of it."""
    try:
        return echo(read_object(body))
    except NotStrict as fault:
        return None if fault.partial is None else echo(fault.partial)


def job_id(headers: Mapping[str, str]) -> str:
    """Returns the identity of a message: the producer's ``job-id`` header, else what is stable of the ``message-id``.

    Raises:
        BadRequest: There is neither, or it is no short line of text.
    """
    for name in ("job-id", "message-id"):
        value = headers.get(name, "").strip()
        if not value:
            continue
        if len(value) > _MAX_ID or not value.isprintable():
            raise BadRequest(name, f"the header {name} must be one line of at most {_MAX_ID} characters")
        return value if name == "job-id" else stable_id(value, headers.get("timestamp", "").strip())
    raise BadRequest("message-id", "the message has neither a job-id nor a message-id header")


def priority(headers: Mapping[str, str]) -> int:
    """Returns the JMS priority of a message, 0 to 9; `DEFAULT_PRIORITY` if it names none."""
    value = headers.get("priority", "").strip()
    return min(int(value), 9) if re.fullmatch(r"[0-9]{1,18}", value, re.ASCII) else DEFAULT_PRIORITY


def broker_time_ms(headers: Mapping[str, str]) -> int:
    """Returns when the broker took the message, in milliseconds since the epoch; 0 if it did not say."""
    value = headers.get("timestamp", "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value, re.ASCII) else 0


def producer_sequence(headers: Mapping[str, str]) -> int:
    """Returns the number at the end of the broker's message-id, which counts a producer's messages; else 0."""
    match = _SEQUENCE.fullmatch(message_number(headers.get("message-id", "").strip()))
    return int(match.group(1)) if match else 0
