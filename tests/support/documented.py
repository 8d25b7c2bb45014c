"""The commands that the documentation tells people to type, as they stand in its pages."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "SECURITY.md"]
#: Every block, so that the end of one is never taken for the beginning of another; and those that are typed.
_BLOCK = re.compile(r"^[ ]*```([^`\n]*)\n(.*?)^[ ]*```", re.DOTALL | re.MULTILINE)
_SHELLS = ("sh", "console", "text", "")
_TYPED = re.compile(r"\s*(?:\$ |# )?(?:sudo -u \S+ )?(?:\S*/)?(autoreduce-supervisor .*)")
#: In a sentence a verb alone is a name; with arguments it is a command.
_INLINE = re.compile(r"`(?:sudo -u \S+ )?(?:\S*/)?(autoreduce-supervisor [^`\n ]+ [^`\n]*)`")


@dataclass(frozen=True)
class Typed:
    """One command, and the page that has it first."""

    page: str
    words: tuple[str, ...]

    @property
    def verb(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands() -> list[Typed]:
    """Every command, once, without its `--config`; a synopsis ("VERB [OPTION ...]", "doctor ...") is none."""
    found: dict[tuple[str, ...], Typed] = {}
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        blocks = [block for language, block in _BLOCK.findall(text) if language.strip() in _SHELLS]
        lines = [match[1] for block in blocks for match in map(_TYPED.match, block.split("\n")) if match]
        for line in lines + _INLINE.findall(text):
            if "[-h]" in line or "..." in line:
                continue
            words = tuple(shlex.split(line, comments=True)[1:])
            if "--config" in words:  # it is named, or it is the default: the same command
                at = words.index("--config")
                words = words[:at] + words[at + 2 :]
            if words:
                found.setdefault(words, Typed(path.name, words))
    return list(found.values())
