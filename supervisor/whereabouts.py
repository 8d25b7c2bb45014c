"""Where a service has its run directory, as its configuration says: read in a moment, and without a judgement.

`status` and `check` are asked every few seconds, and must answer while a configuration is being edited and wrong; the
whole model of the configuration would take longer to load than all that they do. Standard library only.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

#: Where the configuration is looked for when no file is named.
CONFIG: str = "/etc/autoreduce/supervisor.toml"
#: The run directory where the configuration names none.
RUN_DIR: str = "/run/autoreduce-supervisor"
#: Longest file that is read, bytes.
_LONGEST = 1024 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--config`."""
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {CONFIG})")


def run_dir(path: str | None) -> str | None:
    """Return the run directory of a configuration.

    Args:
        path: the file; None for the default one, which need not be there.

    Returns:
        The folder; None where it cannot be told without a judgement of the whole file, which then has the words for it.
    """
    try:
        with open(path or CONFIG, "rb") as file:
            data = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return RUN_DIR if path is None else None
    except OSError:
        return None
    try:
        document: dict[str, Any] = tomllib.loads(data.decode()) if len(data) <= _LONGEST else {"service": None}
    except ValueError:  # TOMLDecodeError and UnicodeDecodeError are of that kind
        return None
    except RecursionError:
        return None
    service = document.get("service", {})
    named = service.get("run_dir", RUN_DIR) if isinstance(service, dict) else None
    return named.rstrip("/") if isinstance(named, str) and named.startswith("/") and "\0" not in named else None
