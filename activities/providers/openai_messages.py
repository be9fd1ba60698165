"""A model call as the messages and tools of OpenAI's chat completions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic_core import to_json

from activities.providers import openai_thoughts
from activities.providers.calls import Ids, given, spelled

if TYPE_CHECKING:
    from domain.completion import ModelCall, Prompt, Tool, ToolCall

SEEN = "Understood."
"""The model's word between results and the user's next message, where there must be one."""

_WANTED = openai_thoughts.FIELDS[0]
_STRICT = re.compile(
    r"(^|[/:])(open-)?(mi[sx]tral|ministral|magistral|devstral|codestral|pixtral)", re.IGNORECASE
)
"""Mistral's models, wherever they are served: their format wants the model to speak after results."""


def messages(call: ModelCall) -> list[dict[str, object]]:
    """One message each, and one more where the model's own format wants it."""
    ids = Ids()
    carried = [openai_thoughts.opened(prompt.carry, call.model.name) for prompt in call.prompts]
    # DeepSeek wants it with every message that has calls, those of other models too.
    wanted = {_WANTED: ""} if any(_WANTED in fields for fields, _ in carried) else {}
    told = [
        _asking(prompt, ids, {**wanted, **fields}, extras) if prompt.calls else _plain(prompt, ids)
        for prompt, (fields, extras) in zip(call.prompts, carried, strict=True)
    ]
    return _bridged(told) if _STRICT.search(call.model.name) else told


def _bridged(messages: list[dict[str, object]]) -> list[dict[str, object]]:
    bridged: list[dict[str, object]] = []
    for message in messages:
        if message["role"] == "user" and bridged and bridged[-1]["role"] == "tool":
            bridged.append({"role": "assistant", "content": SEEN})
        bridged.append(message)
    return bridged


def tools(call: ModelCall) -> dict[str, object]:
    """`tools` and `tool_choice`; neither may be there without a tool.

    Calls in the history need no tools beside them here.
    """
    if not call.tools:
        return {}
    offered: dict[str, object] = {"tools": [_tool(tool) for tool in call.tools]}
    if call.must_call is not None:
        offered["tool_choice"] = {"type": "function", "function": {"name": call.must_call}}
    return offered


def _plain(prompt: Prompt, ids: Ids) -> dict[str, object]:
    message: dict[str, object] = {"role": prompt.role, "content": prompt.text}
    if prompt.role == "tool":
        message["tool_call_id"] = ids.answered(prompt.call_id)
    return message


def _asking(
    prompt: Prompt, ids: Ids, fields: dict[str, object], extras: dict[str, object]
) -> dict[str, object]:
    calls = [_call(ids.asked(id_), call, extras.get(str(at))) for at, (id_, call) in enumerate(prompt.calls)]
    return {"role": prompt.role, "content": prompt.text or None, "tool_calls": calls, **fields}


def _call(id_: str, call: ToolCall, extra: object) -> dict[str, object]:
    asked: dict[str, object] = {
        "id": id_,
        "type": "function",
        # Most servers read the arguments, and refuse a conversation for ever in which they are no object.
        "function": {"name": spelled(call.name), "arguments": to_json(given(call.arguments)).decode()},
    }
    return {**asked, "extra_content": extra} if extra else asked


def _tool(tool: Tool) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
