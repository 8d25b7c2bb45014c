"""Doubles of the consumers that read replies today, written from what is known of them (`reference/peers.md`).

Each takes a reply as its original does: what that would drop, choke on or misread is refused with the reason, all else
is accepted and moves the run to the status that a person would see. Nothing here is shared with the product.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stompclient import StompClient

#: The web application of 2016 sends a run again this often at most.
MAX_RETRIES = 5


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A reply that a consumer did not take."""

    kind: str
    body: bytes
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A message that the web application sends by itself."""

    body: dict[str, Any]
    headers: dict[str, str]


class _Refused(Exception):
    """Why a reply is not taken."""


@dataclass
class Shown:
    """A run as its page shows it."""

    status: str = "Queued"
    message: str = ""
    logs: tuple[str, str] = ("", "")
    locations: tuple[str, ...] = ()
    #: Every status it had, in order.
    history: list[str] = field(default_factory=lambda: ["Queued"])

    def become(self, status: str) -> None:
        self.status = status
        self.history.append(status)


class Consumer:
    """What the doubles have in common: they read JSON objects, and remember what they took and what not."""

    #: The kinds of replies that it subscribes to.
    kinds: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.accepted: list[tuple[str, dict[str, Any]]] = []
        self.refused: list[Refusal] = []
        self.runs: dict[Any, Shown] = {}

    def take(self, kind: str, data: bytes) -> None:
        """Read one reply."""
        try:
            body = _object(data)
            self._take(kind, body)
        except _Refused as refused:
            self.refused.append(Refusal(kind=kind, body=data, reason=str(refused)))
        else:
            self.accepted.append((kind, body))

    def subscribe(self, client: StompClient, queues: Mapping[str, str]) -> None:
        """Listen to every queue over one connection, so that replies come in the order in which they were sent."""
        for kind in self.kinds:
            if queues.get(kind):
                client.write("SUBSCRIBE", {"destination": queues[kind], "id": kind, "ack": "auto"})

    def listen(self, client: StompClient, until: Callable[[], object], patience: float) -> None:
        """Take replies as they come until `until` answers something true."""
        while not until():
            frame = client.read(patience)
            assert frame is not None, f"no reply in {patience} s; so far {self.accepted}, refused {self.refused}"
            assert frame.command == "MESSAGE", frame
            self.take(frame.headers["subscription"], frame.body)

    def listen_on(self, client: StompClient, idle: float = 1.0) -> None:
        """Take whatever else comes, until nothing has come for `idle` seconds."""
        while (frame := client.read(idle)) is not None:
            self.take(frame.headers["subscription"], frame.body)

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        raise NotImplementedError


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise _Refused(f"no JSON in UTF-8: {error}") from None
    if not isinstance(body, dict):
        raise _Refused("no JSON object")
    return body


def _needed(body: dict[str, Any], *keys: str) -> list[Any]:
    for key in keys:
        if key not in body:
            raise _Refused(f"KeyError: {key}")
    return [body[key] for key in keys]


def _whole(value: Any, key: str) -> int:
    """Return what int() makes of a value, as all of them call it."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Refused(f"int({key}): {error}") from None


def _stored(body: dict[str, Any], key: str) -> str:
    """Return a text for a column of the database, which takes neither other values nor NUL."""
    value = body.get(key, "")
    if not isinstance(value, str):
        raise _Refused(f"{key} is no text: {value!r}")
    if "\0" in value:
        raise _Refused(f"{key} holds a NUL")
    return value


# --- ISIS 2016 -----------------------------------------------------------------------------------------------------


