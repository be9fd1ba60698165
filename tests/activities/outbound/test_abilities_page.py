"""Every example of docs/abilities.md is read, and called."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import SecretStr

from activities.outbound.client import Outbound
from domain.fetch import METHODS, Fetch
from domain.instructions import Prompt, parse
from domain.secret import Revealed
from tests.house import ROOT
from tests.tool_server import ToolServer

PAGE = (ROOT / "docs" / "abilities.md").read_text()
EXAMPLES = re.findall(r"^````markdown\n(.*?)\n````$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = [row.replace("\\|", "|").strip("` ") for row in re.findall(r"^\| (`\{.*?`) \|", PAGE, re.MULTILINE)]
SECRET = Revealed(type="plain", value=SecretStr("s3cret"))
SAMPLES: dict[str, Any] = {
    "string": "Zoe & Co/1",
    "integer": 3,
    "number": 1.5,
    "boolean": True,
    "object": {"a": 1},
}


def sample(schema: dict[str, Any]) -> Any:
    if schema["type"] == "array":
        return [sample(schema["items"])] * 2
    return schema["enum"][-1] if "enum" in schema else SAMPLES[schema["type"]]


def test_the_page_has_examples_of_every_kind() -> None:
    kinds = {parse(example).kind for example in EXAMPLES}

    assert kinds == {"fetch", "prompt"}
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("every", [True, False])
async def test_an_example_does_what_the_page_says(
    outbound: Outbound, tools: ToolServer, example: str, every: bool
) -> None:
    made = parse(example.replace("https://api.example.com", f"{tools.url}/echo"))
    told = made.parameters
    given = {
        name: sample(schema)
        for name, schema in told["properties"].items()
        if every or name in told["required"]
    }
    if isinstance(made, Prompt):
        assert all(str(value) in made.text(given) for value in given.values())
        return

    assert isinstance(made, Fetch)
    outgoing = made.request(given, SECRET if made.needs_secret else None)
    fetched = await outbound.call(outgoing, "run_1/2")

    heard = fetched.body
    assert fetched.status == 200
    assert heard["method"] == made.method
    assert f"{tools.url}{heard['path']}" == outgoing.url.partition("?")[0]
    assert heard["query"] == outgoing.url.partition("?")[2]
    assert heard["body"] == (outgoing.body or b"").decode()
    assert heard["headers"]["idempotency-key"] == "run_1/2"
    assert "s3cret" not in json.dumps(fetched.body)


@pytest.mark.parametrize("written", [row for row in ROWS if row != "{secret}"])
def test_a_parameter_of_the_page_can_be_written(written: str) -> None:
    defined = "{city: string} " if written == "{city}" else ""

    assert parse(f"```prompt\n{defined}{written}\n```").parameters["properties"]


def test_the_page_names_every_form_and_effect() -> None:
    assert len(ROWS) == 7
    assert all(method in PAGE for method in METHODS)
    assert r"\{" in PAGE
