"""The broker's password: from a file or a systemd credential, never from argv, environment or config (systemd.exec(5))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.settings_messages import Broker


def password(broker: Broker) -> str | None:
    """Return the password of the broker's account, or None when it logs in without one.

    Raises:
        OSError: the file or credential cannot be read.
    """
    path = broker.password_file
    if broker.credential:
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise FileNotFoundError(2, "there is no CREDENTIALS_DIRECTORY; start under systemd with LoadCredential=")
        path = os.path.join(folder, broker.credential)
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return file.readline().rstrip("\r\n")
