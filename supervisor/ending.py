"""How one promoter ended: the words shared by promotion and merging."""

from __future__ import annotations

from enum import StrEnum


class Ending(StrEnum):
    """How one promoter ended."""

    #: Every target holds this epoch or a newer one, and `promoted` says done.
    DONE = "done"
    #: Another promoter ended it, or has the staging: nothing is concluded here.
    LEFT = "left"
    #: Neither staging nor result is seen from this host: left to one that offers this root.
    UNSEEN = "unseen"
    #: A target belongs to another RB.
    REFUSED = "refused"
