"""A message of the ISIS family of 2016, decoded: a stranger's bytes become a `RunRequest` or a `BadRequest`.

Pure; strict where a guess could harm (encoding, doubled keys, numbers that are none), lenient where producers differ
without meaning it (padded run numbers, RB as number or text, ``"None"`` for no arguments); `reference/peers.md` §1.3
and §4.1 show what is on the wire. What a producer sent is kept as it was for the echo, except the keys that only a
reply may say: a resent error message must not turn the next success into an error (defect D7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supervisor.runkey import CancelKey, is_whole, run_value
from supervisor.strictjson import NotStrict, kind, read_object, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Keys that a run needs, in the order in which the 2016 worker asked for them: the first one missing names the error.
REQUIRED = (
    "data",
    "facility",
    "instrument",
    "rb_number",
    "run_number",
    "reduction_script",
    "reduction_arguments",
)
#: Keys that a cancel needs.
REQUIRED_OF_CANCEL = ("instrument", "run_number")
#: Keys that only a reply may say; on the way in they are dropped from the echo.
REPLY_KEYS = frozenset(
    {"information", "reduction_data", "message", "reduction_log", "admin_log", "retry_in", "error", "supervisor"}
)
#: JMS priority of a message that names none.
DEFAULT_PRIORITY = 4

#: Most digits of a number that names something: 18 fit a signed 64-bit field of any database behind us.
_DIGITS = 18
_MAX_ID = 1024
_INSTRUMENT = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
#: ActiveMQ Classic ends its ids in the producer's sequence; Artemis gives a bare number.
_SEQUENCE = re.compile(r"(?:ID:.*:)?([0-9]{1,18})", re.ASCII | re.DOTALL)
#: Texts that stand for "no value" in messages made by careless code (`reference/peers.md` D18, M7).
_NOTHING = frozenset({"", "none", "null", "false", "0", "no"})


class BadRequest(ValueError):
    """A message cannot be read as a run or a cancel; `text` is for its sender, `body` for the echo of the reply."""

    def __init__(self, key: str, text: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        #: The key at fault, ``body`` for the message as a whole, or the name of a header.
        self.key = key
        self.text = text
        #: As much of the message as could be read; None when nothing could.
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One message, decoded."""

    #: Facility, upper case.
    facility: str
    #: Instrument, upper case.
    instrument: str
    #: RB number (experiment) as text, stripped and upper case; empty in a cancel that names none.
    rb: str
    #: Run number by value, as text: ``75513`` for ``"00075513"``, 75513 and 75513.0.
    run: str
    #: Run number as it was sent.
    run_raw: int | float | str
    #: Version of the run, 0 if none was sent.
    version: int
    #: Whether the message named a version; a cancel that does not means every version.
    version_given: bool
    #: Path of the data file as it was sent; empty in a cancel that names none.
    data: str
    #: Text of the script; empty in a cancel that names none.
    script: str
    #: ``reduction_arguments.standard_vars``; keys are any text, values any JSON.
    standard_vars: Mapping[str, Any]
    #: ``reduction_arguments.advanced_vars``.
    advanced_vars: Mapping[str, Any]
    #: The message asks to cancel a run instead of running one.
    cancel: bool
    #: JMS priority, 0 to 9.
    priority: int
    #: The message as received.
    body: dict[str, Any]
    #: What replies echo: `body` without the keys that only a reply may say.
    reply_body: dict[str, Any]

    @property
    def cancel_key(self) -> CancelKey:
        """The key under which cancels and runs find each other."""
        version = None if self.cancel and not self.version_given else self.version
        return CancelKey(instrument=self.instrument, run=self.run, version=version)


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
        partial = None if fault.partial is None else echo(fault.partial)
        raise BadRequest("body", str(fault), partial) from None
    cancel = _truthy(message.get("cancel"))
    for key in REQUIRED_OF_CANCEL if cancel else REQUIRED:
        if key not in message:
            raise BadRequest(key, f"{key} is missing", echo(message))
        if message[key] is None and key != "reduction_arguments":
            raise BadRequest(key, f"{key} is missing: it is null", echo(message))
    try:
        standard, advanced = _arguments(message.get("reduction_arguments"), lenient=cancel)
        return RunRequest(
            facility=_text(message, "facility", needed=not cancel).strip().upper(),
            instrument=_instrument(message["instrument"]),
            rb=_rb(message.get("rb_number"), needed=not cancel),
            run=_run(message["run_number"]),
            run_raw=message["run_number"],
            version=_version(message.get("run_version")),
            version_given=message.get("run_version") is not None,
            data=_text(message, "data", needed=not cancel),
            script=_text(message, "reduction_script", needed=not cancel, empty=True),
            standard_vars=standard,
            advanced_vars=advanced,
            cancel=cancel,
            priority=priority(headers),
            body=message,
            reply_body=echo(message),
        )
    except _Fault as fault:
        raise BadRequest(fault.key, f"{fault.key}: {fault}", echo(message)) from None


