"""A real ActiveMQ Classic (Debian's package) for tests."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

from javabroker import STORE_PASSWORD, JavaBroker, free_port

__all__ = ["JAR", "ActiveMQ", "free_port"]

JAR = Path("/usr/share/activemq/bin/activemq.jar")

_XML = """<beans xmlns="http://www.springframework.org/schema/beans"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="test" dataDirectory={data} useJmx="false"
          persistent="true" schedulerSupport="false" useShutdownHook="true">
    <destinationPolicy><policyMap><policyEntries><policyEntry queue="&gt;" maxBrowsePageSize="200000">
      <deadLetterStrategy><individualDeadLetterStrategy queuePrefix="DLQ." useQueueForQueueMessages="true"/></deadLetterStrategy>
    </policyEntry></policyEntries></policyMap></destinationPolicy>
    <persistenceAdapter><kahaDB directory={kahadb}/></persistenceAdapter>
    {plugins}
    {ssl}
    <systemUsage><systemUsage>
      <memoryUsage><memoryUsage limit="64 mb"/></memoryUsage>
      <storeUsage><storeUsage limit="1 gb"/></storeUsage>
      <tempUsage><tempUsage limit="100 mb"/></tempUsage>
    </systemUsage></systemUsage>
    <transportConnectors>{connectors}</transportConnectors>
  </broker>
</beans>
"""


class ActiveMQ(JavaBroker):
    """ActiveMQ Classic."""

    name = "ActiveMQ"
    install = "apt-get install -y --no-install-recommends activemq default-jre-headless"

    def _missing(self) -> str:
        return "" if JAR.exists() else str(JAR)

    def _arguments(self) -> list[str]:
        base = self.base
        return [
            "-Dactivemq.home=/usr/share/activemq",
            f"-Dactivemq.base={base}",
            f"-Dactivemq.conf={base}/conf",
            f"-Dactivemq.data={base}/data",
            f"-Djava.io.tmpdir={base}/tmp",
            "-jar",
            str(JAR),
            "start",
            f"xbean:file:{base}/conf/activemq.xml",
        ]

    def _write_config(self) -> None:
        for name in ("conf", "data", "tmp"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        options = [] if self._max_frame_size is None else [f"wireFormat.maxFrameSize={self._max_frame_size}"]
        uris = {"stomp": f"stomp://{self.host}:{self.port}?{'&'.join(options)}"}
        ssl = plugins = ""
        if self._keystore is not None:
            stores = self._store("key", self._keystore)
            tls = ["transport.enabledProtocols=TLSv1.2,TLSv1.3", *options]
            uris["tls"] = f"stomp+ssl://{self.host}:{self.tls_port}?{'&'.join(tls)}"
            if self._truststore is not None:
                stores += self._store("trust", self._truststore)
                mutual = "&".join([*tls, "transport.needClientAuth=true"])
                uris["mutual"] = f"stomp+ssl://{self.host}:{self.mutual_port}?{mutual}"
            ssl = f"<sslContext><sslContext {stores}/></sslContext>"
        if self.user is not None:
            who = f"username={quoteattr(self.user)} password={quoteattr(self.password or '')}"
            user = f'<authenticationUser {who} groups="users"/>'
            plugins = (
                '<plugins><simpleAuthenticationPlugin anonymousAccessAllowed="false">'
                f"<users>{user}</users></simpleAuthenticationPlugin></plugins>"
            )
        text = _XML.format(
            data=quoteattr(f"{self.base}/data"),
            kahadb=quoteattr(f"{self.base}/data/kahadb"),
            plugins=plugins,
            ssl=ssl,
            connectors="".join(
                f"<transportConnector name={quoteattr(k)} uri={quoteattr(v)}/>" for k, v in uris.items()
            ),
        )
        (self.base / "conf" / "activemq.xml").write_text(text)

    @staticmethod
    def _store(what: str, path: Path) -> str:
        return (
            f' {what}Store={quoteattr(f"file:{path}")} {what}StoreType="PKCS12" {what}StorePassword="{STORE_PASSWORD}"'
        )
