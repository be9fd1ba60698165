"""Bodies with more in them than anybody needs: refused at once, by name, while others are served."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any

import pytest

from api.bodies import parse
from api.completions import Complete
from api.functions import MOST
from domain.errors import BadRequest
from tests.tenant import Tenant

HI = {"type": "user", "text": "hi"}
LONG_QUERY = f"```fetch\nGET https://api.example.com/?{'a&' * 4_000}\n```"


def packed(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def abilities(*instructions: str) -> dict[str, Any]:
    given = [{"name": "a", "description": "d", "instruction": instruction} for instruction in instructions]
    return {"messages": [HI], "extensions": {"skillsets": [{"abilities": given}]}}


CALL = {"type": "request", "function": {"name": "f", "arguments": {"a": [[]] * 9_900}}}
CROWDED: dict[str, tuple[bytes, str]] = {
    "numbers for messages": (b'{"messages":[' + b"1," * 2_000_000 + b"1]}", "messages: a list or an object"),
    "messages of mistakes": (
        packed({"messages": [HI | {str(n): 1 for n in range(50)}] * 8_000}),
        "messages: there are more than 250,000 values",
    ),
    "empty messages": (packed({"messages": [{}] * 10_000}), r"messages\.0\.type: Field required"),
    "unknown fields": (packed({str(n): 1 for n in range(300_000)}), "The body: a list or an object"),
    "arguments": (
        packed({"messages": [{"type": "activity", "text": "", "meta": {"activity": CALL}}] * 130}),
        "messages: there are more than 250,000 values",
    ),
    "functions": (b'{"functions":[' + b"[]," * 1_000_000 + b"1]}", "functions: a list or an object"),
    "brackets": (b'{"meta":' + b"[" * 3_000_000, "meta: there are more than 250,000 values"),
    "no JSON": (b"]" * 20_000 + b"," * 20_000, "The body: a list or an object"),
    "instructions": (
        packed(abilities(*["```prompt\n" + "x" * 60_000 + "\n```"] * 17)),
        r"extensions\.skillsets: .*the instructions have more than 1,000,000 characters",
    ),
}


@pytest.mark.parametrize("name", CROWDED)
def test_a_crowded_body_is_refused_by_the_name_of_its_field(name: str) -> None:
    raw, words = CROWDED[name]

    with pytest.raises(BadRequest, match=words):
        parse(Complete, raw)


@pytest.mark.parametrize("name", [*CROWDED, "long queries"])
async def test_while_a_crowded_body_is_read_others_are_served(tenant: Tenant, name: str) -> None:
    """Ten seconds were the worst, and two where instructions were many; a busy machine has half of one."""
    raw = CROWDED[name][0] if name in CROWDED else packed(abilities(*[LONG_QUERY] * MOST, "no instruction"))
    headers = {"Content-Type": "application/json"}
    asked = asyncio.ensure_future(
        tenant.api.raw("POST", "/v1/conversation/complete", io.BytesIO(raw), **headers)
    )
    slowest = 0.0
    while not asked.done():
        begun = time.monotonic()
        assert (await tenant.api.get("/health/live")).status == 200
        slowest = max(slowest, time.monotonic() - begun)

    assert (await asked).status == 400
    assert slowest < 0.5


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [HI | {"text": "a, b [c] {d} " * 70_000}] * 4},
        {"messages": [HI | {"text": '"\\,' * 20_000}]},
        {"messages": [HI | {"meta": {"a": [1, 2, {"b": "c"}]}}] * 10_000},
        abilities(*["```prompt\n" + "x" * 9_900 + "\n```"] * MOST),
    ],
)
def test_what_people_send_is_far_from_crowded(body: Any) -> None:
    assert len(parse(Complete, packed(body)).messages) == len(body["messages"])


def test_a_nul_is_found_behind_whatever_backslashes() -> None:
    for slashes in range(1, 6):
        raw = b'{"messages":[{"type":"user","text":"' + b"\\" * slashes + b'u0000"}]}'
        if slashes % 2:
            with pytest.raises(BadRequest, match="NUL"):
                parse(Complete, raw)
        else:
            assert parse(Complete, raw).messages[0].text == "\\" * (slashes // 2) + "u0000"


def test_bodies_that_ask_the_same_are_one_text_in_whatever_order() -> None:
    one, other = (
        parse(Complete, packed({"messages": [HI | {"meta": meta}]}))
        for meta in ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1})
    )

    assert one.asked == other.asked
    assert json.loads(f"{{{one.asked}}}") == {"messages": [HI | {"meta": {"a": 1, "b": {"c": 1, "d": 2}}}]}
    assert one.asked != parse(Complete, packed({"messages": [HI] * 2})).asked
