"""Where Node is absent its client's tests are left out, and said to be; under CI that is a failure."""

from __future__ import annotations

import os

import pytest

from domain import ids
from tests.wire.node_client import FOLDER, NODE

READY = NODE is not None and (FOLDER / "node_modules").exists()

collect_ignore = [] if READY or os.environ.get("CI") else ["test_node_client.py", "test_node_functions.py"]


def pytest_report_header(config: pytest.Config) -> str | None:
    return None if READY else "Node or its packages are absent: the official Node client is not tested"


@pytest.fixture
def channel() -> str:
    """The name of a channel nobody has used."""
    return ids.channel()
