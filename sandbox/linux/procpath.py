"""Paths as the kernel writes them into its tables: blanks and line ends as octal numbers (proc_pid_mountinfo(5))."""

from __future__ import annotations

import re
from typing import Final

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def plain(field: str) -> str:
    """Returns the path that a field of mountinfo or maps stands for."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)
