"""What is asked of a model and what comes back."""

from __future__ import annotations

from typing import Any, Literal

from domain.base import Frozen

EndReason = Literal["stop", "length", "activity", "iteration", "abort", "error"]


class Usage(Frozen):
    """Tokens of one model call, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0


Role = Literal["system", "user", "assistant", "tool"]
ProviderName = Literal["openai", "anthropic"]
"""The wire formats we speak, by who made them."""


class Tool(Frozen):
    """Something a model may call, as it is told of it."""

    name: str
    """1 to 64 of `A-Z a-z 0-9 _ -`, unique in its call."""
    description: str
    parameters: dict[str, Any]
    """A JSON Schema of type object."""


class ToolCall(Frozen):
    """A model's wish to have a tool called."""

    name: str
    arguments: str
    """JSON as the model wrote it; it may be broken. Without arguments: `{}`."""


class Prompt(Frozen):
    """One message as a model sees it."""

    role: Role
    text: str
    calls: tuple[tuple[str, ToolCall], ...] = ()
    """What an assistant's message asks for, each under an id of ours (`call_7`), which its result bears too.

    Every call of an assistant's message is followed at once by its result: one prompt of role tool each.
    """
    call_id: str | None = None
    """Of a tool's result: the call it answers."""
    carry: str | None = None
    """Of an assistant's message: what its provider wants back as it came; see Finish."""


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
    tools: tuple[Tool, ...] = ()
    must_call: str | None = None
    """The tool it is to call before anything else."""


class Token(Frozen):
    """A piece of the answer, in order of arrival."""

    text: str
    reasoning: bool = False


class Finish(Frozen):
    """The end of an answer that came whole: always the last thing a provider yields."""

    reason: Literal["stop", "length", "calls"]
    usage: Usage
    calls: tuple[ToolCall, ...] = ()
    """In the model's order; at least one where the reason is `calls`, else none."""
    carry: str | None = None
    """What the provider wants back with this message, in later turns too: opaque to all but it."""
