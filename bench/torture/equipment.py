"""What an operation hands its agent: tools that misbehave, functions, and when its model is to call them."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from bench.torture.words import CANARY

LOOKS = (
    "echo",
    "slow=150",
    "slow=700",
    "times=1/status=503",
    "times=1/early",
    "times=1/late",
    "times=2/cut",
    "status=404",
)
PAYS = ("echo", "slow=150", "slow=700", "late", "early", "status=500")
"""See tests/tool_server.py. A look may be taken again; what pays may not."""
SILENT_SECONDS = 20
ONCE = "-pay"
"""What the names of tools end with whose effect is `once`."""


class Equipment(NamedTuple):
    """`calls` is what the model is told of it, `body` what the request says."""

    calls: str
    body: dict[str, Any]
    channel: str | None = None


def tools(op: str, chance: random.Random, url: str) -> Equipment:
    """Abilities of both effects and a function with data, some at once, for some rounds. Whatever they are
    called and told has words of the operation."""
    body = {
        "functions": [function("known", {"data": {"of": op}})],
        "extensions": {"skillsets": [{"name": "torture", "abilities": _abilities(op, chance, url)}]},
    }
    names = ["look", "pay", *chance.choices(("look", "look", "pay", "known"), k=chance.randint(0, 2))]
    return Equipment(_calls(chance, chance.sample(names, len(names)), 4), body)


def waits(op: str, chance: random.Random, url: str, channel: str) -> Equipment:
    """A function that is answered on a channel, now and then with an ability beside it."""
    body: dict[str, Any] = {"functions": [function("ask", {"channel": channel})]}
    names = ["ask"]
    if chance.random() < 0.3:
        names.append("look")
        body["extensions"] = {"skillsets": [{"name": "torture", "abilities": _abilities(op, chance, url)}]}
    return Equipment(_calls(chance, names, 2), body, channel)


def silence(chance: random.Random, channel: str) -> Equipment:
    """A function that nobody answers."""
    result = {"channel": channel, "waitSeconds": SILENT_SECONDS}
    return Equipment(_calls(chance, ["ask"], 2), {"functions": [function("ask", result)]})


def callers(chance: random.Random) -> Equipment:
    """A function that the caller answers with another call."""
    return Equipment(f"calls={chance.randint(1, 2)} tool=mine", {"functions": [function("mine")]})


def settles(word: str, argument: str) -> Equipment:
    """A tool with which an agent settles its own background run."""
    body = {"extensions": {"features": [{"name": "settle"}]}}
    return Equipment(f"calls=1 tool={word} args={argument}", body)


def ask(channel: str) -> Equipment:
    """One wait on a channel."""
    return Equipment("calls=1 tool=ask", {"functions": [function("ask", {"channel": channel})]}, channel)


def one(op: str, url: str, ability: str, fault: str) -> Equipment:
    """One call of one ability."""
    abilities = [_look(op, url, fault) if ability == "look" else _pay(op, url, fault)]
    return Equipment(
        f"calls=1 tool={ability}",
        {"extensions": {"skillsets": [{"name": "torture", "abilities": abilities}]}},
    )


def function(name: str, result: dict[str, Any] | None = None) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = {"name": name, "description": f"does {name}", "parameters": schema}
    return made if result is None else made | {"result": result}


def _abilities(op: str, chance: random.Random, url: str) -> list[dict[str, Any]]:
    return [_look(op, url, chance.choice(LOOKS)), _pay(op, url, chance.choice(PAYS))]


def _look(op: str, url: str, fault: str) -> dict[str, Any]:
    return _ability("look", f"GET {url}/{fault}/{CANARY}-{op}-look?n={{n: integer}}")


def _pay(op: str, url: str, fault: str) -> dict[str, Any]:
    return _ability("pay", f'POST {url}/{fault}/{CANARY}-{op}{ONCE}\n\n{{"n": {{n: integer}}}}')


def _ability(name: str, request: str) -> dict[str, Any]:
    return {"name": name, "description": f"does {name}", "instruction": f"```fetch\n{request}\n```"}


def _calls(chance: random.Random, names: list[str], most: int) -> str:
    return f"calls={chance.randint(1, most)} rounds={chance.choice((1, 1, 2, 3))} tool={','.join(names)}"
