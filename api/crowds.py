"""How many values a body holds, counted before it is parsed: to say what is wrong with each takes seconds."""

from __future__ import annotations

import re

from domain.errors import BadRequest
from domain.plain import ITEMS

VALUES = 250_000
"""Of a body."""
MEMBERS = ITEMS + 2_000
"""Of a list or an object. None may have so many; where it is not much more, the parser says whose it is."""

# A text as a whole, so that nothing in it counts; one without an end is refused by whoever parses it.
_SIGN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,\[\]{}]', re.DOTALL)


def check(raw: bytes) -> None:
    """Raises BadRequest for more values than a body may have, or than any list or object may.

    Goes no further than that. What is no JSON may pass.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") < MEMBERS:
        return
    count = _Count()
    for found in _SIGN.finditer(raw):
        count.sees(found[0])


class _Count:
    """What has been seen of a body."""

    def __init__(self) -> None:
        self._values = 0
        self._commas = [0]
        """Of each list or object that is open, the outermost first, behind those outside of all."""
        self._text = b""
        """The last one right inside of the outermost object: the name of the field that is open."""

    def sees(self, sign: bytes) -> None:
        if sign == b",":
            self._commas[-1] += 1
            self._counts()
        elif sign in b"[{":
            self._commas.append(0)
            self._counts()
        elif sign in b"]}":
            # Of what is no JSON there may be one too many.
            del self._commas[max(1, len(self._commas) - 1) :]
        elif len(self._commas) == 2:
            self._text = sign

    def _counts(self) -> None:
        self._values += 1
        if self._commas[-1] >= MEMBERS:
            raise self._refusal(f"a list or an object has more than {ITEMS:,} members")
        if self._values > VALUES:
            raise self._refusal(f"there are more than {VALUES:,} values up to here")

    def _refusal(self, what: str) -> BadRequest:
        field = self._text[1:-1].decode(errors="replace")[:200] if len(self._commas) > 2 else ""
        return BadRequest(f"{field or 'The body'}: {what}; send fewer, or many short ones as one text.")
