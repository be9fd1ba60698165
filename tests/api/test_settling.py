"""How an agent's word ends its background run, whatever else the same answer asks for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_abilities import ability, get
from tests.api.test_agent import asking, function, on, steps, stored
from tests.house import eventually
from tests.http import Api, inner
from tests.tool_server import ToolServer

JSON = dict[str, Any]
SETTLE: JSON = {"features": [{"name": "settle"}]}
NOT_WAITED = "Not waited for: the run was ended."


async def ended(api: Api, body: JSON) -> tuple[JSON, list[tuple[str, Any, bool]]]:
    """The result of a dispatch, and of each of its calls: the name, the answer, whether it failed."""
    dispatched = await api.ok("/v1/conversation/dispatch", body)
    events = inner(await api.stream(f"/v1/run/{dispatched['runId']}/subscribe"))
    acts = [event["data"]["meta"]["activity"] for event in events if "meta" in event["data"]]
    answers = [act for act in acts if act["type"] == "response"]
    told = [(act["function"]["name"], act["function"]["result"], act.get("failed", False)) for act in answers]
    return events[-1]["data"], told


@pytest.mark.parametrize("tools", ["look,_success", "_success,look"])
@pytest.mark.parametrize("kind", ["channel", "caller"])
async def test_who_ends_its_run_waits_for_nobody(api: Api, channel: str, tools: str, kind: str) -> None:
    look = on("look", channel) if kind == "channel" else function("look")
    body = asking(f"[model calls=2 tool={tools} args=summary:finished]", look) | {"extensions": SETTLE}

    last, answers = await ended(api, body)

    assert (last["text"], last["outcome"], last["end"]) == ("finished", "success", {"reason": "stop"})
    assert ("look", NOT_WAITED, True) in answers


async def test_the_first_end_counts_and_nothing_is_delayed_beside_it(api: Api) -> None:
    asked = asking("[model calls=3 tool=_failure,_success,_delay args=summary:gone,seconds:90000]")

    last, answers = await ended(api, asked | {"extensions": SETTLE})

    assert (last["text"], last["outcome"]) == ("gone", "failure")
    assert [(name, failed) for name, _, failed in answers] == [
        ("_failure", False),
        ("_success", True),
        ("_delay", True),
    ]
    assert all("ended by another call" in result for _, result, failed in answers if failed)


async def test_abilities_beside_an_end_are_called_all_the_same(
    api: Api, tools: ToolServer, channel: str
) -> None:
    slow = ability("slow", get(tools.url + "/slow=300/beside?q={summary: string}"))
    body = asking("[model calls=3 tool=slow,look,_success args=summary:finished]", on("look", channel))
    more = SETTLE | {"skillsets": [{"abilities": [slow]}]}

    last, answers = await ended(api, body | {"extensions": more})

    assert last["outcome"] == "success"
    assert tools.calls["beside"].executed == 1
    assert {name for name, _, failed in answers if not failed} == {"slow", "_success"}


async def test_how_an_agent_ends_its_run_is_heard_over_the_limit_of_its_calls(api: Api) -> None:
    body = asking(
        "[model calls=3 tool=look,look,_failure args=summary:gone]", function("look", result={"data": 1})
    )

    last, answers = await ended(api, body | {"extensions": SETTLE, "limits": {"calls": 1}})

    assert (last["text"], last["outcome"], last["end"]) == ("gone", "failure", {"reason": "stop"})
    assert [(name, failed) for name, _, failed in answers] == [
        ("look", False),
        ("look", True),
        ("_failure", False),
    ]


async def test_an_end_whose_summary_was_deleted_ends_with_the_last_words(api: Api, tools: ToolServer) -> None:
    conversation = await api.conversation()
    slow = ability("slow", get(tools.url + "/slow=5000/deleted?q={summary: string}"))
    body = {
        "text": "[model calls=2 say=3 tool=slow,_success args=summary:secret]",
        "extensions": SETTLE | {"skillsets": [{"abilities": [slow]}]},
    }
    dispatched = await api.ok(f"/v1/conversation/{conversation}/dispatch", body)

    async def asked() -> list[JSON]:
        messages = await stored(api, conversation)
        assert len(messages) > 3
        return messages

    (_, said, *acts) = await eventually(asked)
    (summary,) = [
        act
        for act in acts
        if act["meta"]["activity"]["function"]["arguments"].get("summary") == "secret"
        and act["meta"]["activity"]["type"] == "request"
        and act["meta"]["activity"]["function"]["name"] == "_success"
    ]
    await api.ok(f"/v1/conversation/{conversation}/message/{summary['id']}/delete")
    events = inner(await api.stream(f"/v1/run/{dispatched['runId']}/subscribe"))

    last = events[-1]["data"]
    assert (last["text"], last["id"], last["outcome"]) == (said["text"], said["id"], "success")
    assert [one["text"] for one in await stored(api, conversation) if one["type"] == "bot"] == [said["text"]]
    assert (await steps(api, dispatched["runId"]))[-1]["state"] == "done"
