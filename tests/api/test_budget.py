"""A run's budget of tokens: spent, it waits for more or ends, and failed attempts count."""

from __future__ import annotations

from typing import Any

from domain import ids
from tests.house import eventually
from tests.http import Api, inner
from tests.tenant import Tenant

JSON = dict[str, Any]
PLENTY = 1_000_000
LOOK: JSON = {
    "name": "look",
    "description": "looks",
    "parameters": {"type": "object", "properties": {}},
    "result": {"data": 1},
}


def asking(text: str, tokens: int, *functions: JSON, **more: Any) -> JSON:
    """The body of a stateless completion with a budget."""
    given = {"messages": [{"type": "user", "text": text}], "limits": {"tokens": tokens}}
    return given | {"functions": [*functions]} | more


async def fetched(api: Api, run: str) -> JSON:
    found: JSON = (await api.get(f"/v1/run/{run}/fetch")).body
    return found


async def short(api: Api, run: str) -> JSON:
    """The run once it waits for a higher budget."""

    async def check() -> JSON:
        told = (await api.get(f"/v1/run/{run}/progress")).body
        assert (told["source"], told["phase"], told["waits"]) == ("workflow", "budget", 1), told
        return await fetched(api, run)

    return await eventually(check)


async def dispatched(api: Api, *asked: Any, **more: Any) -> str:
    run: str = (await api.ok("/v1/conversation/dispatch", asking(*asked, **more)))["runId"]
    return run


async def ended(api: Api, run: str) -> JSON:
    """The last event of a run."""
    last: JSON = inner(await api.stream(f"/v1/run/{run}/subscribe"))[-1]
    return last


async def test_a_run_whose_budget_is_spent_waits_until_it_has_a_higher_one(tenant: Tenant) -> None:
    api = tenant.api
    run = await dispatched(api, "[model calls=1 tokens=3]", 1, LOOK)

    waiting = await short(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})
    last = await ended(api, run)

    assert (waiting["state"], waiting["budget"]) == ("running", 1)
    assert waiting["parkedAt"] >= waiting["begunAt"]
    assert waiting["spent"] == waiting["usage"]["token"] > 0
    assert (last["type"], last["data"]["end"]) == ("result", {"reason": "stop"})
    done = await fetched(api, run)
    assert (done["state"], done["budget"], "parkedAt" in done) == ("succeeded", PLENTY, False)
    assert done["spent"] == done["usage"]["token"] == last["data"]["usage"]["token"] > waiting["spent"]
    assert [(step["kind"], step["state"], step["attempt"]) for step in done["steps"]] == [
        ("model", "done", 1),
        ("call", "done", 0),
        ("model", "done", 1),
    ]
    assert [act["runId"] for act in await tenant.acts("run.budget")] == [run]


async def test_a_run_below_its_budget_goes_on_as_if_it_had_none(api: Api) -> None:
    answer = await api.ok("/v1/conversation/complete", asking("[model calls=1 rounds=3]", PLENTY, LOOK))

    assert answer["end"] == {"reason": "stop"}


async def test_a_budget_is_a_total_so_one_that_is_spent_already_is_refused(api: Api) -> None:
    run = await dispatched(api, "[model calls=1 tokens=3]", 1, LOOK)
    spent = (await short(api, run))["spent"]

    refused = await api.post(f"/v1/run/{run}/budget", {"tokens": spent})
    await api.ok(f"/v1/run/{run}/budget", {"tokens": spent + 1})

    assert (refused.status, refused.body["code"]) == (400, "BAD_REQUEST")
    assert str(spent) in refused.body["message"]
    assert (await ended(api, run))["type"] == "result"


async def test_a_raise_that_is_too_small_for_all_of_it_is_waited_for_again(api: Api) -> None:
    run = await dispatched(api, "[model calls=1 rounds=2 tokens=3]", 1, LOOK)
    first = await short(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": first["spent"] + 1})

    async def second() -> JSON:
        again = await short(api, run)
        assert again["spent"] > first["spent"]
        return again

    await eventually(second)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})
    assert (await ended(api, run))["data"]["end"] == {"reason": "stop"}


async def test_a_run_that_does_not_wait_can_be_given_another_budget(api: Api) -> None:
    body = {"messages": [{"type": "user", "text": "[model tokens=1000 delay=50]"}]}
    run = (await api.ok("/v1/conversation/dispatch", body))["runId"]

    await api.ok(f"/v1/run/{run}/budget", {"tokens": 7})
    told = await fetched(api, run)
    await api.ok(f"/v1/run/{run}/cancel")

    assert told["budget"] == 7


async def test_a_run_that_is_over_has_no_use_for_a_budget(api: Api) -> None:
    answer = await api.ok("/v1/conversation/complete", asking("[model tokens=1]", PLENTY))

    status, body, _ = await api.post(f"/v1/run/{answer['runId']}/budget", {"tokens": PLENTY + 1})

    assert (status, body["code"], body["runId"]) == (409, "CONFLICT", answer["runId"])


