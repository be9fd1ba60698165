"""Spans, from a request to its model call: nothing at all unless a collector is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

Attributes = Mapping[str, str | int | float | bool | Sequence[str]]
"""By their names in OpenTelemetry's conventions, or `holdfast.…`: ids, codes and counts, never words."""
Kind = Literal["server", "internal", "consumer", "client"]


class Span:
    """One piece of work as its trace shows it; this one is shown nowhere."""

    traceparent: str | None = None
    """What a span under this one is given (W3C Trace Context); None when there is no trace."""

    def rename(self, name: str) -> None:
        """For what is known only later."""

    def note(self, attributes: Attributes) -> None: ...

    def failed(self, code: str) -> None:
        """It went wrong; `code` says how, and no message does."""


_UNSEEN = nullcontext(Span())


class Traces:
    """Where spans are made; here, none are."""

    def span(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span for as long as the context lasts, under `parent`, a traceparent.

        None, or nonsense, makes it the first of its trace. An error that leaves is noted by its code or type.
        """
        return _UNSEEN

    def close(self) -> None:
        """Sends what is not sent yet, within a few seconds."""
