"""The brokers of etc/broker/, with this machine's ports and a test's keystore; nothing in the files is changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activemq import ActiveMQ
from artemis import _LOGIN, Artemis
from javabroker import STORE_PASSWORD

if TYPE_CHECKING:
    from javabroker import JavaBroker

SHIPPED = Path(__file__).resolve().parents[2] / "etc" / "broker"
#: User to password; the first is the supervisor's, whom the starter asks with.
USERS = {"autoreduce": "for-Reducers", "producer": "for-Producers"}
GROUPS = {"autoreduce": "reducers", "producer": "producers"}


class _Shipped:
    """What both have in common."""

    def __init__(self, base: Path, **settings: Any) -> None:
        super().__init__(base, user="autoreduce", password=USERS["autoreduce"], **settings)

    def _properties(self) -> list[str]:
        assert isinstance(self, ActiveMQ | Artemis)
        values = {
            "stomp.address": "127.0.0.1",
            "stomp.port": self.port,
            "stomp.tls.port": self.tls_port,
            "keystore.password": STORE_PASSWORD,
        }
        return [f"-D{name}={value}" for name, value in values.items()]


class ShippedClassic(_Shipped, ActiveMQ):
    """etc/broker/activemq-classic.xml."""

    def _arguments(self) -> list[str]:
        return [*self._properties(), *super()._arguments()]

    def _write_config(self) -> None:
        for name in ("conf", "data", "tmp"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        assert self._keystore is not None
        shutil.copy(self._keystore, self.base / "conf" / "broker.p12")
        shutil.copy(SHIPPED / "activemq-classic.xml", self.base / "conf" / "activemq.xml")
        lines = [f"{user}.password={password}\n" for user, password in USERS.items()]
        (self.base / "conf" / "credentials.properties").write_text(
            "".join([*lines, f"keystore.password={STORE_PASSWORD}\n"])
        )


class ShippedArtemis(_Shipped, Artemis):
    """etc/broker/artemis-broker.xml."""

    def _arguments(self) -> list[str]:
        more = {
            "data.dir": self.base / "data",
            "journal.type": "NIO",
            "disk.usage": 99,
            "keystore.path": self._keystore,
        }
        return [*self._properties(), *(f"-D{name}={value}" for name, value in more.items()), *super()._arguments()]

    def _write_config(self) -> None:
        for name in ("etc", "data", "tmp"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        etc = self.base / "etc"
        shutil.copy(SHIPPED / "artemis-broker.xml", etc / "broker.xml")
        (etc / "login.config").write_text(_LOGIN.format(folder=etc))
        (etc / "users.properties").write_text("".join(f"{user}={word}\n" for user, word in USERS.items()))
        (etc / "roles.properties").write_text("".join(f"{group}={user}\n" for user, group in GROUPS.items()))


BROKERS: dict[str, type[JavaBroker]] = {"classic": ShippedClassic, "artemis": ShippedArtemis}
