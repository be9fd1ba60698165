"""The bound on meta, which callers keep with an object for themselves."""

from __future__ import annotations

from domain.errors import BadRequest

META_BYTES = 65_536


def check(size: int) -> None:
    """Raises BadRequest for meta of so many bytes, once it is merged with what was there."""
    if size > META_BYTES:
        raise BadRequest(
            f"meta: merged with what is there it has {size} bytes, over the {META_BYTES} it may have;"
            " null clears it."
        )
