"""What the session shows about this host: the Pythons that the harness is tried under."""

from __future__ import annotations

import pythons


def pytest_report_header() -> str:
    return pythons.report_line()
