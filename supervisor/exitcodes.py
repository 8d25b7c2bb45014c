"""Exit statuses of the command, each with a sentence; one table for the code, the tests and the manual."""

from __future__ import annotations

#: The run completed or was skipped; the verb did what it was asked.
OK = 0
#: The script failed: an exception, a crash, a kill from outside, a bad handoff, a rejected output.
SCRIPT = 1
#: `doctor`: something has to be mended before this host can serve.
UNFIT = 1
#: The command line was wrong.
USAGE = 2
#: A limit ended the run.
LIMIT = 3
#: `check`: it cannot be told how the supervisor does (0 OK, 1 WARNING, 2 CRITICAL).
UNKNOWN = 3
#: `status`: no supervisor runs on this host.
NOT_RUNNING = 3
#: The run was cancelled.
CANCELLED = 4
#: The box could not be built, the data could not be had, or the command itself failed.
INTERNAL = 70
#: The isolation that was asked for cannot be had on this host.
NO_ISOLATION = 77
#: `serve`: an operator has declared this boot of the host dead; a restart does not help, a reboot does.
FENCED = 79
#: The configuration is wrong; every problem was named.
CONFIG = 78
