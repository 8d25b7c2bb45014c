"""A real Apache Artemis for tests: the embedded server of its jars, which `make artemis` brings from Maven Central."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from javabroker import STORE_PASSWORD, JavaBroker

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Where `make artemis` puts the jars.
JARS = Path(__file__).resolve().parents[2] / ".brokers" / "artemis"

_XML = """<configuration xmlns="urn:activemq">
  <core xmlns="urn:activemq:core">
    <name>test</name>
    <journal-type>NIO</journal-type>
    <journal-directory>{data}/journal</journal-directory>
    <bindings-directory>{data}/bindings</bindings-directory>
    <large-messages-directory>{data}/large</large-messages-directory>
    <paging-directory>{data}/paging</paging-directory>
    <journal-min-files>2</journal-min-files>
    <journal-file-size>2M</journal-file-size>
    <max-disk-usage>99</max-disk-usage>
    <security-enabled>{guarded}</security-enabled>
    <acceptors>{acceptors}</acceptors>
    <security-settings><security-setting match="#">{rights}</security-setting></security-settings>
    {settings}
  </core>
</configuration>
"""
_RIGHTS = [
    "send",
    "consume",
    "browse",
    "createAddress",
    "deleteAddress",
    "createDurableQueue",
    "deleteDurableQueue",
    "manage",
]
_LOGIN = """activemq {{
  org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
    baseDir="{folder}" org.apache.activemq.jaas.properties.user="users.properties"
    org.apache.activemq.jaas.properties.role="roles.properties";
}};
"""


class Artemis(JavaBroker):
    """Apache Artemis, as its own `create` makes it: any address comes into being when it is first used.

    Args:
        base: A folder of its own.
        prefixes: Whether "/queue/x" and "/topic/x" mean the address x, as on Classic; else each is an address itself.
        settings: XML of `address-settings`, for a broker with rules of its own.
        others: See `JavaBroker`.
    """

    name = "Artemis"
    install = "make artemis"

    def __init__(self, base: Path, *, prefixes: bool = True, settings: str = "", **others: Any) -> None:
        super().__init__(base, **others)
        self._prefixes = prefixes
        self._settings = settings

    def _missing(self) -> str:
        return "" if (JARS / ".made").exists() else str(JARS)

    def _arguments(self) -> list[str]:
        return [
            f"-Djava.io.tmpdir={self.base}/tmp",
            f"-Djava.security.auth.login.config={self.base}/etc/login.config",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{JARS}/*",
            "org.apache.activemq.artemis.core.server.embedded.Main",
            str(self.base),
        ]

    def _write_config(self) -> None:
        for name in ("etc", "data", "tmp"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        options = ["protocols=STOMP", "securityDomain=activemq", "connectionTtl=600000"]
        if self._prefixes:
            options += ["anycastPrefix=/queue/", "multicastPrefix=/topic/"]
        if self._max_frame_size is not None:
            options.append(f"stompMaxFramePayloadLength={self._max_frame_size}")
        acceptors = [self._acceptor("stomp", self.port, options)]
        if self._keystore is not None:
            tls = [*options, "sslEnabled=true", "enabledProtocols=TLSv1.2,TLSv1.3", *self._store("key", self._keystore)]
            acceptors.append(self._acceptor("tls", self.tls_port, tls))
            if self._truststore is not None:
                tls += ["needClientAuth=true", *self._store("trust", self._truststore)]
                acceptors.append(self._acceptor("mutual", self.mutual_port, tls))
        text = _XML.format(
            data=f"{self.base}/data",
            guarded=str(self.user is not None).lower(),
            acceptors="".join(acceptors),
            rights="".join(f'<permission type="{right}" roles="users"/>' for right in _RIGHTS),
            settings=f"<address-settings>{self._settings}</address-settings>" if self._settings else "",
        )
        etc = self.base / "etc"
        (etc / "broker.xml").write_text(text)
        (etc / "login.config").write_text(_LOGIN.format(folder=etc))
        (etc / "users.properties").write_text(f"{self.user or 'nobody'}={self.password or ''}\n")
        (etc / "roles.properties").write_text(f"users={self.user or 'nobody'}\n")

    def _acceptor(self, name: str, port: int | None, options: Iterable[str]) -> str:
        url = f"tcp://{self.host}:{port}?{';'.join(options)}"
        return f'<acceptor name="{name}">{escape(url)}</acceptor>'

    @staticmethod
    def _store(what: str, path: Path) -> list[str]:
        return [f"{what}StorePath={path}", f"{what}StoreType=PKCS12", f"{what}StorePassword={STORE_PASSWORD}"]
