"""The model wire formats, behind one protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from domain.completion import Finish, ModelCall, ModelRef, Token


class Provider(Protocol):
    """A model's server."""

    def stream(self, call: ModelCall) -> AsyncGenerator[Token | Finish, None]:
        """The answer as it comes: Tokens, then exactly one Finish, which says that it came whole.

        An answer that does not come whole raises a domain.errors.ModelError instead of the Finish; the
        tokens before it are then no answer. One connection per call, closed with the generator: a caller
        that may stop early wraps it in `contextlib.aclosing`. Nothing is retried here.
        """
        ...


class Providers:
    """The providers of this worker, by the name that model strings resolve to."""

    def __init__(self, *, openai: Provider) -> None:
        self._by_name: dict[str, Provider] = {"openai": openai}

    def pick(self, model: ModelRef) -> Provider:
        return self._by_name[model.provider]
