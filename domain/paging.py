"""One page of a list."""

from __future__ import annotations

from domain.base import Frozen

TAKE = 100
"""The default and the largest number of items on a page."""


class Page(Frozen):
    """Which part of a list is asked for; the order of ids is the order of creation."""

    cursor: str | None = None
    """The id of the last item of the page before."""
    ascending: bool = False
    take: int = TAKE