class WebApp2016(Consumer):
    """The web application of 2016: it finds its runs by three numbers and honours replies by the status they are in."""

    kinds = ("started", "complete", "error")

    def __init__(self) -> None:
        super().__init__()
        self._messages: dict[tuple[str, int, int], dict[str, Any]] = {}
        #: Runs that it sends again, with the delay that the broker is asked for.
        self.outbox: list[Pending] = []
        #: Complete replies that came before their started one, and are lost.
        self.dropped_completes = 0

    def submit(self, message: dict[str, Any]) -> None:
        """Know a run whose message goes to the pending queue."""
        key = self._key(message)
        self._messages[key] = dict(message)
        self.runs[key] = Shown()

    def shown(self, message: dict[str, Any], *, version: int | None = None) -> Shown:
        """Return the page of a run."""
        rb, run, own = self._key(message)
        return self.runs[rb, run, own if version is None else version]

    @staticmethod
    def _key(body: dict[str, Any]) -> tuple[str, int, int]:
        rb, run, version = _needed(body, "rb_number", "run_number", "run_version")
        return str(rb).strip(), _whole(run, "run_number"), _whole(version, "run_version")

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        key = self._key(body)
        if key not in self.runs:
            raise _Refused(f"unable to find the run {key}")
        run = self.runs[key]
        if kind == "started":
            if run.status not in ("Queued", "Error"):
                raise _Refused(f"started, but the run is {run.status}")
            run.become("Processing")
            return
        message, logs = _stored(body, "message"), (_stored(body, "reduction_log"), _stored(body, "admin_log"))
        if kind == "complete":
            if run.status != "Processing":
                self.dropped_completes += 1
                raise _Refused(f"complete, but the run is {run.status}")
            locations = body.get("reduction_data", [])
            if not isinstance(locations, list) or not all(isinstance(where, str) for where in locations):
                raise _Refused(f"reduction_data is no list of texts: {locations!r}")
            run.locations = tuple(locations)
            run.become("Completed")
        else:
            delay = _whole(body["retry_in"], "retry_in") if body.get("retry_in") else 0
            run.become("Error")
            if delay:
                self._retry(key, delay)
        run.message, run.logs = message, logs

    def _retry(self, key: tuple[str, int, int], delay: int) -> None:
        rb, run, _ = key
        versions = [version for other_rb, other_run, version in self.runs if (other_rb, other_run) == (rb, run)]
        if len(versions) > MAX_RETRIES:
            return
        old = self._messages[key]
        new = {
            "run_number": run,
            "instrument": old["instrument"],
            "rb_number": rb,
            "data": old["data"],
            "reduction_script": old["reduction_script"],
            "reduction_arguments": old["reduction_arguments"],
            "run_version": max(versions) + 1,
            "facility": old["facility"],
            "message": "",
        }
        self.submit(new)
        self.outbox.append(Pending(body=new, headers={"priority": "0", "AMQ_SCHEDULED_DELAY": str(delay * 1000)}))


# --- ISIS 2018 to 2022 ---------------------------------------------------------------------------------------------

_TEXT = (str,)
_TEXT_OR_NULL = (str, type(None))
_NUMBER = (int, str, type(None))
#: Every key of its `Message` class, with the types that stand for it on the wire; the columns of the logs take no null.
_TYPES: dict[str, tuple[type, ...]] = {
    "description": _TEXT_OR_NULL,
    "facility": _TEXT,
    "run_number": (*_NUMBER, list),
    "run_title": (*_TEXT_OR_NULL, list),
    "instrument": _TEXT_OR_NULL,
    "rb_number": _NUMBER,
    "started_by": _NUMBER,
    "data": (*_TEXT_OR_NULL, list),
    "overwrite": (bool, type(None)),
    "run_version": _NUMBER,
    "job_id": _NUMBER,
    "reduction_script": _TEXT_OR_NULL,
    "reduction_arguments": (dict, *_TEXT_OR_NULL),
    "reduction_log": _TEXT,
    "admin_log": _TEXT,
    "message": _TEXT_OR_NULL,
    "retry_in": (int, type(None)),
    "reduction_data": _TEXT_OR_NULL,
    "software": (dict, *_TEXT_OR_NULL),
    "flat_output": (bool, type(None)),
}


