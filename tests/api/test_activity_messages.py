"""Activity messages: calls of tools, and what came of them, as callers hand them in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_functions_at_the_door import nested, refused
from tests.tenant import Tenant

ACTIVITY = {
    "type": "response",
    "function": {"name": "weather", "arguments": "{}", "result": {"sun": nested(20)}},
}
WRONG_ACTIVITIES: list[Any] = [
    None,
    {},
    {"activity": None},
    {"activity": {"type": "request"}},
    {"activity": {"type": "call", "function": {"name": "f"}}},
    {"activity": {"type": "request", "function": {"name": "f", "arguments": [1]}}},
    {"activity": {"type": "request", "function": {"name": "f"}, "nonsense": 1}},
    {"activity": {"type": "response", "function": {"name": "f", "result": nested(33)}}},
    {"activity": {"type": "response", "function": {"name": "f", "result": "r" * 1_000_001}}},
]


@pytest.mark.parametrize("meta", WRONG_ACTIVITIES)
async def test_an_activity_message_needs_its_activity(tenant: Tenant, meta: Any) -> None:
    message = {"type": "activity", "text": "", "meta": meta}

    for path, body in (
        ("/conversation/create", {"messages": [message]}),
        ("/conversation/complete", {"messages": [message]}),
        ("/conversation/dispatch", {"messages": [message]}),
        ("/conversation/{}/message/create", message),
    ):
        status, told = await refused(tenant, path, body)
        assert (status, "meta" in told) == (400, True)


@pytest.mark.parametrize("result", [nested(20), "r" * 500_000, None, 0])
async def test_an_activity_message_is_kept_as_it_came(tenant: Tenant, result: Any) -> None:
    function = {"name": "weather", "arguments": "{}", "result": result}
    meta = {"activity": {"type": "response", "function": function, "failed": False}, "mine": 1}
    message = {"type": "activity", "text": "", "meta": meta}

    conversation = await tenant.api.conversation(messages=[message])
    await tenant.api.ok(f"/v1/conversation/{conversation}/message/create", message)

    found = (await tenant.api.get(f"/v1/conversation/{conversation}/message/list")).body["items"]
    assert [(one["type"], one["text"], one["meta"]) for one in found] == [
        ("activity", "", message["meta"])
    ] * 2


async def test_what_would_not_be_kept_of_other_messages_is_kept_of_no_other(tenant: Tenant) -> None:
    message = {"type": "user", "text": "", "meta": {"activity": ACTIVITY}}

    status, told = await refused(tenant, "/conversation/create", {"messages": [message]})

    assert (status, "messages.0.meta" in told) == (400, True)


async def test_an_update_leaves_no_activity_message_without_its_activity(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    path = f"/v1/conversation/{conversation}/message"
    whole = {"activity": {"type": "request", "function": {"name": "f"}}}
    activity = (await tenant.api.ok(f"{path}/create", {"type": "activity", "text": "", "meta": whole}))["id"]
    user = (await tenant.api.ok(f"{path}/create", {"type": "user", "text": "x"}))["id"]

    refusals: list[tuple[str, dict[str, Any]]] = [
        (activity, {"meta": None}),
        (activity, {"meta": {"activity": {"type": "request"}}}),
        (activity, {"meta": {"activity": None}}),
        (user, {"type": "activity"}),
        (user, {"type": "activity", "meta": {"a": 1}}),
    ]
    for message, change in refusals:
        status, told, _ = await tenant.api.post(f"{path}/{message}/update", change)
        assert (status, "meta" in told["message"]) == (400, True), change

    await tenant.api.ok(f"{path}/{activity}/update", {"meta": {"mine": 1}, "text": "said"})
    await tenant.api.ok(f"{path}/{user}/update", {"type": "activity", "meta": whole})
    await tenant.api.ok(f"{path}/{activity}/update", {"type": "user", "meta": None})
    listed = (await tenant.api.get(f"{path}/list?order=asc")).body["items"]
    assert [(one["type"], one["meta"]) for one in listed] == [("user", {}), ("activity", whole)]