async def test_a_bot_may_have_its_runs_end_where_their_budget_is_spent(api: Api) -> None:
    bot = (await api.ok("/v1/bot/create", {"onBudget": "end"}))["id"]

    answer = await api.ok(
        "/v1/conversation/complete", asking("[model calls=1 say=2 tokens=3]", 1, LOOK, botId=bot)
    )

    assert answer["end"] == {"reason": "iteration"}
    assert answer["text"] != ""
    told = await fetched(api, answer["runId"])
    assert (told["state"], len(told["steps"])) == ("succeeded", 2)


async def test_what_a_bot_does_with_a_spent_budget_is_kept_changed_and_cloned(api: Api) -> None:
    bot = (await api.ok("/v1/bot/create", {"onBudget": "end"}))["id"]
    clone = (await api.ok(f"/v1/bot/{bot}/clone"))["id"]
    refused = await api.post(f"/v1/bot/{bot}/update", {"onBudget": "panic"})
    await api.ok(f"/v1/bot/{bot}/update", {"onBudget": "wait"})

    told = [(await api.get(f"/v1/bot/{one}/fetch")).body["onBudget"] for one in (bot, clone)]
    listed = (await api.get("/v1/bot/list?take=2")).body["items"]

    assert told == ["wait", "end"]
    assert {one["id"]: one["onBudget"] for one in listed} == {bot: "wait", clone: "end"}
    assert refused.status == 400
    await api.ok(f"/v1/bot/{bot}/update", {"onBudget": None})
    assert "onBudget" not in (await api.get(f"/v1/bot/{bot}/fetch")).body


async def test_an_attempt_that_failed_counts_for_the_budget_and_not_for_the_usage(api: Api) -> None:
    run = await dispatched(api, "[model tokens=40 cut=30 times=1]", 5)

    waiting = await short(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})
    last = await ended(api, run)

    # Thirty tokens of some three characters, and the prompt: a quarter of that.
    assert 20 < waiting["spent"] < 60
    assert waiting["usage"]["token"] == 0
    (step,) = waiting["steps"]
    assert (step["state"], step["errorCode"]) == ("failed", "MODEL_BROKEN")
    done = await fetched(api, run)
    assert done["usage"]["token"] == last["data"]["usage"]["token"] > 0
    assert done["spent"] == done["usage"]["token"] + waiting["spent"]


async def test_an_attempt_that_was_refused_at_once_has_spent_nothing(api: Api) -> None:
    answer = await api.ok("/v1/conversation/complete", asking("[model tokens=3 status=500 times=2]", 1))

    told = await fetched(api, answer["runId"])

    assert told["steps"][0]["attempt"] == 3
    assert told["spent"] == told["usage"]["token"] == answer["usage"]["token"]


async def test_a_bots_run_ends_where_a_failed_attempt_has_spent_its_budget(api: Api) -> None:
    bot = (await api.ok("/v1/bot/create", {"onBudget": "end"}))["id"]

    answer = await api.ok(
        "/v1/conversation/complete", asking("again [model tokens=40 cut=30 times=1]", 5, botId=bot)
    )

    assert (answer["end"], answer["text"]) == ({"reason": "iteration"}, "")


async def test_what_the_caller_is_to_answer_is_handed_over_whatever_is_spent(api: Api) -> None:
    mine = {name: value for name, value in LOOK.items() if name != "result"}

    answer = await api.ok("/v1/conversation/complete", asking("[model calls=1 tokens=3]", 1, mine))

    assert answer["end"] == {"reason": "activity"}


async def test_a_publish_is_heard_before_the_budget_is_waited_for(api: Api) -> None:
    channel = ids.channel()
    run = await dispatched(api, "[model calls=1 tokens=3]", 1, LOOK | {"result": {"channel": channel}})

    async def waits() -> None:
        assert (await api.get(f"/v1/run/{run}/progress")).body["phase"] == "calls"
        assert "parkedAt" in await fetched(api, run)

    await eventually(waits)
    await api.ok(f"/v1/channel/{channel}/publish", {"message": {"result": 7}})
    await short(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})

    assert (await ended(api, run))["data"]["end"] == {"reason": "stop"}


async def test_a_turn_that_waits_for_its_budget_is_cancelled_like_any_other(api: Api) -> None:
    conversation = await api.conversation()
    turn = f"/v1/conversation/{conversation}"
    body = {"text": "[model calls=1 tokens=3]", "functions": [LOOK], "limits": {"tokens": 1}}
    run = (await api.ok(f"{turn}/dispatch", body))["runId"]
    await short(api, run)

    await api.ok(f"/v1/run/{run}/cancel")
    after = await api.ok(f"{turn}/complete", {"text": "[model tokens=1]"})

    assert (await fetched(api, run))["state"] == "canceled"
    assert after["end"] == {"reason": "stop"}
