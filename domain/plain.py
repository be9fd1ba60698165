"""JSON from elsewhere, made such that it can be stored and shown."""

from __future__ import annotations

import math
import re
from typing import Any

_UNKEPT = re.compile("[\0\ud800-\udfff]")
_DEEPEST = 64


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """The value without NUL and lone surrogates. Raises ValueError for what is no JSON, or too deep."""
    if isinstance(value, str):
        return _UNKEPT.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not a number of JSON")
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    if isinstance(value, list):
        return [plain(part, depth - 1) for part in value]
    return {plain(key): plain(part, depth - 1) for key, part in value.items()}
