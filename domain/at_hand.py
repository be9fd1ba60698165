"""The ids of the work at hand, which every log line written meanwhile names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

_ID = re.compile(r"[a-z]{2,8}_[0-9a-z]{26}")
_NOTHING: Mapping[str, str] = MappingProxyType({})

# Each task has its own, and those it starts go on from it.
_IDS: ContextVar[Mapping[str, str]] = ContextVar("ids", default=_NOTHING)


def begin(**ids: str) -> None:
    """Something new begins, whatever this task worked on before."""
    _IDS.set(_NOTHING)
    add(**ids)


def add(**ids: str | None) -> None:
    """The work has these too. What is not shaped like an id of ours is left out: a path may hold words."""
    known = {name: text for name, text in ids.items() if text is not None and _ID.fullmatch(text)}
    _IDS.set({**_IDS.get(), **known})


def ids() -> Mapping[str, str]:
    return _IDS.get()
