"""What is asked of a model and what comes back."""

from __future__ import annotations

from typing import Literal

from domain.base import Frozen

EndReason = Literal["stop", "length", "activity", "iteration", "abort", "error"]


class Usage(Frozen):
    """Tokens of one model call, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0


Role = Literal["system", "user", "assistant"]
ProviderName = Literal["openai", "anthropic"]
"""The wire formats we speak, by who made them."""


class Prompt(Frozen):
    """One message as a model sees it."""

    role: Role
    text: str


class Parameter(Frozen):
    """One `key=value` of a model string; numbers and booleans already parsed."""

    key: str
    value: bool | int | float | str


class ModelRef(Frozen):
    """A parsed model string: `openai:gpt-5/temperature=0.2/maxTokens=100`."""

    provider: ProviderName
    name: str
    parameters: tuple[Parameter, ...] = ()


class ModelCall(Frozen):
    """One request to a model."""

    model: ModelRef
    prompts: tuple[Prompt, ...]


class Token(Frozen):
    """A piece of the answer, in order of arrival."""

    text: str
    reasoning: bool = False


class Finish(Frozen):
    """The end of an answer that came whole: always the last thing a provider yields."""

    reason: Literal["stop", "length"]
    usage: Usage
