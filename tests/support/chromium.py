"""A real Chromium (Debian's package) for tests of pages: driven over a pipe by its DevTools protocol, without a port.

with Chromium(tmp_path) as browser:
    seen = browser.open("file:///tmp/report.html", width=400)
    assert seen.requests == []
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

INSTALL = "apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
#: Seconds; the machine may be busy with other tests.
PATIENCE = 90.0
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


@dataclass(slots=True)
class Seen:
    """What a page did when it was opened."""

    #: Addresses that it asked for besides itself.
    requests: list[str] = field(default_factory=list)
    #: What stands on its console: messages, errors, violations of its policy.
    console: list[str] = field(default_factory=list)


class Chromium:
    """One headless browser with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Start below `folder`; without the package the test fails with the command that brings it."""
        program = shutil.which("chromium")
        assert program, f"chromium is missing; as root: {INSTALL}"
        ours, theirs = os.pipe(), os.pipe()  # what we write, what we read
        self._log = open(folder / "chromium.log", "wb")  # noqa: SIM115  closed in `close`
        flags = [*_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={folder / 'chromium'}"]
        # It reads from descriptor 3 and writes to 4.
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}', "chromium", program, *flags, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(ours[0], theirs[1]),
            start_new_session=True,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._write, self._read = ours[1], theirs[0]
        self._buffer = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._session = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(AssertionError, OSError):
            self._session = ""
            self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._log.close()

    def open(self, address: str, *, width: int, dark: bool = False) -> Seen:
        """Open a page in a window of `width` pixels, wait until it is loaded, and tell what it did."""
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Security"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self._events.clear()
        self.call("Page.navigate", url=address)
        self._await("Page.loadEventFired")
        # What a page asks for after it was loaded is asked for within a frame or two.
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return self._seen(address)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        wanted, deadline = self._number, time.monotonic() + PATIENCE
        while True:
            said = self._hear(deadline, method)
            if said.get("id") == wanted:
                assert "error" not in said, f"{method}: {said['error']}"
                result: dict[str, Any] = said["result"]
                return result
            self._events.append(said)

    def _await(self, event: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not any(said.get("method") == event for said in self._events):
            self._events.append(self._hear(deadline, event))

    def _hear(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"chromium did not answer {what} within {PATIENCE:g} s"
            data = os.read(self._read, 1 << 16)
            assert data, f"chromium ended; see {self._log.name}"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def _seen(self, address: str) -> Seen:
        seen = Seen()
        for event in self._events:
            method, said = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent" and said["request"]["url"] != address:
                seen.requests.append(said["request"]["url"])
            elif method == "Log.entryAdded":
                seen.console.append(said["entry"]["text"])
            elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                seen.console.append(json.dumps(said)[:500])
        return seen