def echo(message: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a message that replies repeat."""
    return {key: value for key, value in message.items() if key not in REPLY_KEYS}


def job_id(headers: Mapping[str, str]) -> str:
    """Returns the identity of a message: the producer's ``job-id`` header, else the broker's ``message-id``.

    Raises:
        BadRequest: There is neither, or it is no short line of text.
    """
    for name in ("job-id", "message-id"):
        value = headers.get(name, "").strip()
        if not value:
            continue
        if len(value) > _MAX_ID or not value.isprintable():
            raise BadRequest(name, f"the header {name} must be one line of at most {_MAX_ID} characters")
        return value
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
    match = _SEQUENCE.fullmatch(headers.get("message-id", "").strip())
    return int(match.group(1)) if match else 0


class _Fault(ValueError):
    """A value under `key` is wrong."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def _text(message: Mapping[str, Any], key: str, *, needed: bool, empty: bool = False) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        if needed:
            raise _Fault(key, f"must be a text, not {kind(value)}")
        return ""
    if needed and not empty and not value.strip():
        raise _Fault(key, "is empty")
    return value


def _instrument(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _INSTRUMENT.fullmatch(text):
        raise _Fault("instrument", f"{shown(value)} is no instrument name; it has letters, digits, '_' and '-' only")
    return text.upper()


def _rb(value: Any, *, needed: bool) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    elif isinstance(value, str):
        text = value.strip().upper()
    elif needed:
        raise _Fault("rb_number", f"must be a number or a text, not {kind(value)}")
    else:
        return ""
    if not text and needed:
        raise _Fault("rb_number", "is empty")
    if not text.isprintable() and text:
        raise _Fault("rb_number", f"{shown(text)} contains characters that no RB number has")
    return text


def _run(value: Any) -> str:
    try:
        text = run_value(value)
    except ValueError as error:
        raise _Fault("run_number", str(error)) from None
    if not is_whole(text) or len(text.lstrip("-")) > _DIGITS:
        raise _Fault("run_number", f"{shown(value)} is not a whole number of at most {_DIGITS} digits")
    return text


def _version(value: Any) -> int:
    if value is None:
        return 0
    try:
        text = run_value(value)
    except ValueError:
        text = ""
    if not is_whole(text) or len(text.lstrip("-")) > _DIGITS:
        raise _Fault("run_version", f"{shown(value)} is not a whole number")
    return int(text)


def _arguments(value: Any, *, lenient: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns standard and advanced variables; a cancel runs nothing, so its arguments are not judged."""
    try:
        arguments = _table("reduction_arguments", value)
        return (
            _table("reduction_arguments", arguments.get("standard_vars"), "standard_vars"),
            _table("reduction_arguments", arguments.get("advanced_vars"), "advanced_vars"),
        )
    except _Fault:
        if lenient:
            return {}, {}
        raise


def _table(key: str, value: Any, part: str = "") -> dict[str, Any]:
    if value is None or (isinstance(value, str) and value.strip().lower() in {"", "none", "null"}):
        return {}
    if not isinstance(value, dict):
        raise _Fault(key, f"{part + ' ' if part else ''}must be an object, not {kind(value)}")
    return value


def _truthy(value: Any) -> bool:
    """Tells a wish to cancel by JSON truth; a text that says no is no."""
    return value.strip().lower() not in _NOTHING if isinstance(value, str) else bool(value)
