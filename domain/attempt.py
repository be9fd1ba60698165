"""An attempt to deliver: what came of it, and what that means for its delivery and for its target."""

from __future__ import annotations

import random
from typing import NamedTuple

from pydantic import Field

from domain.base import Frozen
from domain.delivery import DeliveryState
from domain.webhook import Answered

SLOTS = 8
"""Attempts at one target at once."""
FAILURES = 5
"""One after another, after which a target is left alone for a while, then asked by one attempt at a time."""
BARRED_TRIES = 3
"""Of what an operator has to mend: an address that is not called, a certificate."""
UNKNOWN_SECONDS = 600.0
"""An e-mail that may have been taken is not sent again sooner: it may be on its way through the server."""
LEFT_SECONDS = 150.0
"""An attempt that tells nothing for longer takes up no slot; the longest takes some two minutes."""
KEPT_CHARACTERS = 4_096
_SPREAD = (0.8, 1.2)
_OVERTIME = 1.25
_LOOKS_A_SECOND = 8
_DEATHS = 3
_BARRED = frozenset({"BLOCKED", "TLS_FAILED"})


class Pace(Frozen):
    """How often a delivery is tried, and how long a target that fails is left alone. Seconds."""

    schedule: tuple[float, ...] = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    """Before each attempt of a round."""
    pauses: tuple[float, ...] = (60, 120, 240, 480, 900)
    """Of a target after FAILURES one after another, and after each one more; the last goes on."""

    @property
    def patience(self) -> float:
        """How long a round may wait for a target that others find down, or that has no slot."""
        return sum(self.schedule) * _OVERTIME

    @property
    def most(self) -> int:
        """Attempts that a round may begin, however many of their workers died."""
        return len(self.schedule) * _DEATHS

    def pause(self, failures: int) -> float | None:
        """How long a target is left alone after so many failures; None: it is not."""
        if failures < FAILURES:
            return None
        return self.pauses[min(failures - FAILURES, len(self.pauses) - 1)]


class Came(Frozen):
    """What came of one attempt."""

    taken: bool = False
    code: str | None = None
    """Why not."""
    status: int | None = None
    """Of HTTP or SMTP."""
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    after: float = 0.0
    """Seconds that are to pass before the next one."""
    gone: bool = False
    """Its target takes nothing any more."""
    final: bool = False
    """It is not to be tried again."""
    ours: bool = False
    """It was not its target that failed."""
    owed: tuple[str, ...] = ()
    """Addresses that are still to get the letter that others have; none: as before."""
    seconds: float = 0.0
    """How long it took."""


class Verdict(NamedTuple):
    """What becomes of a delivery."""

    state: DeliveryState
    code: str | None = None
    seconds: float = 0.0
    """Until its next attempt, if it is pending."""


def verdict(came: Came, attempts: int, pace: Pace) -> Verdict:
    """`attempts`: of its round, with this one."""
    if came.taken and not came.owed:
        return Verdict("delivered")
    if came.gone:
        return Verdict("dead", "TARGET_GONE")
    if came.final or (came.code in _BARRED and attempts >= BARRED_TRIES):
        return Verdict("dead", came.code)
    if attempts >= len(pace.schedule):
        return Verdict("dead", "EXHAUSTED")
    own = pace.schedule[attempts] * random.uniform(*_SPREAD)
    return Verdict("pending", came.code, max(own, came.after))


def turn(waiting: int) -> float:
    """Seconds until one of so many that wait for the same target looks again: by chance, so that together
    they look some eight times a second."""
    return random.uniform(1, 2 + 2 * waiting / _LOOKS_A_SECOND)


def heard(answered: Answered) -> Came:
    """Of a webhook."""
    code = None if answered.taken else answered.trouble or f"HTTP_{answered.status}"
    return Came(
        taken=answered.taken,
        code="ABORTED" if answered.stop and not answered.taken else code,
        status=answered.status,
        headers=dict(answered.headers),
        body=answered.body,
        after=answered.retry_after or 0,
        gone=answered.status == 410,
        final=answered.stop,
        seconds=answered.milliseconds / 1000,
    )
