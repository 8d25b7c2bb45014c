"""Dialling a broker: TCP, and TLS that is verified before the first byte of STOMP; no broker library in here."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.broker import BrokerSettings


class DialError(Exception):
    """No connection could be made; the sentence names the broker or the file, the cause and the remedy."""


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """Return a verifying client context, with the files read afresh so that renewed certificates count.

    Raises:
        DialError: A file is missing, unreadable or not what it should be.
    """
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(settings, name)
        if path is not None:
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise DialError(f'cannot read broker {name} "{path}": {error.strerror}') from error
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError) as error:
        raise DialError(f'broker ca_file "{settings.ca_file}" holds no PEM certificate: {error}') from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file is not None:
        try:
            # An empty password instead of none: OpenSSL would ask for one at the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except (OSError, ValueError) as error:
            raise DialError(
                f'broker cert_file "{settings.cert_file}" and its key are no unencrypted PEM pair: {error}'
            ) from error
    return context


def dial(host: str, port: int, *, tls: bool, settings: BrokerSettings) -> socket.socket:
    """Return a connected socket, for TLS with the handshake done and the peer's name verified.

    Raises:
        DialError: It could not be made; never is anything sent in clear to a TLS host.
    """
    context = tls_context(settings) if tls else None
    name = f"{host}:{port}"
    try:
        plain = socket.create_connection((host, port), settings.connect_timeout)
    except (OSError, ValueError) as error:  # ValueError: a name that is no host name (IDNA)
        raise DialError(f"cannot connect to broker {name}: {_cause(error)}") from error
    try:
        _watch_by_kernel(plain, settings)
        if context is None:
            plain.settimeout(None)
            return plain
        secured = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise DialError(
            f"broker {name} is not trusted: {error.verify_message}; check broker ca_file and the host name"
        ) from error
    except (OSError, ValueError) as error:
        plain.close()
        raise DialError(f"TLS handshake with broker {name} failed: {_cause(error)}") from error
    secured.setblocking(False)
    return secured


def _watch_by_kernel(sock: socket.socket, settings: BrokerSettings) -> None:
    # tcp(7). Beats and receipts find a dead peer first; this finds it where a broker answers "heart-beat:0,0".
    seconds = max(1, settings.heartbeat_ms // 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    # Well behind our own limits: what the kernel ends looks like a close by the broker, which would blame a message.
    patience = 2 * settings.receipt_timeout + seconds * settings.silence_factor
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
