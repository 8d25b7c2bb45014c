"""Both kinds of real brokers, and the ways to reach them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from activemq import ActiveMQ
from artemis import Artemis
from certificates import make_authority, make_pair, make_server_keystore, make_truststore

if TYPE_CHECKING:
    from pathlib import Path

    from javabroker import JavaBroker

KINDS: dict[str, type[JavaBroker]] = {"classic": ActiveMQ, "artemis": Artemis}
#: The one user of the guarded brokers.
USER, PASSWORD = "reducer", "right-Pa55"


@dataclass(frozen=True, kw_only=True)
class Papers:
    """Certificates of a small site, PEM and PKCS12."""

    authority: Path
    stranger: Path
    keystore: Path
    expired: Path
    truststore: Path
    #: Certificate and key of a client.
    client: tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to a broker: which, and whether by TLS."""

    kind: str
    broker: JavaBroker
    tls: bool
    authority: Path

    @property
    def port(self) -> int:
        """The port of this way."""
        port = self.broker.tls_port if self.tls else self.broker.port
        assert port is not None
        return port

    @property
    def settings(self) -> dict[str, Any]:
        """What a link needs to go this way."""
        return {"tls": True, "host": "localhost", "ca_file": str(self.authority)} if self.tls else {}


def make_papers(folder: Path) -> Papers:
    """Make the certificates of a site."""
    authority = make_authority(folder, "authority")
    return Papers(
        authority=authority,
        stranger=make_authority(folder, "stranger"),
        keystore=make_server_keystore(folder, authority),
        expired=make_server_keystore(folder / "expired", authority, days=-1),
        truststore=make_truststore(authority),
        client=make_pair(folder, authority, "client.example"),
    )
