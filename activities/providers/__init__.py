"""The model wire formats, behind one protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from domain.completion import Finish, ModelCall, ModelRef, ProviderName, Token
from domain.errors import ModelRefused


class Provider(Protocol):
    """A model's server."""

    def stream(self, call: ModelCall) -> AsyncGenerator[Token | Finish, None]:
        """The answer as it comes: Tokens, then exactly one Finish, which says that it came whole.

        An answer that does not come whole raises a domain.errors.ModelError instead of the Finish; the
        tokens before it are then no answer. One connection per call, closed with the generator: a caller
        that may stop early wraps it in `contextlib.aclosing`. Nothing is retried here.
        """
        ...


_UNSET: dict[ProviderName, str] = {
    "openai": "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs no key; or name another model, "
    "and in HOLDFAST_DEFAULT_MODEL the one of calls that name none.",
    "anthropic": "set ANTHROPIC_API_KEY, or ANTHROPIC_BASE_URL for a server that needs no key.",
}


class Providers:
    """The providers of this worker, by the name that model strings resolve to; None is one nobody set up."""

    def __init__(self, *, openai: Provider | None, anthropic: Provider | None) -> None:
        self._by_name: dict[ProviderName, Provider | None] = {"openai": openai, "anthropic": anthropic}

    def pick(self, model: ModelRef) -> Provider:
        """Raises ModelRefused, saying what to set: without a key, the provider's own refusal would not."""
        provider = self._by_name[model.provider]
        if provider is None:
            raise ModelRefused(f"No server is set up for the model `{model.name}`: {_UNSET[model.provider]}")
        return provider
