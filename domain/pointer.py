"""Where in a request the sender says which event it is, or which events belong in one order."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import from_json

from domain.base import Frozen
from domain.received import NAME, Received

LONGEST = 255
"""Characters of what is told as it was found, and of a pointer."""

_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
_OPENERS = frozenset({"authorization", "proxy-authorization", "cookie"})
"""What is found is shown to whoever lists events; who knows these could send some."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Where(Frozen):
    """A header, or a place in a JSON body."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    header: str | None = Field(None, pattern=NAME, max_length=128)
    pointer: str | None = Field(None, max_length=LONGEST)
    """By RFC 6901, like `/data/object/id`; the empty one is the whole body."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.pointer is None):
            raise ValueError("name either a header or a pointer into the JSON body")
        if self.header is not None and self.header.lower() in _OPENERS:
            raise ValueError("this header is a secret; name one that says which event it is")
        if self.pointer is not None and not _POINTER.fullmatch(self.pointer):
            raise ValueError(
                "a pointer is written by RFC 6901: `/` before each name, `~1` for `/`, `~0` for `~`"
            )
        return self

    def find(self, received: Received) -> str | None:
        """The name that stands there: a text, or an integer as its digits, of printable characters.

        One of more than LONGEST is told by its digest, `sha256:` and 64 hexadecimal digits: shortened, it
        would be another's. None for all else: a fraction, true, null, an object, a header that was sent
        twice, a body that is not JSON in UTF-8 of at most 200 levels. Of two members of one name the last
        counts. Raises nothing, whatever came.
        """
        found = self.text(received)
        if found is None or len(found) <= LONGEST:
            return found
        return f"sha256:{hashlib.sha256(found.encode()).hexdigest()}"

    def text(self, received: Received) -> str | None:
        """The same, however long."""
        if self.pointer is None:
            given = received.values(self.header or "")
            return _printable(given[0]) if len(given) == 1 else None
        try:
            value = from_json(received.body, allow_inf_nan=False)
            for token in self.pointer.split("/")[1:]:
                value = _inside(value, token.replace("~1", "/").replace("~0", "~"))
            return _printable(value)
        except ValueError:
            return None


def _inside(value: Any, token: str) -> Any:
    """The member or item of that name; None where there is none."""
    if isinstance(value, dict):
        return value.get(token)
    if isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
        return value[int(token)]
    return None


def _printable(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value.isprintable() and value.strip() else None
