"""Dialling a broker: TCP, and TLS that is verified before the first byte of STOMP; no broker library in here."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.broker import BrokerSettings


#: OpenSSL's codes of a certificate that is not trusted (x509_vfy.h), and what to do about each; else it is the CA.
_OUT_OF_DATE = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, ..._HAS_EXPIRED
_OTHER_NAME = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, ..._IP_ADDRESS_MISMATCH


class DialError(Exception):
    """No connection could be made; the sentence names the broker or the file, the cause and the remedy."""


def _as_it_is(data: bytes) -> bytes:
    return data


class PlainSocket(socket.socket):
    """Tells what bytes come, as the library that reads from it tells of whole frames only."""

    #: Called with each read that brought something, on the thread that reads; returns what the library is to read.
    heard: Callable[[bytes], bytes] = staticmethod(_as_it_is)
    alert = ""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read; see `socket.recv`."""
        data = super().recv(buflen, flags)
        return self.heard(data) if data else data


class TlsSocket(ssl.SSLSocket):
    """The same, and remembers by which alert the peer ended TLS, of which the library tells nobody."""

    heard: Callable[[bytes], bytes] = staticmethod(_as_it_is)
    alert = ""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read; see `ssl.SSLSocket.recv`."""
        try:
            data = super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.alert = self.alert or _cause(error)
            raise
        return self.heard(data) if data else data


def explain_alert(alert: str, settings: BrokerSettings) -> str:
    """Return an alert with its remedy, where there is one (pure).

    With TLS 1.3 a broker that wants a certificate of its client says so only after the handshake; Java's calls a
    missing one bad.
    """
    if "certificate" not in alert.lower():
        return alert
    if settings.cert_file is None:
        return f"{alert}; it asks for a certificate of ours: set broker cert_file and key_file"
    return f'{alert}; it does not take our certificate: check broker cert_file "{settings.cert_file}"'


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
    context.sslsocket_class = TlsSocket
    if settings.cert_file is not None:
        try:
            # An empty password instead of none: OpenSSL would ask for one at the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except (OSError, ValueError) as error:
            raise DialError(
                f'broker cert_file "{settings.cert_file}" and its key are no unencrypted PEM pair: {error}'
            ) from error
    return context


def dial(host: str, port: int, *, tls: bool, settings: BrokerSettings) -> PlainSocket | TlsSocket:
    """Return a connected socket, for TLS with the handshake done and the peer's name verified.

    Raises:
        DialError: It could not be made; never is anything sent in clear to a TLS host.
    """
    context = tls_context(settings) if tls else None
    name = f"{host}:{port}"
    try:
        plain = _connected(host, port, settings.connect_timeout)
    except (OSError, ValueError) as error:  # ValueError: a name that is no host name (IDNA)
        raise DialError(f"cannot connect to broker {name}: {_cause(error)}") from error
    try:
        _watch_by_kernel(plain, settings)
        if context is None:
            plain.settimeout(None)
            return plain
        secured = context.wrap_socket(plain, server_hostname=host)
        assert isinstance(secured, TlsSocket)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise DialError(f"broker {name} is not trusted: {_distrust(error, settings)}") from error
    except (OSError, ValueError) as error:
        plain.close()
        why = _cause(error)
        if isinstance(error, TimeoutError):
            why = f"{why}; does it speak TLS on this port?"
        elif isinstance(error, ssl.SSLError):
            why = explain_alert(why, settings)
        raise DialError(f"TLS handshake with broker {name} failed: {why}") from error
    secured.setblocking(False)
    return secured


def _connected(host: str, port: int, seconds: float) -> PlainSocket:
    with socket.create_connection((host, port), seconds) as made:
        plain = PlainSocket(fileno=made.detach())
    plain.settimeout(seconds)
    return plain


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


def _distrust(error: ssl.SSLCertVerificationError, settings: BrokerSettings) -> str:
    """Return why a certificate is not trusted, and what to do."""
    why = error.verify_message.rstrip(".")
    if error.verify_code in _OUT_OF_DATE:
        return f"{why}; renew the broker's certificate, or set the clock of this host"
    if error.verify_code in _OTHER_NAME:
        return f"{why}; write the name that its certificate bears in broker url"
    signers = (
        f'broker ca_file "{settings.ca_file}"' if settings.ca_file is not None else "the system (no broker ca_file)"
    )
    return f"{why}; it was signed by none of {signers}: name the authority that signed it"


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLEOFError):
        return "it closed the connection"
    if isinstance(error, ssl.SSLError) and error.reason:
        return _reason(error.reason)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _reason(reason: str) -> str:
    """Return OpenSSL's name of a reason as words: "TLSV13_ALERT_CERTIFICATE_REQUIRED" is "certificate required"."""
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
        return "it does not speak TLS there"
    return re.sub(r"^(TLSV1|TLSV13|SSLV3)_(ALERT_)?", "", reason).replace("_", " ").lower()