class Strict2021(Consumer):
    """The consumer of 2018 to 2022: a `Message` with an unknown key is refused whole, and null means success."""

    kinds = ("started", "complete", "error", "skipped")

    def submit(self, message: dict[str, Any]) -> None:
        """Know a run whose message goes to the pending queue."""
        self.runs[self._key(message)] = Shown()

    def shown(self, message: dict[str, Any]) -> Shown:
        """Return the page of a run."""
        return self.runs[self._key(message)]

    @staticmethod
    def _key(body: dict[str, Any]) -> tuple[str, tuple[int, ...], int]:
        rb, runs = _needed(body, "rb_number", "run_number")
        numbers = runs if isinstance(runs, list) else [runs]
        version = body.get("run_version")
        return (
            str(rb).strip(),
            tuple(_whole(number, "run_number") for number in numbers),
            _whole(0 if version is None else version, "run_version"),
        )

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        for name, value in body.items():
            if name not in _TYPES:
                raise _Refused(f"unexpected key {name!r}")
            if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and bool not in _TYPES[name]):
                raise _Refused(f"{name} cannot be {value!r}")
        key = self._key(body)
        if key not in self.runs:
            raise _Refused(f"unable to find the run {key}")
        run, message = self.runs[key], body.get("message")
        if kind == "started":
            if run.status not in ("Queued", "Error"):
                raise _Refused(f"started, but the run is {run.status}")
            run.become("Processing")
            return
        if kind == "complete" and run.status != "Processing":
            raise _Refused(f"complete, but the run is {run.status}")
        if kind == "complete" and message is not None:
            raise _Refused(f"complete, but its message makes it an error: {message!r}")
        if kind != "complete" and not message:
            raise _Refused(f"{kind}, but its message {message!r} makes it a success, or an error without words")
        run.logs = (_stored(body, "reduction_log"), _stored(body, "admin_log"))
        run.message = message or ""
        run.locations = (body["reduction_data"],) if body.get("reduction_data") else ()
        run.become({"complete": "Completed", "error": "Error", "skipped": "Skipped"}[kind])


# --- SNS -------------------------------------------------------------------------------------------------------------


_SNS_STATUS = {
    "started": "Reducing",
    "complete": "Reduced",
    "error": "Error",
    "disabled": "Disabled",
    "postprocess_error": "Error",
}


class WorkflowSns(Consumer):
    """The workflow manager of SNS: it makes an entry of each message, and a page of its entries."""

    kinds = ("started", "complete", "error", "disabled", "postprocess_error")

    def submit(self, message: dict[str, Any]) -> None:
        """Know a run whose message goes to the pending queue."""
        self.runs[self._key(message)] = Shown()

    def shown(self, message: dict[str, Any]) -> Shown:
        """Return the page of a run."""
        return self.runs[self._key(message)]

    @staticmethod
    def _key(body: dict[str, Any]) -> tuple[str, int]:
        instrument, ipts, run = _needed(body, "instrument", "ipts", "run_number")
        for name, value in (("instrument", instrument), ("ipts", ipts)):
            if not isinstance(value, str):
                raise _Refused(f"{name} is no text: {value!r}")
        return instrument.lower(), _whole(run, "run_number")

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        key = self._key(body)
        if key not in self.runs and not _stored(body, "data_file"):
            raise _Refused("KeyError: data_file")
        _stored(body, "data_file")
        error, information = (self._column(body, name) for name in ("error", "information"))
        failed = kind in ("error", "postprocess_error")
        if failed and not error:
            raise _Refused("an entry of an error, and nothing to show for it")
        if error and not failed:
            raise _Refused(f"the page shows an error beside {kind}: {error}")
        run = self.runs.setdefault(key, Shown())
        run.message = error
        run.logs = ("", information)
        run.become(_SNS_STATUS[kind])

    @staticmethod
    def _column(body: dict[str, Any], key: str) -> str:
        """Return a text as its column holds it: 200 characters, the rest is cut off."""
        text = _stored(body, key)
        return text[:198] + ".." if len(text) > 200 else text
