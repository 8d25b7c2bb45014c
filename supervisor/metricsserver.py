"""Serves scrapes in threads of its own: few at a time, each for a few seconds at most.

Nothing here knows what is scraped. A client that is slow, or says nothing, holds one of the places until its time is
over; those that come while all are held wait in the kernel's queue.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any

from supervisor.metricslisten import CannotListen

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.metricslisten import ListenAddress

log = logging.getLogger(__name__)

#: Connections at one time.
PLACES = 8
#: Seconds that a connection may last in all.
PATIENCE = 5.0
#: Seconds between two looks for connections whose time is over.
_LOOK = 0.2


class Scrape(BaseHTTPRequestHandler):
    """One request; the length goes ahead of the text, so that one that was cut off is seen to be."""

    server: MetricsServer

    def do_GET(self) -> None:
        """Answer with the numbers."""
        if self.path.partition("?")[0] not in {"/", "/metrics"}:
            self.send_error(404)
            return
        content_type, text = self.server.text(self.headers.get("Accept", ""))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log nothing: scrapes come every few seconds."""


class MetricsServer(ThreadingMixIn, HTTPServer):
    """Listens from the start; answers from `start` to `stop`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: ListenAddress, text: Callable[[str], tuple[str, bytes]]) -> None:
        """Listen at `address`.

        Args:
            address: where.
            text: returns the content type and the text of a scrape, for what its client accepts; is called by threads.

        Raises:
            CannotListen: The address is in use, or is none of this host.
        """
        self.address_family = socket.AF_INET6 if address.six else socket.AF_INET
        self.text = text
        self._places = threading.Semaphore(PLACES)
        #: Connections that are open, and when each was accepted, by the monotonic clock.
        self._open: dict[socket.socket, float] = {}
        self._guard = threading.Lock()
        try:
            super().__init__((address.host, address.port), Scrape)
        except OSError as error:
            where = f"[{address.host}]:{address.port}" if address.six else f"{address.host}:{address.port}"
            raise CannotListen(
                f'metrics.listen = "{where}": the address cannot be had ({error.strerror or error}); write another '
                "one, end what listens there, or leave the key out"
            ) from error

    def server_bind(self) -> None:
        """Bind, without asking the resolver for our name as `HTTPServer` does: a slow one would stall the start."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def start(self) -> None:
        """Answer from now on, in a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(_LOOK,), name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more; `start` was called before."""
        self.shutdown()
        self.server_close()
        self._cut(time.monotonic() + PATIENCE)

    # --- what the library calls ---------------------------------------------------------------------------------

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection when there is a place for it.

        Raises:
            OSError: There is none yet; the library asks again.
        """
        if not self._places.acquire(timeout=_LOOK):
            raise BlockingIOError
        try:
            request, client = super().get_request()
            request.settimeout(PATIENCE)
        except BaseException:
            self._places.release()
            raise
        with self._guard:
            self._open[request] = time.monotonic()
        return request, client

    def close_request(self, request: Any) -> None:
        """Close a connection, and give its place to another."""
        with self._guard:
            known = self._open.pop(request, None) is not None
            super().close_request(request)
        if known:
            self._places.release()

    def service_actions(self) -> None:
        """End the connections whose time is over; the library calls it after each look at the socket."""
        self._cut(time.monotonic())

    def _cut(self, now: float) -> None:
        with self._guard:
            late = [request for request, since in self._open.items() if now - since >= PATIENCE]
            for request in late:
                try:
                    request.shutdown(socket.SHUT_RDWR)  # frees the thread that waits for it, and that one closes it
                except OSError:
                    log.debug("A connection of a scrape was closed by its client.")

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # the library's signature
        """Note that a scrape broke off; the library would print to standard error."""
        log.debug("A scrape by %s broke off.", client_address, exc_info=sys.exc_info())
