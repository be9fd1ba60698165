"""What the clients say: words of their own in every text, and what the model shall do with them."""

from __future__ import annotations

import random
from typing import NamedTuple

from deploy.demo_model import ECHO, GREETING

CANARY = "canary"
"""In every text: the guard at Temporal's door and the search for remains look for it."""
WORDS = (
    "sea",
    "salt",
    'a "quoted" word',
    "tab\tbed",
    "naïve",
    "日本語",
    "😀",
    "new\nline",
    "\\slash",
    "ends.",
)
TROUBLES = (
    "status=429 retry_after=1 times=1",
    "status=503 times=1",
    "status=500 times=2",
    "cut=5 times=1",
    "reset=3 times=1",
    "reset=0 times=1",
    "garbage=4 times=1",
    "end=3 times=1",
    "failed=3 times=1",
    "stall=3 times=1",
    "html times=1",
    "split",
    "nodone times=1",
    "nul",
    "endless",
    "status=400",
)
"""See tests/model_server.py. All but the last may end well."""


class Said(NamedTuple):
    """A user's text; `plain` when the model does nothing but answer."""

    text: str
    plain: bool

    @property
    def answer(self) -> str:
        """What the model says to a plain text."""
        return f"{GREETING} {self.text[:ECHO]}".rstrip()


class Manner(NamedTuple):
    """How a text is answered: so many milliseconds a word of so many words, with a trouble, after calls."""

    pace: int | None = None
    length: int | None = None
    trouble: str | None = None
    calls: str = ""


def said(op: str, chance: random.Random, manner: Manner) -> Said:
    """A text that no other operation says."""
    pace, length, trouble, calls = manner
    words = " ".join(chance.choices(WORDS, k=chance.randint(3, 40) if length is None else length))
    delay = chance.choice((0, 5, 20, 50)) if pace is None else pace
    if trouble is None:
        trouble = "" if pace is not None or chance.random() < 0.8 else chance.choice(TROUBLES)
    directive = " ".join(part for part in (f"delay={delay}", trouble, calls, f"key={op}") if part)
    return Said(f"{CANARY} {op} {words} [model {directive}]", not trouble)
