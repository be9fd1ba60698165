"""A model call as the turns, the system prompt and the tools of Anthropic's messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from activities.providers.anthropic_thoughts import Past, rebuilt
from activities.providers.calls import Ids, given, spelled
from domain.completion import Tool

if TYPE_CHECKING:
    from domain.completion import ModelCall, Prompt

OPENING = "Please begin."
"""The user's first turn where the user has said nothing: the format wants one."""
GOING_ON = "Please go on."
"""The user's turn where the model had the last word: that would be taken for an answer to finish."""
_FIRST = "Call the tool `{}` now, before anything else."

_UNFORCEABLE = re.compile(r"claude-((fable|mythos)-5-[1-9]|(opus|sonnet)-5-[5-9])(-|$)")
"""Models that refuse a request which forces a tool; it is asked for in words, and no other is offered."""

Block = dict[str, object]


class Asked(NamedTuple):
    """The body of a request but for its parameters, and a digest of it."""

    body: dict[str, object]
    past: str
    forced: bool
    """The model must call a certain tool."""
    amid: bool
    """The last turns are calls without thinking in front of them, and their results."""


def asked(call: ModelCall) -> Asked:
    choice, tools = _tools(call)
    system = _system(call, unforced=call.must_call is not None and "tool_choice" not in choice)
    turns = _Turns(call.model.name, Past(call.model.name, system, tools))
    for prompt in call.prompts:
        turns.take(prompt)
    turns.close()
    body: dict[str, object] = {"messages": turns.turns, **choice}
    if tools:
        body["tools"] = tools
    if system:
        body["system"] = system
    return Asked(body, turns.past.digest(), call.must_call is not None and bool(choice), turns.amid)


def _system(call: ModelCall, *, unforced: bool) -> str:
    """All of them, wherever they stood: older models and other servers know no system turns, and turns of the
    user carry a user's authority only, and any user could write their like."""
    said = [prompt.text for prompt in call.prompts if prompt.role == "system" and prompt.text.strip()]
    return "\n\n".join([*said, _FIRST.format(call.must_call)] if unforced else said)


def _tools(call: ModelCall) -> tuple[dict[str, object], list[Block]]:
    """`tool_choice`, and the tools.

    A history with calls is refused by many servers of the format when no tools come with it: those it speaks
    of are shown then, not to be called.
    """
    if not call.tools:
        past = [_tool(tool) for tool in _past(call)]
        return ({"tool_choice": {"type": "none"}} if past else {}), past
    if call.must_call is None:
        return {}, [_tool(tool) for tool in call.tools]
    if _UNFORCEABLE.match(call.model.name):
        return {}, [_tool(tool) for tool in call.tools if tool.name == call.must_call]
    choice = {"type": "tool", "name": call.must_call}
    return {"tool_choice": choice}, [_tool(tool) for tool in call.tools]


def _past(call: ModelCall) -> list[Tool]:
    names = dict.fromkeys(spelled(asked.name) for prompt in call.prompts for _, asked in prompt.calls)
    parameters = {"type": "object"}
    return [Tool(name=name, description="Not there any more.", parameters=parameters) for name in names]


def _tool(tool: Tool) -> Block:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


class _Turns:
    """The user's and the model's, one after the other, the user's first and last.

    Results of calls are the user's, in front of whatever else the user says in that turn.
    """

    def __init__(self, model: str, past: Past) -> None:
        self.turns: list[dict[str, object]] = []
        self.past = past
        self.amid = False
        self._model = model
        self._ids = Ids()
        self._said: list[Block] = []
        """The user's turn that is open."""

    def take(self, prompt: Prompt) -> None:
        if prompt.role == "assistant":
            self._answer(prompt)
        elif prompt.role == "tool":
            self._said.append(self._result(prompt))
        elif prompt.role == "user":
            self._said += _text(prompt.text)

    def close(self) -> None:
        """End the user's turn."""
        if not self._said:
            self._said = _text(GOING_ON if self.turns else OPENING)
        results = [block for block in self._said if block["type"] == "tool_result"]
        self.amid = self.amid and bool(results)
        self._turn("user", [*results, *(block for block in self._said if block["type"] != "tool_result")])
        self._said = []

    def _answer(self, prompt: Prompt) -> None:
        """One of the model's; what is blank and asks for nothing is refused, and left out."""
        if not prompt.text.strip() and not prompt.calls:
            return
        self.close()
        uses = [_use(self._ids.asked(id_), call.name, call.arguments) for id_, call in prompt.calls]
        thought = rebuilt(prompt.carry, self._model, self.past.digest(), prompt.text, uses)
        self.amid = bool(uses) and thought is None
        self._turn("assistant", [*_text(prompt.text), *uses] if thought is None else thought)

    def _turn(self, role: str, blocks: list[Block]) -> None:
        plain = blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks
        self.turns.append({"role": role, "content": plain})
        self.past.add(self.turns[-1])

    def _result(self, prompt: Prompt) -> Block:
        result: Block = {"type": "tool_result", "tool_use_id": self._ids.answered(prompt.call_id)}
        return {**result, "content": prompt.text} if prompt.text.strip() else result


def _use(id_: str, name: str, arguments: str) -> Block:
    return {"type": "tool_use", "id": id_, "name": spelled(name), "input": given(arguments)}


def _text(text: str) -> list[Block]:
    return [{"type": "text", "text": text}] if text.strip() else []
