"""What may go into a STOMP frame of ours: destinations, headers and bodies that no broker reads as something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Headers that the link writes itself; a caller's value would break the receipt or the frame.
RESERVED = frozenset({"destination", "receipt", "content-length", "transaction", "id", "ack", "subscription"})

#: Bytes of all headers of one frame. ActiveMQ Classic drops the connection at 20 kB without an ERROR and is safe at 8.
MAX_HEADER_BYTES = 8000

_LINE_ENDS = frozenset("\r\n\0")
#: On ActiveMQ a comma makes a composite destination (one message in each), "?" begins options, and "*" and ">" match.
_DESTINATION_SYNTAX = frozenset(",?*>") | _LINE_ENDS


class FrameError(ValueError):
    """A destination, header or body that must not be sent; the sentence names it and the cause."""


def destination(queue: str) -> str:
    """Return the STOMP destination of a queue name.

    A bare name is a queue; "/queue/..." and "/topic/..." are taken as they stand.

    Raises:
        FrameError: The name is empty, not text, or holds what a broker reads as syntax.
    """
    if not isinstance(queue, str):
        raise FrameError(f"destination {queue!r} is not text")
    found = _DESTINATION_SYNTAX & set(queue)
    if found:
        raise FrameError(
            f"destination {queue!r} holds {min(found)!r}, which a broker reads as syntax; use a plain name"
        )
    name = queue
    for prefix in ("/queue/", "/topic/"):
        name = name.removeprefix(prefix)
    if not name or name.startswith("/"):
        raise FrameError(f'destination {queue!r} names no queue; write "name" or "/queue/name"')
    _encoded(queue, "destination")
    return queue if queue.startswith("/") else f"/queue/{queue}"


def send_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a checked copy of the caller's headers with `persistent:true`, which is not STOMP's default.

    Raises:
        FrameError: A key or value is not text, holds a line end or NUL, is reserved, or the whole is too long.
    """
    checked: dict[str, str] = {}
    size = 0
    pairs: Iterable[tuple[object, object]] = headers.items()
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str):
            raise FrameError(f"header {key!r} must be text with a text value, not {type(value).__name__}")
        if not key or ":" in key or "\\" in key or _LINE_ENDS & set(key):
            raise FrameError(f"header name {key!r} is empty or holds a colon, backslash, line end or NUL")
        if _LINE_ENDS & set(value):
            raise FrameError(f'value of header "{key}" holds a line end or NUL')
        if key in RESERVED:
            raise FrameError(f'header "{key}" is written by the link itself; leave it out')
        # Each colon and backslash of a value travels as two bytes (STOMP 1.2, "Value Encoding").
        size += len(_encoded(key, "header name")) + len(_encoded(value, f'value of header "{key}"')) + 2
        size += value.count(":") + value.count("\\")
        checked[key] = value
    if size > MAX_HEADER_BYTES:
        raise FrameError(f"headers take {size} bytes, above {MAX_HEADER_BYTES}; move the long value into the body")
    checked.setdefault("persistent", "true")
    return checked


def text_body(body: str) -> bytes:
    """Return the UTF-8 bytes of a body.

    Raises:
        FrameError: It is not text, or holds a NUL (which ends a frame without content-length) or a lone surrogate.
    """
    if not isinstance(body, str):
        raise FrameError(f"body is {type(body).__name__}, not text")
    if "\0" in body:
        raise FrameError(f"body holds a NUL at character {body.index(chr(0))}, which ends a STOMP text frame")
    return _encoded(body, "body")


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise FrameError(
            f"{what} holds a lone surrogate at character {error.start}, which is no Unicode text"
        ) from None
