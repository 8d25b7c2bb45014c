"""The tree of one box, drawn in two parts.

The *ground* is what this host alone decides: the distribution, devices, the box's own places. It is made while the
shepherd still looks at the archive. The *whole* adds the interpreter, the data and what else the instrument declared.
That may lie on a shared file system, where a look can hang for ever, and may not be there yet; so nobody looks at it
before the box is let go.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox import tree
from sandbox.tree import Bind, Tree, TreeFacts, plan_tree

if TYPE_CHECKING:
    from sandbox.enclosure import Enclosure

#: Our own places. A host that has a link on the way to one may show its interpreter by that link, and then our place
#: lies where it leads: which is known only when the interpreter is.
_OWN: Final = (tree.OUT, tree.HOME, tree.TMP, tree.HANDOFF, tree.WORK, tree.SCRIPT, tree.HARNESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What is shown for the data files: folders, and files that come alone."""

    folders: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is added to a ground if this is what is shown for the data files."""

    tree: Tree
    data: Data


def ground(made: Enclosure) -> Tree | None:
    """Returns what can be made before the box is let go; None where that depends on the interpreter's own links."""
    return None if tree.has_links(_OWN) else plan_tree(_facts(made))


def whole(made: Enclosure, data: Data) -> Tree:
    """Returns all that a box shows.

    Raises:
        ValueError: something cannot be shown where it is.
    """
    return plan_tree(
        _facts(
            made,
            interpreter=made.interpreter,
            interpreter_links=made.links,
            data=data.folders,
            readable=(*data.files, *made.readable),
            hidden=made.hidden,
        )
    )


def expected(made: Enclosure, ground: Tree) -> Rest | None:
    """Returns what will be added to a ground unless a data file leads elsewhere; looks at nothing.

    What cannot be shown is told when it is to be.
    """
    data = _named(made.data)
    with contextlib.suppress(ValueError):
        return Rest(tree=tree.beyond(whole(made, data), ground), data=data)
    return None


def rest(made: Enclosure, ground: Tree, guess: Rest | None) -> Tree:
    """Returns what has to be added to a ground; looks where the data files lead to.

    Raises:
        ValueError: something cannot be shown where it is.
    """
    data = look(made.data)
    return guess.tree if guess and guess.data == data else tree.beyond(whole(made, data), ground)


def look(paths: tuple[str, ...]) -> Data:
    """Returns what is shown for data files: a link comes with what it leads to."""
    named = _named(paths)
    files = dict.fromkeys(named.files)
    for path in paths:
        real = os.path.realpath(path)
        if real != path and not tree.lies_below(real, os.path.dirname(path)):
            files[real] = None
    return Data(folders=named.folders, files=tuple(files))


def _named(paths: tuple[str, ...]) -> Data:
    """Returns the folders of data files; a file that lies where a box has a place of its own comes alone."""
    folders: dict[str, None] = {}
    files: dict[str, None] = {}
    for path in paths:
        folder = os.path.dirname(path)
        free = tree.is_free(folder)
        (folders if free else files)[folder if free else path] = None
    return Data(folders=tuple(folders), files=tuple(files))


def _facts(made: Enclosure, **shown: Any) -> TreeFacts:
    return TreeFacts(
        system=tree.host_system(),
        etc=tree.host_etc(network=made.network),
        processors=tree.host_processors(),
        uid=os.geteuid(),
        gid=os.getegid(),
        hostname=tree.HOSTNAME,
        out=made.folder("out"),
        home=made.folder("home"),
        handoff=made.folder("handoff"),
        more=(
            Bind(source=made.folder("work"), target=tree.WORK, writable=True),
            Bind(source=made.folder("script"), target=tree.SCRIPT, writable=True),
            Bind(source=made.harness, target=tree.HARNESS),
        ),
        tmp_size=made.tmp.size,
        tmp_inodes=made.tmp.inodes,
        network=made.network,
        fresh_proc="pid" in made.guards,
        **shown,
    )
