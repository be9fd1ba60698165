"""Reads the named queries of a `.sql` file."""

from __future__ import annotations

import re
from pathlib import Path

_HEADING = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(noun: str) -> dict[str, str]:
    """The queries of `store/{noun}.sql` by name; a name is a line `-- name: word` above its query."""
    text = (Path(__file__).parent / f"{noun}.sql").read_text()
    parts = _HEADING.split(text)[1:]
    return dict(zip(parts[::2], (sql.strip() for sql in parts[1::2]), strict=True))


def ordered(sql: str, *, ascending: bool) -> str:
    """A list query as written, newest first, or read the other way; its cursor says `< cursor`."""
    return sql.replace(" DESC", " ASC").replace("/* after */ <", "/* after */ >") if ascending else sql
