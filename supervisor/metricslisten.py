"""The address at which the metrics are served, as the configuration writes it: ``127.0.0.1:9464`` (pure)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_REMEDY = 'write for example "127.0.0.1:9464" or "[::1]:9464"'
_PORTS = range(1, 65536)
#: Digits of the largest port.
_DIGITS = 5


class CannotListen(Exception):
    """The address of `metrics.listen` cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """An address of this host and a port."""

    host: str
    port: int
    #: It is an IPv6 address.
    six: bool
    #: Only this host reaches it.
    loopback: bool


def parse_listen(text: str) -> ListenAddress:
    """Read an address and its port; a name is refused, since what it stands for may change.

    Raises:
        ValueError: The text is no such address.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"must be an IP address with a port; {_REMEDY}") from None
    six = isinstance(address, ipaddress.IPv6Address)
    if not colon or six is not bracketed or "%" in text:  # an address with a zone is none of those
        raise ValueError(f"must be an IP address with a port; {_REMEDY}")
    if not (port.isascii() and port.isdigit() and len(port) <= _DIGITS and int(port) in _PORTS):
        raise ValueError(f"must have a port from 1 to 65535; {_REMEDY}")
    return ListenAddress(host=str(address), port=int(port), six=six, loopback=address.is_loopback)
