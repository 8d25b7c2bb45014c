"""Addresses of a broker as the configuration writes them: ``stomp://host:61613`` and ``stomp+ssl://host:61614``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

#: Schemes, whether each uses TLS, and the port that brokers listen on by default.
_SCHEMES = {"stomp": (False, 61613), "stomp+ssl": (True, 61614)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """One broker to connect to."""

    host: str
    port: int
    #: Whether the connection is encrypted and the broker's certificate is checked.
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"stomp{'+ssl' if self.tls else ''}://{host}:{self.port}"


def parse_address(text: str) -> BrokerAddress:
    """Reads one address; a missing port is the scheme's usual one.

    Raises:
        ValueError: The text is no such address. The sentence never repeats it, since a password may stand in it.
    """
    remedy = 'write "stomp://host:61613" or, with TLS, "stomp+ssl://host:61614"'
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"is not the address of a broker; {remedy}") from None
    if "@" in parts.netloc:
        raise ValueError(f"contains a user or password; write them as user and password_file, and here {remedy}")
    if parts.scheme not in _SCHEMES or not host or not text.isprintable() or " " in text:
        raise ValueError(f"is not the address of a broker; {remedy}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"goes on after the port; {remedy}")
    tls, usual = _SCHEMES[parts.scheme]
    if port == 0:
        raise ValueError(f"has the port 0; {remedy}")
    return BrokerAddress(host=host, port=port or usual, tls=tls)
