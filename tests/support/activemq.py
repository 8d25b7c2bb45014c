"""A real ActiveMQ Classic (Debian's package) for tests: own folders, own port on loopback, in the foreground.

The broker dies with the test process (PDEATHSIG through setpriv), so start it on the main thread.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from xml.sax.saxutils import quoteattr

from waiting import wait_until

JAR = Path("/usr/share/activemq/bin/activemq.jar")
INSTALL = "apt-get install -y --no-install-recommends activemq"

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


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class ActiveMQ:
    """One broker; `start` again after `stop` or `kill` finds the same port and the same messages.

    Args:
        base: A folder of its own, made if missing.
        max_frame_size: Bytes of the largest frame it takes, or None for its default.
        user: With `password`, the only credentials it takes; else everybody may connect.
        keystore: A PKCS12 file (password "secret") for a TLS connector on `tls_port`.
    """

    def __init__(
        self,
        base: Path,
        *,
        max_frame_size: int | None = None,
        user: str | None = None,
        password: str | None = None,
        keystore: Path | None = None,
    ) -> None:
        self.base = base
        self.host = "127.0.0.1"
        self.port = free_port()
        self.tls_port = free_port() if keystore is not None else None
        self.user = user
        self.password = password
        self._max_frame_size = max_frame_size
        self._keystore = keystore
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The broker's process id; it must run."""
        assert self._process is not None, "the broker does not run"
        return self._process.pid

    def start(self, timeout: float = 90.0) -> None:
        """Start it and wait until it answers CONNECT on each port."""
        missing = [name for name in ("java", "setpriv") if shutil.which(name) is None]
        if not JAR.exists() or missing:
            raise AssertionError(f"these tests need a real ActiveMQ ({missing or JAR} is missing); run: {INSTALL}")
        assert self._process is None, "the broker runs already"
        self._write_config()
        with open(self.base / "broker.log", "ab") as log:
            self._process = subprocess.Popen(  # the process lives until stop() or kill()
                ["setpriv", "--pdeathsig", "KILL", "java", "-Xms64m", "-Xmx256m", *self._java_settings()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.base,
            )
        try:
            wait_until(lambda: self._answers(self.port), timeout, f"ActiveMQ on port {self.port}")
            if self.tls_port is not None:
                wait_until(lambda: self._listens(self.tls_port), timeout, f"ActiveMQ TLS on port {self.tls_port}")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}; the end of its log:\n{self.log_tail()}") from None

    def stop(self) -> None:
        """End it in order (SIGTERM); it must run."""
        self._end(signal.SIGTERM, timeout=60)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL); harmless when it does not run."""
        if self._process is not None:
            self._end(signal.SIGKILL, timeout=30)

    def restart(self) -> None:
        """Kill it and start it anew on the same port and data."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): its sockets stay open and mute."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, characters: int = 3000) -> str:
        """Return the end of what it printed."""
        return (self.base / "broker.log").read_text(errors="replace")[-characters:]

    def _end(self, signum: int, timeout: float) -> None:
        process, self._process = self._process, None
        assert process is not None, "the broker does not run"
        process.send_signal(signum)
        if signum != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)

    def _answers(self, port: int) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"ActiveMQ ended with status {self._process.returncode}")
        credentials = f"login:{self.user}\npasscode:{self.password}\n" if self.user is not None else ""
        try:
            with socket.create_connection((self.host, port), 5) as probe:
                probe.sendall(f"CONNECT\naccept-version:1.2\nhost:test\n{credentials}\n\0".encode())
                return probe.recv(64).startswith(b"CONNECTED")
        except OSError:
            return False

    def _listens(self, port: int) -> bool:
        try:
            with socket.create_connection((self.host, port), 5):
                return True
        except OSError:
            return False

    def _java_settings(self) -> list[str]:
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
            keystore = quoteattr(f"file:{self._keystore}")
            ssl = f'<sslContext><sslContext keyStore={keystore} keyStoreType="PKCS12" keyStorePassword="secret"/></sslContext>'
            tls = ["transport.enabledProtocols=TLSv1.2,TLSv1.3", *options]
            uris["tls"] = f"stomp+ssl://{self.host}:{self.tls_port}?{'&'.join(tls)}"
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
