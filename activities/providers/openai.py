"""OpenAI chat completions, streamed: also the format of vLLM, Ollama and most hosts.

Source: https://platform.openai.com/docs/api-reference/chat-streaming and the variations of other servers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from pydantic_core import to_json

from activities.providers import openai_messages
from activities.providers.answer import Answer, Reason, count, named, relayed
from activities.providers.http import HEADERS, Ask
from activities.providers.openai_calls import Sorter, pieces
from activities.providers.openai_thoughts import Thoughts
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken
from domain.model import snake

if TYPE_CHECKING:
    import aiohttp

    from domain.completion import ModelCall, ModelRef

_REASONS: dict[object, Reason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "declined",
}
_DONE = b"[DONE]"
_NEWER = re.compile(r"o[1-9](-|$)|gpt-(4\.1|[5-9])(-|\.|$)")
"""OpenAI's models that refuse `max_tokens` or call it deprecated; other servers know only that name."""


class OpenAI:
    """A server that speaks OpenAI chat completions; a Provider.

    `base_url` is the path up to, without, `/chat/completions`; an empty `api_key` sends no Authorization.
    Silence of `idle_seconds` ends a call as ModelUnavailable (any byte breaks it, a comment too); an answer
    of more than `output_bytes` of UTF-8, reasoning and calls included, is cut there and ends with `length`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        api_key: str,
        idle_seconds: float,
        output_bytes: int,
    ) -> None:
        self._session = session
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._api_key = api_key
        self._idle_seconds = idle_seconds
        self._output_bytes = output_bytes

    def stream(self, call: ModelCall) -> AsyncGenerator[Token | Finish, None]:
        """See Provider.stream. Raises ModelUnavailable, ModelBusy, ModelBroken, ModelRefused."""
        answer = _Answer(self._output_bytes, self._api_key, call.model.name)
        return relayed(self._session, self._ask(call), self._idle_seconds, answer)

    def _ask(self, call: ModelCall) -> Ask:
        headers = {**HEADERS}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return Ask(self._url, headers, to_json(_request(call), inf_nan_mode="null"), self._api_key)


def _request(call: ModelCall) -> dict[str, object]:
    return {
        **_parameters(call.model),
        "model": call.model.name,
        "messages": openai_messages.messages(call),
        **openai_messages.tools(call),
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _parameters(model: ModelRef) -> dict[str, object]:
    """The model string's parameters as the provider spells them; unknown ones pass, it knows best."""
    parameters: dict[str, object] = {snake(parameter.key): parameter.value for parameter in model.parameters}
    if "max_tokens" in parameters and _NEWER.match(model.name):
        parameters["max_completion_tokens"] = parameters.pop("max_tokens")
    return parameters


class _Answer(Answer):
    """The chunks of one answer, its usage wherever it comes, `[DONE]` at the end."""

    def __init__(self, output_bytes: int, secret: str, model: str) -> None:
        super().__init__(output_bytes, secret)
        self._model = model
        self._sorter = Sorter(self._calls)
        self._thoughts = Thoughts()
        self._counts: dict[object, object] = {}

    def _event(self, data: bytes) -> Iterator[Token]:
        if data == _DONE:
            self._end("The model's answer was marked done, but not finished.")
            self.settles = True
        else:
            yield from self._chunk(self._parsed(data))

    def _closed(self) -> None:
        # Some servers leave the marker out; that the model had finished is enough.
        self._end("The model's answer ended without its end marker.")

    def _usage(self) -> Usage:
        return Usage(
            input_tokens=count(self._counts.get("prompt_tokens")),
            output_tokens=count(self._counts.get("completion_tokens")),
        )

    def _carry(self) -> str | None:
        return self._thoughts.sealed(self._model, self._calls)

    def _chunk(self, chunk: dict[str, object]) -> Iterator[Token]:
        if usage := chunk.get("usage"):
            self._counts = usage if isinstance(usage, dict) else {}
        if (choice := _choice(chunk)) is None:
            return
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            raise ModelBroken("The model's answer contains a delta that is not an object.")
        yield from self._text(delta.get("reasoning_content") or delta.get("reasoning"), reasoning=True)
        yield from self._text(delta.get("content"))
        # OpenAI's models decline in a field of its own; to the reader it is the answer.
        yield from self._text(delta.get("refusal"))
        self._ask_for(delta)
        if not self.ended and (reason := choice.get("finish_reason")):
            self._reason = named(reason, _REASONS)

    def _ask_for(self, delta: dict[str, object]) -> None:
        if not self._fits(self._thoughts.take(delta)):
            return
        for piece in pieces(delta):
            self._going_on()
            if self.ended or not self._fits(self._sorter.take(piece)):
                return


def _choice(chunk: dict[str, object]) -> dict[str, object] | None:
    """The one choice we asked for; None in a chunk without, such as the usage chunk."""
    choices = chunk.get("choices")
    if not choices:
        return None
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ModelBroken("The model's answer contains choices that are no list of objects.")
    return choices[0]
