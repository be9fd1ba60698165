"""One page of a list."""

from __future__ import annotations

from domain.base import Frozen

_LAST = "\U0010ffff"
"""Greater than any id, by its bytes."""
TAKE = 100
"""The default and the largest number of items on a page."""
PAGE_BYTES = 4_194_304
"""Of words on a page, but for its last item: one with large items is shorter than asked for, never empty."""


class Page(Frozen):
    """Which part of a list is asked for; the order of ids is the order of creation."""

    cursor: str | None = None
    """The id of the last item of the page before."""
    ascending: bool = False
    take: int = TAKE

    @property
    def after(self) -> str:
        """The id that every id of the page comes after, in its order: without a cursor, one before them all.

        So a query compares with it always, and an index finds the place in any plan; with `OR … IS NULL` it
        walks there.
        """
        return self.cursor or ("" if self.ascending else _LAST)
