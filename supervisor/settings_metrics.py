"""Settings of the numbers for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, StrictBool, StrictStr

from supervisor.metricslisten import parse_listen
from supervisor.settingtypes import Section, setting

if TYPE_CHECKING:
    from collections.abc import Iterator


def _listen(value: str) -> str:
    if value:
        parse_listen(value)
    return value


class Metrics(Section):
    """Numbers for Prometheus; off unless `listen` is set."""

    RESTART: ClassVar[bool] = True

    listen: Annotated[StrictStr, AfterValidator(_listen)] = setting(
        "",
        'Address and port at which the numbers can be scraped, for example "127.0.0.1:9464" or "[::1]:9464". Empty '
        "serves none.",
    )
    public: StrictBool = setting(
        False,
        "Allow an address that other hosts reach. Whoever reaches it can read the numbers: there is no password and no "
        "TLS.",
    )

    def contradictions(self) -> Iterator[str]:
        """Yields what cannot stand together."""
        if self.listen and not self.public and not parse_listen(self.listen).loopback:
            yield (
                f"listen ({self.listen}) may be reached from other hosts, without password or TLS: write for example "
                '"127.0.0.1:9464", or set public = true'
            )
