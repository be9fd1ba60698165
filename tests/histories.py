"""What makers' servers refuse in a conversation with tools, so that the servers of the tests refuse it too.

Where servers of one format differ, the strictest rules: nobody can tell which one will be asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
UNFORCEABLE = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1", "claude-fable-5-2")
THINKING = ("thinking", "redacted_thinking")


class Refused(Exception):
    """The request breaks a rule; the message says which."""


def require(kept: object, rule: str) -> None:
    if not kept:
        raise Refused(rule)


# OpenAI's.


def openai(request: dict[str, Any]) -> None:
    """Raises Refused."""
    _offered([tool["function"]["name"] for tool in request.get("tools") or []], "tools" in request)
    choice = request.get("tool_choice")
    require(choice is None or "tools" in request, "'tool_choice' is only allowed when 'tools' are specified")
    if isinstance(choice, dict):
        names = [tool["function"]["name"] for tool in request["tools"]]
        require(choice["function"]["name"] in names, "tool_choice names no tool")
    _answered(request["messages"])
    roles = pairwise(message["role"] for message in request["messages"])
    strict = "mistral" in request.get("model", "")
    require(not strict or ("tool", "user") not in roles, "Unexpected role 'user' after role 'tool'")


def _answered(messages: list[dict[str, Any]]) -> None:
    due: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            require(message["tool_call_id"] in due, "a tool message must answer a call directly before it")
            require(isinstance(message["content"], str), "the content of a tool message must be a string")
            due.remove(message["tool_call_id"])
            continue
        require(not due, f"calls without a response: {due}")
        due = _asked(message)
        require(not seen & {*due} and len({*due}) == len(due), "an id of a call was used before")
        seen |= {*due}
    require(not due, f"calls without a response: {due}")


def _asked(message: dict[str, Any]) -> list[str]:
    if "tool_calls" not in message:
        require(isinstance(message.get("content"), str | list), "content must be a string")
        return []
    require(message["role"] == "assistant" and message["tool_calls"], "empty tool_calls")
    for call in message["tool_calls"]:
        require(call["type"] == "function", "a call must be of a function")
        require(NAME.fullmatch(call["function"]["name"]), "the name of a call must be one of a tool")
        arguments = call["function"]["arguments"]
        require(isinstance(arguments, str) and isinstance(_json(arguments), dict), "arguments are no object")
        require(re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"]), "an id must be of nine letters and digits")
    return [call["id"] for call in message["tool_calls"]]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _offered(names: list[str], there: bool) -> None:
    require(names or not there, "[] is too short - 'tools'")
    require(all(NAME.fullmatch(name) for name in names), "the name of a tool does not fit")
    require(len({*names}) == len(names), "the names of tools must be unique")


# Anthropic's.


def anthropic(request: dict[str, Any]) -> None:
    """Raises Refused."""
    turns = [(turn["role"], blocks(turn["content"])) for turn in request["messages"]]
    roles = [role for role, _ in turns]
    require({*roles} <= {"user", "assistant"}, "a role must be user or assistant")
    require(roles and roles[0] == "user" and roles[-1] == "user", "the user must begin and end")
    require(all(one != other for one, other in pairwise(roles)), "turns must alternate")
    for _, content in turns:
        _wellformed(content)
    _paired([content for _, content in turns])
    _tools(request, [block for _, content in turns for block in content])
    _thinking(request, turns)


def blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _wellformed(content: list[dict[str, Any]]) -> None:
    require(content, "a turn must have content")
    for block in content:
        match block["type"]:
            case "text":
                require(block["text"].strip(), "text must be more than whitespace")
            case "tool_use":
                require(re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), "tool_use.id has other characters")
                require(NAME.fullmatch(block["name"]), "tool_use.name does not fit")
                require(isinstance(block["input"], dict), "tool_use.input must be an object")
            case "tool_result":
                require(block.get("content", "-").strip(), "text must be more than whitespace")
            case kind:
                require(kind in THINKING, f"no such block: {kind}")


def _paired(turns: list[list[dict[str, Any]]]) -> None:
    due: list[str] = []
    seen: set[str] = set()
    for content in turns:
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        leading = [block["tool_use_id"] for block in content[: len(results)] if "tool_use_id" in block]
        require(leading == results, "results must come first in their turn")
        require(set(results) <= set(due), "a tool_result must answer a tool_use of the turn before")
        require(results == due, f"tool_use without tool_result immediately after: {due}")
        due = [block["id"] for block in content if block["type"] == "tool_use"]
        require(not seen & {*due} and len({*due}) == len(due), "tool_use ids must be unique")
        seen |= {*due}


def _tools(request: dict[str, Any], content: Iterable[dict[str, Any]]) -> None:
    names = [tool["name"] for tool in request.get("tools") or []]
    _offered(names, "tools" in request)
    for tool in request.get("tools") or []:
        require(tool["input_schema"]["type"] == "object", "input_schema must be of type object")
    used = any(block["type"] in ("tool_use", "tool_result") for block in content)
    require(names or not used, "requests which include tool_use or tool_result blocks must define tools")
    choice = request.get("tool_choice") or {"type": "auto"}
    require(names or "tool_choice" not in request, "tool_choice may only be specified while providing tools")
    if choice["type"] in ("any", "tool"):
        require(request["model"] not in UNFORCEABLE, 'tool_choice: type "tool" and "any" are not supported')
        manual = (request.get("thinking") or {}).get("type") == "enabled"
        require(not manual, "Thinking may not be enabled when tool_choice forces tool use.")
    require(choice["type"] != "tool" or choice["name"] in names, "tool_choice names no tool")


def _thinking(request: dict[str, Any], turns: list[tuple[str, list[dict[str, Any]]]]) -> None:
    for at, (_, content) in enumerate(turns):
        for place, block in enumerate(content):
            if block["type"] == "thinking":
                own = signature(request, at, block["thinking"])
                require(block["signature"] == own, f"messages.{at}.content.{place}: Invalid `signature`")
    amid = turns[-1][1][0]["type"] == "tool_result"
    if amid and (request.get("thinking") or {}).get("type") == "enabled":
        require(turns[-2][1][0]["type"] in THINKING, "Expected `thinking`, but found another block")


def signature(request: dict[str, Any], turns: int, thought: str) -> str:
    """Of a thought that came after so many turns of a request: it holds for what came before it."""
    past = [request["model"], request.get("system"), request.get("tools"), request["messages"][:turns]]
    return hashlib.sha256(json.dumps([*past, thought]).encode()).hexdigest()


# What a history tells.

Told = tuple[list[tuple[str, str, Any]], list[tuple[str, str]], list[Any]]
"""Its calls (id, name, arguments), their results (id, text), and what came back of the model's thoughts."""
_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")


def told_openai(request: dict[str, Any]) -> Told:
    messages = request["messages"]
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    return (
        [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls],
        [(message["tool_call_id"], message["content"]) for message in messages if message["role"] == "tool"],
        [{name: message[name]} for message in messages for name in _FIELDS if name in message]
        + [call["extra_content"] for call in calls if "extra_content" in call],
    )


def told_anthropic(request: dict[str, Any]) -> Told:
    content = [block for turn in request["messages"] for block in blocks(turn["content"])]
    return (
        [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"],
        [
            (block["tool_use_id"], block.get("content", ""))
            for block in content
            if block["type"] == "tool_result"
        ],
        [block for block in content if block["type"] in THINKING],
    )
