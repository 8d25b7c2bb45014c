"""What `doctor` does at the broker: connects to each address, logs in, and leaves again without taking a message."""

from __future__ import annotations

import ipaddress
import ssl
import time
from typing import TYPE_CHECKING, Final

from sandbox.limits import format_duration
from supervisor.brokerdial import DialError, dial
from supervisor.brokerfrom import link_settings
from supervisor.brokersession import Session, SessionRefused
from supervisor.brokerwire import Wire
from supervisor.checkup import Finding, Status, caution, failed, passed
from supervisor.configfiles import PasswordError
from supervisor.receipts import Doubts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.broker import BrokerSettings, Event
    from supervisor.brokerdial import PlainSocket, TlsSocket
    from supervisor.brokerurl import BrokerAddress
    from supervisor.settings_messages import Broker

_AREA: Final = "broker"


def none() -> Finding:
    """Return what is to be said where the configuration names no broker."""
    return passed(_AREA, "none", "the configuration names no broker; runs come from `submit` alone")


def findings(broker: Broker, environ: Mapping[str, str]) -> list[Finding]:
    """Try every address.

    Args:
        broker: a section that names at least one.
        environ: see `brokerfrom.link_settings`.
    """
    try:
        settings = link_settings(broker, environ)
    except (PasswordError, ValueError) as error:
        return [failed(_AREA, "password", str(error), "write the password as broker.password_file says")]
    return judged([_try(address, settings) for address in broker.addresses])


def judged(found: list[Finding]) -> list[Finding]:
    """Return the findings of all addresses (pure): one that fails is no more than a caution while another works."""
    if all(each.status is Status.FAIL for each in found):
        return found
    return [caution(_AREA, each.name, each.text, each.remedy) if each.status is Status.FAIL else each for each in found]


def _try(address: BrokerAddress, settings: BrokerSettings) -> Finding:
    name = str(address)
    try:
        sock = dial(address.host, address.port, tls=address.tls, settings=settings)
    except DialError as error:
        return failed(_AREA, name, str(error), "correct broker.url, start the broker, or open its port")
    secured = _secured(sock)
    events: list[Event] = []
    wire = Wire(sock, address.host, address.port, settings, time.monotonic)
    session = Session(
        wire,
        generation=1,
        host=f"{address.host}:{address.port}",
        settings=settings,
        subscriptions=(),
        emit=events.append,
        doubts=Doubts(),
        clock=time.monotonic,
    )
    try:
        server = session.open(())
        session.leave()
        session.run()
    except SessionRefused as refused:
        remedy = "correct broker.user and its password, or give the user its rights" if refused.slow else ""
        return failed(_AREA, name, settings.redact(str(refused)), remedy)
    finally:
        session.settle()
    who = f"logged in as {settings.user}" if settings.user else "logged in without a name"
    what = session.kind.describe(settings.prefetch)
    text = f"{server or 'a broker without a name'} ({what}), {who}, {secured or 'in clear text'}"
    trouble = [str(getattr(event, "text", "")) for event in events if hasattr(event, "text")]
    if not address.tls and not is_loopback(address.host):
        remedy = f'offer TLS there and write broker.url = "stomp+ssl://{address.host}:61614"'
        return caution(_AREA, name, f"{text}: the password and all scripts can be read on the way", remedy)
    return caution(_AREA, name, "; ".join((text, *trouble))) if trouble else passed(_AREA, name, text)


def is_loopback(host: str) -> bool:
    """Say whether a host is this one, by its name (pure)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _secured(sock: PlainSocket | TlsSocket) -> str:
    """Return the TLS of a connection in words, "" for none."""
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    return f"{sock.version()}, {_validity(sock.getpeercert() or {}, time.time())}"


def _validity(certificate: Mapping[str, object], now: float) -> str:
    until = certificate.get("notAfter")
    if not isinstance(until, str):
        return "its certificate trusted"
    left = ssl.cert_time_to_seconds(until) - now
    return f"its certificate good for {format_duration(max(0.0, left // 86400 * 86400))}"
