"""Names of strangers as single path components: reversible, bounded, and safe on every file system.

DESIGN §4: RB, run and job ids are text from strangers. Letters, digits, `_` and `-` stand for themselves, every other
byte of the UTF-8 form is `=XX`; a component over 120 bytes becomes a prefix and the sha256 of the text (the full text
then stands in a sidecar beside it).
"""

from __future__ import annotations

import base64
import hashlib
import re

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
#: Longest component in bytes; NAME_MAX is 255, and suffixes of ours are added (DESIGN §4).
LONGEST = 120
#: Longest part of a `waiting` name in bytes (DESIGN §4): four parts and the order key stay below NAME_MAX.
LONGEST_PART = 60
_PREFIX = 50
_SHORT_PREFIX = 7
_INSTRUMENT = re.compile(r"[A-Za-z0-9_-]{1,60}")


def encode(text: str) -> str:
    """Return `text` as one path component of at most 120 bytes; never empty, never starting with a dot."""
    plain = "".join(chr(b) if b in _PLAIN else f"={b:02X}" for b in text.encode("utf-8", "surrogatepass")) or "="
    if len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain[:_PREFIX]}~{digest}"


def is_digest(component: str) -> bool:
    """Say whether `component` holds a digest instead of the text itself, so that a sidecar tells the text."""
    return "~" in component


def decode(component: str) -> str:
    """Return the text of a reversible component.

    Raises:
        ValueError: the component holds a digest, or was not made by `encode`.
    """
    if is_digest(component):
        raise ValueError(f"cannot read a name from {component!r}: it holds a digest; its sidecar holds the name")
    if component == "=":
        return ""
    out = bytearray()
    place = 0
    while place < len(component):
        char = component[place]
        if char == "=":
            out.append(int(component[place + 1 : place + 3], 16))
            place += 3
        elif ord(char) in _PLAIN:
            out.append(ord(char))
            place += 1
        else:
            raise ValueError(f"cannot read a name from {component!r}: {char!r} is not a character of a component")
    text = out.decode("utf-8", "surrogatepass")
    if encode(text) != component:
        raise ValueError(f"cannot read a name from {component!r}: {text!r} is written {encode(text)!r}")
    return text


def shorten(component: str) -> str:
    """Return `component` as a part of a `waiting` name: itself up to 60 bytes, else a prefix and its sha256."""
    if len(component) <= LONGEST_PART:
        return component
    digest = base64.b32encode(hashlib.sha256(component.encode()).digest()).decode().rstrip("=").lower()
    return f"{component[:_SHORT_PREFIX].replace('~', '_')}~{digest}"


def part_of(text: str) -> str:
    """Return a job, an RB or an instrument as a part of a `waiting` name."""
    return shorten(encode(text))


def shard(component: str) -> str:
    """Return the two-digit folder that spreads components evenly: the first byte of the component's sha256."""
    return hashlib.sha256(shorten(component).encode()).hexdigest()[:2]


def is_instrument(text: str) -> bool:
    """Say whether `text` may name an instrument: `[A-Za-z0-9_-]`, 1 to 60 characters (DESIGN §4)."""
    return _INSTRUMENT.fullmatch(text) is not None
