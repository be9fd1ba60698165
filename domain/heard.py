"""How far a listener has heard the runs of a task, and how a line says so.

The runs are those of one task, named by their channels, which are in the order in which the runs were made.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

FORM = r"^[0-9]{1,18}(-[0-9]{1,18}\.[0-9]{1,18})*$"
_PART = re.compile(r"-([0-9]+)\.([0-9]+)")


@dataclasses.dataclass(frozen=True)
class Heard:
    """All of the runs up to one, but for the rest of those in `parts`; nothing of the runs after it.

    As text it is `1042-1040.17-1042.3`: up to 1042, but of 1040 only to its seq 17, of 1042 to 3.
    """

    upto: int = 0
    parts: Mapping[int, int] = dataclasses.field(default_factory=dict)
    """The seq heard last, by run."""

    def __str__(self) -> str:
        return f"{self.upto}" + "".join(f"-{run}.{seq}" for run, seq in sorted(self.parts.items()))

    @classmethod
    def read(cls, text: str) -> Heard:
        """What a text of FORM says."""
        parts = {int(run): int(seq) for run, seq in _PART.findall(text)}
        return cls(int(text.partition("-")[0]), parts)
