"""Tables: what an export gives as CSV, in the form of RFC 4180, and safe to open with a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any

# A spreadsheet runs a cell that begins so, and names and texts come from strangers (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_WITHIN = re.compile(r'([;\t\r\n][\s"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])')
"""Where such a cell would begin within ours, if semicolons or tabs were taken for separators."""
_NUMBER = re.compile(r"[+-]?[0-9][0-9 ().-]*")
"""A number or a telephone's, which no spreadsheet can run."""


def line(cells: Iterable[Any]) -> bytes:
    """One row in UTF-8, ended by CR LF; what holds a comma, a quote or a line's end is quoted.

    What is absent is empty, objects are JSON, times are epoch milliseconds. Text that a spreadsheet would run
    as a formula begins with an apostrophe, also where another separator than ours would begin a cell; an
    export's other shapes give it as it is.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_cell(value) for value in cells])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        runs = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
        text = _WITHIN.sub(r"\1'", value)
        return f"'{text}" if runs else text
    if value is None:
        return ""
    # JSON reads the escape as the semicolon it is.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace(";", "\\u003b")
