"""The families of messages that producers send today (`reference/peers.md` §4.1; DESIGN §8). Standard library only."""

from __future__ import annotations

from enum import StrEnum


class Family(StrEnum):
    """Who speaks: what a message may say, where its run is filed and what its replies look like follow from it."""

    #: ISIS 2016: one file, the script in the message, results in the cycle's archive.
    ISIS2016 = "isis2016"
    #: ISIS 2018 to 2022: lists of files and runs, `software`, `description`, a script that may be null.
    ISIS2018 = "isis2018"
    #: SNS: `data_file` and `ipts`; the script lies on disk and is run as a program.
    SNS = "sns"
