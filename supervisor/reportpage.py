"""The page of a report: one HTML file that needs nothing but itself, and in which every text is a stranger's (pure).

No script, no font, no picture from anywhere; the policy in its head forbids them, and allows the one style sheet by its
digest (CSP level 3). Texts come in through `esc` alone: controls and bidirectional overrides become visible escapes,
what HTML would obey becomes entities, and everything has a bound.
"""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervisor import shown
from supervisor.reportstyle import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Longest text of a cell or a sentence, and of one line of a log, in characters.
_TEXT: Final = 2000
_LINE: Final = 500
#: Lines of a log, and its characters in all.
_LINES: Final = 400
_LOG: Final = 64 * 1024
#: Cells up to this length stand on one line, in characters.
_SHORT: Final = 20
#: A table with more columns becomes cards on a narrow screen.
_COLUMNS: Final = 4

_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One section of a page; `body` is HTML that was made here."""

    title: str
    body: str


def esc(text: object, longest: int = _TEXT) -> str:
    """Return a text as HTML: on one line, bounded, nothing in it obeyed by a browser."""
    return html.escape(shown.line(text, longest), quote=True)


def page(*, title: str, lead: str, parts: Sequence[Part], made: str) -> str:
    """Return the whole page.

    Args:
        title: what the page is about, plain text.
        lead: HTML under the title.
        parts: the sections.
        made: when and by what it was made, plain text.
    """
    sections = "\n".join(
        f'<section aria-labelledby="part-{n}"><h2 id="part-{n}">{esc(part.title)}</h2>\n{part.body}\n</section>'
        for n, part in enumerate(parts)
        if part.body
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{esc(title, 200)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header>\n<h1>{esc(title, 300)}</h1>\n{lead}\n</header>\n{sections}\n</main>\n"
        f"<footer><p>{esc(made)}</p></footer>\n</body>\n</html>\n"
    )


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()) -> str:
    """Return a table; empty for no rows.

    Args:
        caption: what it shows, for those who cannot see where it stands.
        head: names of the columns.
        rows: cells as plain text; the first of each row names it.
        numbers: columns that hold numbers.
    """
    if not rows:
        return ""

    def attributes(column: int, cell: object, role: str) -> str:
        # A short word or a time is not broken; a long text is.
        css = ' class="n"' if column in numbers else ' class="s"' if len(str(cell)) <= _SHORT else ""
        # As cards a table is no table to a screen reader any more, unless it says so itself.
        return css if len(head) <= _COLUMNS else f'{css} role="{role}" data-label="{esc(head[column])}"'

    stack = len(head) > _COLUMNS
    row_role, of_table = (' role="row"', ' class="stack" role="table"') if stack else ("", "")
    heads = "".join(
        f'<th scope="col"{attributes(n, cell, "columnheader")}>{esc(cell)}</th>' for n, cell in enumerate(head)
    )
    body = "\n".join(
        f"<tr{row_role}>"
        + "".join(
            f'<th scope="row"{attributes(n, cell, "rowheader")}>{esc(cell)}</th>'
            if n == 0
            else f"<td{attributes(n, cell, 'cell')}>{esc(cell)}</td>"
            for n, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{esc(caption)}"><table{of_table}>'
        f"<caption>{esc(caption)}</caption>\n<thead><tr{row_role}>{heads}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def facts(rows: Sequence[tuple[str, object]]) -> str:
    """Return names with their values; empty for none."""
    if not rows:
        return ""
    return "<dl>" + "\n".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in rows) + "</dl>"


def log(title: str, text: str) -> str:
    """Return the end of a log, behind a line that opens it; empty for an empty log."""
    kept = text[-_LOG:]
    rows = shown.lines(kept, _LINES)
    if not rows:
        return ""
    cut = "" if len(text) <= _LOG and len(text.splitlines()) <= _LINES else " (its end)"
    body = "\n".join(esc(row, _LINE) for row in rows)
    return (
        f"<details open><summary>{esc(title)}{cut}</summary>"
        f'<pre role="region" tabindex="0" aria-label="{esc(title)}">{body}</pre></details>'
    )


def folded(title: str, body: str) -> str:
    """Return HTML that is shown when asked for."""
    return f"<details><summary>{esc(title)}</summary>{body}</details>" if body else ""
