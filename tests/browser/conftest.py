"""A real browser is asked for here; where there is none its tests are left out, except in CI."""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


collect_ignore = [] if chromium() or os.environ.get("CI") else ["test_page.py"]


def pytest_report_header(config: pytest.Config) -> str | None:
    return None if chromium() else "Chromium is absent: pages are not tested in a browser"
