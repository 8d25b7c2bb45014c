"""Settings of how the service is seen: its log."""

from __future__ import annotations

from typing import ClassVar, Literal

from supervisor.settingtypes import Section, setting


class Log(Section):
    """The log of the service; where it goes is `service.log`."""

    RESTART: ClassVar[bool] = True

    format: Literal["text", "json"] = setting(
        "text",
        '"text" writes lines for people, "json" one object in each line. In the journal a line bears its priority, and '
        "text no time, since the journal has both.",
    )
