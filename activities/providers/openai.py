"""OpenAI chat completions, streamed: also the format of vLLM, Ollama and most hosts.

Source: https://platform.openai.com/docs/api-reference/chat-streaming and the variations of other servers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from pydantic_core import to_json

from activities.providers import failures
from activities.providers.http import Ask, exchange
from activities.providers.sse import Events
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken
from domain.model import snake

if TYPE_CHECKING:
    import aiohttp

    from domain.completion import ModelCall, ModelRef

Reason = Literal["stop", "length"]

_REASONS: dict[object, Reason] = {"stop": "stop", "length": "length", "content_filter": "stop"}
_DONE = b"[DONE]"
_SURROGATES = re.compile("[\ud800-\udfff]")
_NEWER = re.compile(r"o[1-9](-|$)|gpt-(4\.1|[5-9])(-|\.|$)")
"""OpenAI's models that refuse `max_tokens` or call it deprecated; other servers know only that name."""


class OpenAI:
    """A server that speaks OpenAI chat completions; a Provider.

    `base_url` is the path up to, without, `/chat/completions`; an empty `api_key` sends no Authorization.
    Silence of `idle_seconds` ends a call as ModelUnavailable (any byte breaks it, a comment too); an answer
    of more than `output_bytes` of UTF-8, reasoning included, is cut there and ends with `length`.
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

    async def stream(self, call: ModelCall) -> AsyncGenerator[Token | Finish, None]:
        """See Provider.stream. Raises ModelUnavailable, ModelBusy, ModelBroken, ModelRefused."""
        answer = _Answer(self._output_bytes, self._api_key)
        async with exchange(self._session, self._ask(call), self._idle_seconds) as body:
            while not answer.ended:
                for token in answer.take(await body.read()):
                    yield token
            if answer.settles:
                await body.settle()
        yield answer.finish()

    def _ask(self, call: ModelCall) -> Ask:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            # A compressed stream comes in blocks instead of tokens.
            "Accept-Encoding": "identity",
        }
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return Ask(self._url, headers, to_json(_request(call)), self._api_key)


def _request(call: ModelCall) -> dict[str, object]:
    return {
        **_parameters(call.model),
        "model": call.model.name,
        "messages": [{"role": prompt.role, "content": prompt.text} for prompt in call.prompts],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _parameters(model: ModelRef) -> dict[str, object]:
    """The model string's parameters as the provider spells them; unknown ones pass, it knows best."""
    parameters: dict[str, object] = {snake(parameter.key): parameter.value for parameter in model.parameters}
    if "max_tokens" in parameters and _NEWER.match(model.name):
        parameters["max_completion_tokens"] = parameters.pop("max_tokens")
    return parameters


class _Answer:
    """One answer, put together from the bytes of its stream."""

    def __init__(self, output_bytes: int, secret: str) -> None:
        self._events = Events()
        self._left = output_bytes
        self._secret = secret
        self._reason: Reason | None = None
        self._usage = Usage()
        self.ended = False
        """Nothing more will be taken; `finish` may be called."""
        self.settles = False
        """It ended with `[DONE]`, so the body's end is near."""

    def take(self, piece: bytes) -> Iterator[Token]:
        """The tokens of one piece of the body; an empty piece is its end. Raises ModelError."""
        if not piece:
            self._end("The model's answer ended without its end marker.")
        for data in self._events.feed(piece):
            if data == _DONE:
                self._end("The model's answer was marked done, but not finished.")
                self.settles = True
            elif data:
                yield from self._chunk(self._parsed(data))
            if self.ended:
                return

    def finish(self) -> Finish:
        """The end of an answer that came whole, or was cut by us."""
        return Finish(reason=self._reason or "length", usage=self._usage)

    def _end(self, otherwise: str) -> None:
        if self._reason is None:
            raise ModelBroken(otherwise)
        self.ended = True

    def _parsed(self, data: bytes) -> dict[str, object]:
        try:
            chunk = failures.loads(data)
        except ValueError as error:
            raise ModelBroken("The model's answer contains an event that is not JSON.") from error
        if not isinstance(chunk, dict):
            raise ModelBroken("The model's answer contains an event that is not an object.")
        if chunk.get("error"):
            raise failures.in_stream(chunk, self._secret)
        return chunk

    def _chunk(self, chunk: dict[str, object]) -> Iterator[Token]:
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        if (choice := _choice(chunk)) is None:
            return
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            raise ModelBroken("The model's answer contains a delta that is not an object.")
        yield from self._text(delta.get("reasoning_content") or delta.get("reasoning"), reasoning=True)
        yield from self._text(delta.get("content"))
        # OpenAI's models decline in a field of its own; to the reader it is the answer.
        yield from self._text(delta.get("refusal"))
        if not self.ended and (reason := choice.get("finish_reason")):
            self._reason = _reason(reason)

    def _text(self, text: object, *, reasoning: bool = False) -> Iterator[Token]:
        if not text or self.ended:
            return
        if not isinstance(text, str):
            raise ModelBroken("The model's answer contains a text that is not a string.")
        if self._reason is not None:
            raise ModelBroken("The model's answer goes on after its end.")
        if kept := self._kept(_clean(text)):
            yield Token(text=kept, reasoning=reasoning)

    def _kept(self, text: str) -> str:
        """The text, or what of it still fits; then the answer is over."""
        size = len(text) if text.isascii() else len(text.encode())
        if size > self._left:
            self.ended = True
            text = text.encode()[: self._left].decode(errors="ignore")
        self._left -= size
        return text


def _clean(text: str) -> str:
    """Without what Postgres refuses: NUL, and surrogates without their other half."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _choice(chunk: dict[str, object]) -> dict[str, object] | None:
    """The one choice we asked for; None in a chunk without, such as the usage chunk."""
    choices = chunk.get("choices")
    if not choices:
        return None
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ModelBroken("The model's answer contains choices that are no list of objects.")
    return choices[0]


def _reason(reason: object) -> Reason:
    with suppress(TypeError):
        if known := _REASONS.get(reason):
            return known
    raise ModelBroken(f"The model ended its answer for a reason that was not offered: {str(reason)[:40]!a}.")


def _usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")), output_tokens=_count(usage.get("completion_tokens"))
    )


def _count(number: object) -> int:
    """A count that fits Postgres' integer; 0 for anything that is none."""
    return min(number, 2**31 - 1) if isinstance(number, int) and number > 0 else 0
