"""Model strings, and the models this server knows by name.

A model string is a name and parameters, separated by slashes: `gpt-5/temperature=0.2/maxTokens=100`,
`anthropic:claude-sonnet-5-5`, `meta-llama/Llama-3-8b/temperature=0.2`. Parts without `=` are the name, the
others parameters; both spellings of a key, `maxTokens` and `max_tokens`, mean the same. Names that begin with
`claude-` are Anthropic's; all others go to the configured OpenAI-compatible server, which knows best what it
serves. A prefix, `openai:` or `anthropic:`, sends any name to the one it says.
"""

from __future__ import annotations

import math
import re

from domain.base import Frozen
from domain.completion import ModelRef, Parameter, ProviderName
from domain.errors import BadRequest

LONGEST = 300
"""Characters of a model string."""

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_TEXTS = frozenset({"stop", "user", "reasoning_effort"})
_PREFIXES: dict[str, ProviderName] = {"openai:": "openai", "anthropic:": "anthropic"}
_OURS = frozenset(
    {
        "model",
        "system",
        "messages",
        "stream",
        "stream_options",
        "n",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
    }
)
_LARGEST = 2**53


class Model(Frozen):
    """One entry of `platform/model/list`; sizes in tokens, as the model pages of its provider state them."""

    id: str
    name: str
    description: str
    provider: ProviderName
    family: str
    max_tokens: int
    """The context window: input and output together."""
    max_input_tokens: int
    max_output_tokens: int


def snake(key: str) -> str:
    """`maxTokens` → `max_tokens`: how providers spell a parameter."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def parse(text: str) -> ModelRef:
    """The parts of a model string. Raises BadRequest with a sentence that says what to write instead."""
    _plain(text)
    provider, name = _provider(text)
    parts = name.split("/")
    first = next((at for at, part in enumerate(parts) if "=" in part), len(parts))
    if not all(parts):
        raise BadRequest(f"model: `{text}` has an empty part; write a name like `gpt-5-mini/temperature=0.2`")
    parameters = tuple(_parameter(part) for part in parts[first:])
    _distinct(parameters)
    return ModelRef(provider=provider, name=_name("/".join(parts[:first])), parameters=parameters)


def _plain(text: str) -> None:
    if len(text) > LONGEST:
        raise BadRequest(f"model: longer than {LONGEST} characters")
    if not text.isprintable():
        raise BadRequest("model: contains control characters")
    if not text:
        raise BadRequest("model: is empty; write a name like `gpt-5-mini`")


def _provider(text: str) -> tuple[ProviderName, str]:
    for prefix, provider in _PREFIXES.items():
        if text.startswith(prefix):
            if text == prefix:
                raise BadRequest(f"model: `{prefix}` names no model; write a name after it")
            return provider, text.removeprefix(prefix)
    return "anthropic" if text.startswith("claude-") else "openai", text


def _name(name: str) -> str:
    if not name:
        raise BadRequest("model: has no name before its parameters; write `gpt-5-mini/temperature=0.2`")
    if " " in name:
        raise BadRequest(f"model: the name `{name}` contains a space")
    return name


def _parameter(part: str) -> Parameter:
    key, equals, value = part.partition("=")
    if not equals:
        raise BadRequest(f"model: `{part}` follows a parameter; write it before them or as `{part}=value`")
    if not _KEY.fullmatch(key):
        raise BadRequest(f"model: the parameter `{part}` has no proper key; write it like `temperature=0.2`")
    if snake(key) in _OURS:
        raise BadRequest(f"model: the parameter `{key}` is set by this server")
    if not value:
        raise BadRequest(f"model: the parameter `{key}` has no value; write it like `temperature=0.2`")
    return Parameter(key=key, value=value if snake(key) in _TEXTS else _value(key, value))


def _value(key: str, text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text) is None and _NOT_A_NUMBER.fullmatch(text) is None:
        return text
    number = float(text)
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise BadRequest(f"model: the parameter `{key}` must be a finite number up to 2^53, not `{text}`")
    return int(text) if text.lstrip("+-").isdigit() else number


def _distinct(parameters: tuple[Parameter, ...]) -> None:
    seen: set[str] = set()
    for parameter in parameters:
        if snake(parameter.key) in seen:
            raise BadRequest(f"model: the parameter `{parameter.key}` is given twice")
        seen.add(snake(parameter.key))


def _listed(name: str, family: str, sizes: tuple[int, int], description: str) -> Model:
    window, output = sizes
    provider, _ = _provider(name)
    return Model(
        id=name,
        name=name,
        description=description,
        provider=provider,
        family=family,
        max_tokens=window,
        max_input_tokens=window - output,
        max_output_tokens=output,
    )


MODELS: tuple[Model, ...] = (
    _listed("gpt-5", "gpt-5", (400_000, 128_000), "OpenAI's reasoning model for code and agents."),
    _listed("gpt-5-mini", "gpt-5", (400_000, 128_000), "A faster and cheaper GPT-5 for well-defined tasks."),
    _listed("gpt-5-nano", "gpt-5", (400_000, 128_000), "The fastest and cheapest GPT-5."),
    _listed("gpt-4.1", "gpt-4.1", (1_047_576, 32_768), "A model without reasoning and with a long context."),
    _listed("gpt-4.1-mini", "gpt-4.1", (1_047_576, 32_768), "A faster and cheaper GPT-4.1."),
    _listed("gpt-4o", "gpt-4o", (128_000, 16_384), "A general model without reasoning."),
    _listed("gpt-4o-mini", "gpt-4o", (128_000, 16_384), "A faster and cheaper GPT-4o."),
    _listed("o3", "o", (200_000, 100_000), "A reasoning model for hard, multi-step problems."),
    _listed("o4-mini", "o", (200_000, 100_000), "A faster and cheaper reasoning model."),
    _listed(
        "claude-fable-5-2", "claude-fable", (1_000_000, 128_000), "Claude for the hardest, longest work."
    ),
    _listed(
        "claude-opus-5-5", "claude-opus", (1_000_000, 128_000), "Claude for code, agents and office work."
    ),
    _listed("claude-sonnet-5-5", "claude-sonnet", (1_000_000, 128_000), "A faster and cheaper Claude."),
    _listed("claude-haiku-5-5", "claude-haiku", (1_000_000, 128_000), "The fastest and cheapest Claude."),
    _listed("claude-haiku-4-5", "claude-haiku", (200_000, 64_000), "A Claude that takes a thinking budget."),
)
"""The catalogue. Any other name works too: this is what can be shown, not what may be asked."""


def family(name: str) -> str:
    """The family of a model we know, dated versions included; `other` for names that callers made up."""
    return next((model.family for model in MODELS if model.id == known(name)), "other")


def known(name: str) -> str:
    """The model we know that this is, or is a version of; `other` for names that callers made up."""
    fitting = [model.id for model in MODELS if f"{name}-".startswith(f"{model.id}-")]
    return max(fitting, key=len, default="other")
