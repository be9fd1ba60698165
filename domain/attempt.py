"""An attempt to deliver: what came of it, and what that means for its delivery and for its target."""

from __future__ import annotations

import random
from typing import NamedTuple

from pydantic import Field

from domain.base import Frozen
from domain.delivery import DeliveryState
from domain.mail import Posted, smtp
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
_LONGEST = 604_800
_SPREAD = (0.8, 1.2)
_OVERTIME = 1.25
_LOOKS_A_SECOND = 8
_DEATHS = 3
_BARRED = frozenset({"BLOCKED", "TLS_FAILED"})


SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400"
PAUSES = "60,120,240,480,900"


class Pace(Frozen):
    """How often a delivery is tried, and how long a target that fails is left alone. Seconds."""

    schedule: tuple[float, ...]
    """Before each attempt of a round."""
    pauses: tuple[float, ...]
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


def seconds(text: str) -> tuple[float, ...]:
    """Of a setting: numbers with commas between them. Raises ValueError."""
    found = tuple(float(word) for word in text.split(","))
    if not all(0 <= one <= _LONGEST for one in found):
        raise ValueError("each is a number of seconds, a week at most")
    return found


class Came(Frozen):
    """What came of one attempt."""

    taken: bool = False
    code: str | None = None
    """Why not, or why not by all."""
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

    @property
    def elsewhere(self) -> Came:
        """Of an attempt at where its target is no more: what was refused there is tried where it is now.

        Who asked for patience was the old place; only an unknown outcome is waited out.
        """
        after = self.after if self.code == "OUTCOME_UNKNOWN" else 0.0
        return self.model_copy(update={"gone": False, "final": False, "ours": True, "after": after})


class Verdict(NamedTuple):
    """What becomes of a delivery."""

    state: DeliveryState
    code: str | None = None
    seconds: float = 0.0
    """Until its next attempt, if it is pending."""


def verdict(came: Came, attempts: int, pace: Pace) -> Verdict:
    """`attempts`: of its round, with this one."""
    if came.taken and not came.owed:
        # With a code: to some, while others were refused for good.
        return Verdict("delivered", came.code)
    if came.gone:
        return Verdict("dead", "TARGET_GONE")
    if came.final or (came.code in _BARRED and not came.ours and attempts >= BARRED_TRIES):
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


def posted(told: Posted) -> Came:
    """Of an e-mail."""
    taken = told.outcome == "delivered"
    status = told.code.removeprefix("SMTP_")
    return Came(
        taken=taken,
        code=_why(told),
        status=int(status) if status.isdecimal() else None,
        body=_said(told),
        after=UNKNOWN_SECONDS if told.outcome == "unknown" else 0,
        final=told.outcome == "refused",
        # The mail server is the operator's; its recipients are the target.
        ours=not told.code.startswith("SMTP_"),
        owed=told.owed if taken else (),
        seconds=told.milliseconds / 1000,
    )


def _why(told: Posted) -> str | None:
    if told.outcome == "delivered":
        # Who was refused for good is told first: of the others there is more to come.
        first = min(told.refused, key=lambda one: not one.for_good, default=None)
        return smtp(first.status) if first else None
    return "OUTCOME_UNKNOWN" if told.outcome == "unknown" else told.code


def _said(told: Posted) -> str:
    """What the server said, and of whom it did not take."""
    lines = [told.text, *(f"{one.address}: {one.status} {one.text}" for one in told.refused)]
    return "\n".join(line for line in lines if line)[:KEPT_CHARACTERS]
