"""The race for write-once records: two hosts link the same names at once, and each name has exactly one winner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from supervisor.probestage import bad, good, odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.checkup import Finding
    from supervisor.probestage import Pair, Stage

#: Cells of a full probe.
FULL: Final = 1000
#: After so many cells the sides wait for each other, so that the faster one does not run away.
_TOGETHER: Final = 25
#: Cells that are named in a sentence.
_NAMED: Final = 5


def race(stage: Stage) -> dict[str, Any]:
    """Link every cell while the other side does the same, then read who stands in each."""
    meeting, tools = stage.meeting, stage.tools
    paths = [meeting.work("cells", str(number)) for number in range(stage.terms.cells)]
    won = []
    for number, path in enumerate(paths):
        if number % _TOGETHER == 0:
            meeting.together(f"cells {number}")
        meeting.presence.beat()
        won.append(tools.link(path, f"{stage.side} {number}".encode()))
    meeting.together("cells over")
    read = []
    for path in paths:
        meeting.presence.beat()
        read.append((tools.read(path) or b"-")[:1].decode("ascii", "replace"))
    meeting.together("cells read")
    return {"won": "".join("1" if each else "0" for each in won), "read": "".join(read)}


def judge_race(pair: Pair) -> Iterator[Finding]:
    """Say whether each cell had one winner, and both know who."""
    name = "write-once records"
    a, b = pair.a, pair.b
    cells = list(zip(a["won"], b["won"], a["read"], b["read"], strict=True))
    both = [number for number, (one, two, _, _) in enumerate(cells) if one == two == "1"]
    none = [number for number, (one, two, _, _) in enumerate(cells) if one == two == "0"]
    apart = [number for number, (_, _, one, two) in enumerate(cells) if one != two]
    untold = [
        number
        for number, (one, _, read, agreed) in enumerate(cells)
        if number not in {*both, *none, *apart} and not (read == agreed == ("a" if one == "1" else "b"))
    ]
    wrong = [
        f"{len(found)} {what} (cell {', '.join(str(number) for number in found[:_NAMED])})"
        for what, found in (
            ("had two winners", both),
            ("had none", none),
            ("read differently on the two hosts", apart),
            ("hold another than the winner", untold),
        )
        if found
    ]
    if wrong:
        yield bad(name, f"of {len(cells)} records that both hosts linked, {'; '.join(wrong)}")
        return
    count = a["won"].count("1")
    text = (
        f"{len(cells)} linked by both at once, each with one winner that both read: {count} by {pair.hosts['a']}, "
        f"{len(cells) - count} by {pair.hosts['b']}"
    )
    if not 0 < count < len(cells):
        yield odd(name, f"{text}; the hosts did not race closely")
    elif len(cells) < FULL:
        yield odd(name, f"{text}; a full probe races for {FULL}", "leave --cells away")
    else:
        yield good(name, text)
