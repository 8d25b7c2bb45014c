"""From the configuration to the broker link's own settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor import configfiles
from supervisor.broker import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.settings_messages import Broker


def link_settings(broker: Broker, environ: Mapping[str, str]) -> BrokerSettings:
    """Return where the broker is and how it is spoken to, with the password out of its file.

    Args:
        broker: a section that names at least one address.
        environ: the environment of the service; systemd names the folder of credentials in it.

    Raises:
        PasswordError: the password cannot be had.
        ValueError: a value cannot stand in a STOMP header.
    """
    return BrokerSettings(
        hosts=tuple((address.host, address.port, address.tls) for address in broker.addresses),
        user=broker.user or None,
        password=configfiles.password(broker, environ) or None,
        heartbeat_ms=int(broker.heartbeat * 1000),
        prefetch=broker.prefetch,
        connect_timeout=broker.connect_timeout,
        receipt_timeout=broker.receipt_timeout,
        ca_file=broker.ca_file or None,
        cert_file=broker.cert_file or None,
        key_file=broker.key_file or None,
        vhost=broker.vhost or None,
        text_messages=broker.text_messages,
        kind=broker.kind,
    )
