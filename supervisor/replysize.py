"""Making a reply fit: which parts give way, in which order, until it is no longer than consumers and brokers take.

Logs shrink first, keeping head and tail, down to a floor. Then a note takes the place of the echoed script, and the
room it leaves goes back to the logs. Only then other large echoed values, the details under ``supervisor``, and at last
the message itself. The keys by which a consumer finds its run stay.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGS = ("reduction_log", "admin_log")
#: A log below this many bytes explains little: before it is cut further, something else gives way.
_LOG_FLOOR = 8 * 1024
#: By these a consumer finds its run: the run numbers of a batch may be many.
_FINDING = frozenset({"rb_number", "ipts", "run_number", "run_version", "instrument"})
#: What is left when nothing else helps: it finds the run and says how it ended.
_LAST = _FINDING | {"information", "retry_in", "message", "error"}
#: Keys by which consumers find the run, and what they show first; they give way last.
_KEPT = _LAST | {"facility", "data", "data_file", "supervisor", "reduction_data", *_LOGS}
#: Parts of ``supervisor`` that may be long.
_DETAILS = ("provenance", "usage", "limits", "isolation")
#: Room for a log that is not worth cutting: the marker alone is about this long.
_MARK_BYTES = 64


def fit(body: dict[str, Any], max_bytes: int) -> str:
    """Returns the JSON text of a reply, of at most `max_bytes` bytes in UTF-8 if that is possible at all.

    Args:
        body: The reply; every text in it can be encoded.
        max_bytes: The bound.
    """
    text = _dump(body)
    if _size(text) <= max_bytes:
        return text
    floor = min(_LOG_FLOOR, max_bytes // 8)
    for give_way in _STEPS:
        body = give_way(body, max_bytes)
        text = _with_logs(body, max_bytes, floor)
        if _size(text) <= max_bytes:
            return text
    return _with_logs(body, max_bytes, 0)


def cut(text: str, budget: int) -> str:
    """Returns a text whose JSON form has at most `budget` bytes: its head, a line about what is missing, its tail."""
    if _json_size(text) <= budget:
        return text
    # Each character takes a byte or more, so nothing outside these two windows can be kept.
    window = min(len(text), max(budget, 0))
    low, high = 0, window
    while low < high:
        middle = (low + high + 1) // 2
        if _json_size(_marked(text, middle)) <= budget:
            low = middle
        else:
            high = middle - 1
    short = _marked(text, low)
    return short if _json_size(short) <= budget else ""


def _marked(text: str, kept: int) -> str:
    head, tail = kept - kept // 2, kept // 2
    return f"{text[:head]}\n[... {len(text) - kept} characters left out ...]\n{text[len(text) - tail :]}"


def _with_logs(body: dict[str, Any], max_bytes: int, floor: int) -> str:
    """Returns the JSON text with logs cut to the room that the rest leaves, but none below `floor`."""
    logs = {key: body[key] for key in _LOGS if isinstance(body.get(key), str)}
    room = max_bytes - _size(_dump({**body, **dict.fromkeys(logs, "")}))
    shares = _shares({key: _json_size(text) for key, text in logs.items()}, room, floor)
    return _dump({**body, **{key: cut(text, shares[key]) for key, text in logs.items()}})


def _shares(wanted: dict[str, int], room: int, floor: int) -> dict[str, int]:
    """Divides the room: the shorter log gets what it wants up to its half, the longer one the rest."""
    shares: dict[str, int] = {}
    left = list(wanted)
    for key in sorted(left, key=lambda key: (wanted[key], key)):
        half = max(room // (len(wanted) - len(shares)), floor)
        shares[key] = min(wanted[key], half)
        room -= shares[key]
    return shares


def _nothing(body: dict[str, Any], _max_bytes: int) -> dict[str, Any]:
    return body


def _note_for_script(body: dict[str, Any], _max_bytes: int) -> dict[str, Any]:
    script = body.get("reduction_script")
    if not isinstance(script, str) or _json_size(script) <= 2 * _MARK_BYTES:
        return body
    return {**body, "reduction_script": _note(script)}


def _note_for_large(body: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Replaces echoed values of no use to a consumer, if they are large: arguments, and keys we do not know.

    An object stays an object and a list a list, for consumers that are strict about it.
    """
    large = [key for key, value in body.items() if key not in _KEPT and _size(_dump(value)) > max_bytes // 16]
    return {**body, **{key: _noted(body[key]) for key in large}}


def _drop_unknown(body: dict[str, Any], _max_bytes: int) -> dict[str, Any]:
    """Leaves out what is echoed beside the keys of consumers: many small keys can be as long as one large value."""
    return {key: value for key, value in body.items() if key in _KEPT or key.startswith("reduction_")}


def _drop_details(body: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    facts = body.get("supervisor")
    if not isinstance(facts, dict):
        return body
    short = {key: value for key, value in facts.items() if key not in _DETAILS}
    return {**body, "supervisor": {key: _shortened(value, max_bytes // 16) for key, value in short.items()}}


def _cut_rest(body: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    kept = _FINDING.union(_LOGS)
    return {key: value if key in kept else _shortened(value, max_bytes // 16) for key, value in body.items()}


def _cut_texts(body: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    return {key: value if key in _LOGS else _shortened(value, max_bytes // 16) for key, value in body.items()}


def _only_keys(body: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Keeps what finds the run and says how it ended."""
    parts = {key: 4 if key == "run_number" else 24 for key in _LAST}
    short = {key: _shortened(value, max_bytes // parts[key]) for key, value in body.items() if key in _LAST}
    return short | {key: "" for key in _LOGS if key in body}


_STEPS: tuple[Callable[[dict[str, Any], int], dict[str, Any]], ...] = (
    _nothing,
    _note_for_script,
    _note_for_large,
    _drop_details,
    _drop_unknown,
    _cut_rest,
    _cut_texts,
    _only_keys,
)


def _shortened(value: Any, budget: int) -> Any:
    if isinstance(value, str):
        return cut(value, max(budget, _MARK_BYTES))
    if isinstance(value, list | dict) and _size(_dump(value)) > budget:
        # A list of result folders stays a list: the consumer iterates over it.
        return value[:0] if isinstance(value, list) else {}
    if isinstance(value, int | float) and _size(_dump(value)) > budget:
        return None
    return value


def _noted(value: Any) -> Any:
    note = _note(value)
    return {"left out": note} if isinstance(value, dict) else [note] if isinstance(value, list) else note


def _note(value: Any) -> str:
    size = _size(value if isinstance(value, str) else _dump(value))
    return f"[{size} bytes left out: the reply would have been too long]"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _size(text: str) -> int:
    return len(text.encode())


def _json_size(text: str) -> int:
    """Returns the bytes of a text inside JSON quotes."""
    return _size(_dump(text)) - 2
