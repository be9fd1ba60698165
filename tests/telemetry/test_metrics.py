"""Metrics: what each process has done and how long it took, under few names and no ids."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from domain import ids
from telemetry.endpoint import serving
from tests.api.test_ability_runs import BLOCKED, made
from tests.api.test_budget import LOOK, asking, dispatched, short
from tests.house import House, eventually, standing
from tests.scrape import Scrape, scrape
from tests.tasks import new_task
from tests.telemetry.conftest import Watched
from tests.tenant import Tenant

ID = re.compile(r"\b[a-z]{2,8}_[0-9a-z]{26}\b")
COMPLETE = "/v1/conversation/{conversation}/complete"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One in which nobody else does what is counted, nor ends late what an earlier test began."""
    async with standing(tmp_path_factory.mktemp("counted")) as built:
        yield built


async def grown(house: House, before: Scrape, name: str, **labels: str) -> None:
    """Returns once the worker has counted one more; who has the answer may be quicker than that."""

    async def check() -> None:
        now = await scrape(house, "worker")
        assert now.sum(name, **labels) - before.sum(name, **labels) == 1, (name, labels)

    await eventually(check)


async def test_a_turn_is_counted_by_the_api_that_takes_it_and_the_worker_that_ends_it(
    house: House, tenant: Tenant
) -> None:
    conversation = await tenant.api.conversation(model="gpt-4.1")
    api, worker = await scrape(house, "api"), await scrape(house, "worker")

    await tenant.api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=3]"})

    now = await scrape(house, "api")
    for name, labels in (
        ("holdfast_http_requests_total", {"method": "POST", "route": COMPLETE, "status": "200"}),
        ("holdfast_http_request_seconds_count", {"route": COMPLETE}),
        ("holdfast_runs_accepted_total", {"kind": "turn", "lane": "interactive"}),
    ):
        assert now.sum(name, **labels) - api.sum(name, **labels) == 1, name
    ended = {"kind": "turn", "lane": "interactive", "state": "succeeded", "reason": "stop"}
    await grown(house, worker, "holdfast_runs_ended_total", **ended)
    for name in ("run_begin_seconds", "run_first_token_seconds", "run_answer_seconds"):
        await grown(house, worker, f"holdfast_{name}_count", lane="interactive")
    model = {"provider": "openai", "family": "gpt-4.1"}
    await grown(house, worker, "holdfast_model_calls_total", outcome="answered", **model)
    await grown(house, worker, "holdfast_model_first_token_seconds_count", **model)
    told = await scrape(house, "worker")
    tokens = {
        direction: told.sum("holdfast_model_tokens_total", direction=direction, **model)
        for direction in ("input", "output")
    }
    assert tokens["output"] - worker.sum("holdfast_model_tokens_total", direction="output", **model) == 3
    assert tokens["input"] > worker.sum("holdfast_model_tokens_total", direction="input", **model)
    assert told.sum("holdfast_log_flush_events_count") > worker.sum("holdfast_log_flush_events_count")


async def test_a_failed_a_cancelled_and_an_interrupted_run_are_told_apart(
    house: House, tenant: Tenant
) -> None:
    conversation = await tenant.api.conversation()
    path = f"/v1/conversation/{conversation}"
    api, worker = await scrape(house, "api"), await scrape(house, "worker")

    await tenant.api.post(f"{path}/complete", {"text": "[model status=400]"})
    slow = await tenant.api.ok(f"{path}/dispatch", {"text": "[model tokens=1000 delay=50]"})
    await tenant.api.ok(f"{path}/complete", {"text": "[model tokens=1]", "onBusy": "interrupt"})
    other = await tenant.api.ok(f"{path}/dispatch", {"text": "[model tokens=1000 delay=50]"})
    await tenant.api.ok(f"/v1/run/{other['runId']}/cancel")

    assert slow["runId"] != other["runId"]
    await grown(house, worker, "holdfast_runs_ended_total", state="failed", reason="MODEL_REFUSED")
    await grown(house, worker, "holdfast_model_calls_total", outcome="MODEL_REFUSED")
    now = await scrape(house, "api")
    for state, lane in (("canceled", "background"), ("interrupted", "background")):
        labels = {"kind": "turn", "lane": lane, "state": state, "reason": state}
        assert (
            now.sum("holdfast_runs_ended_total", **labels) - api.sum("holdfast_runs_ended_total", **labels)
            == 1
        )


async def test_a_run_that_was_rolled_back_and_one_that_was_merged_are_told_apart(
    house: House, tenant: Tenant
) -> None:
    path = f"/v1/conversation/{await tenant.api.conversation()}"
    api, worker = await scrape(house, "api"), await scrape(house, "worker")

    await tenant.api.ok(f"{path}/dispatch", {"text": "[model tokens=1000 delay=50]"})
    await tenant.api.ok(f"{path}/dispatch", {"text": "[model tokens=20 delay=200]", "onBusy": "rollback"})
    await tenant.api.ok(f"{path}/complete", {"text": "[model tokens=1]", "onBusy": "steer"})

    merged = {"kind": "turn", "lane": "interactive", "state": "merged", "reason": "merged"}
    await grown(house, worker, "holdfast_runs_ended_total", **merged)
    undone = {"kind": "turn", "lane": "background", "state": "rolled_back", "reason": "rolled_back"}
    ended = "holdfast_runs_ended_total"
    assert (await scrape(house, "api")).sum(ended, **undone) - api.sum(ended, **undone) == 1


async def test_calls_of_tools_are_counted_by_who_answers_them_and_what_came_of_it(
    house: House, tenant: Tenant
) -> None:
    api, channel = tenant.api, ids.channel()
    before = await scrape(house, "worker")

    for instruction, given in ((None, "you"), (BLOCKED, "you")):
        execute, _ = await made(api, *([instruction] if instruction else []))
        await api.ok(execute, {"input": given})
    waiting = LOOK | {"name": "wait", "result": {"channel": channel}}
    mine = {name: value for name, value in LOOK.items() if name != "result"} | {"name": "mine"}
    for tool in ("look", "nothing", "wait", "mine"):
        await api.ok(f"/v1/channel/{channel}/publish", {"message": {"error": "no", "for": tool}})
        asked = asking(f"[model calls=1 tool={tool} tokens=1]", 10**6, LOOK, waiting, mine)
        await api.ok("/v1/conversation/complete", asked)

    for kind, outcome, effect in (
        ("ability", "answered", "idempotent"),
        ("ability", "TOOL_BLOCKED", "once"),
        ("data", "answered", "none"),
        ("unknown", "BAD_ARGUMENTS", "none"),
        ("channel", "FUNCTION_FAILED", "none"),
        ("caller", "handed_over", "none"),
    ):
        labels = {"kind": kind, "outcome": outcome, "effect": effect}
        await grown(house, before, "holdfast_tool_calls_total", **labels)
    now = await scrape(house, "worker")
    seconds = "holdfast_tool_call_seconds_count"
    assert now.sum(seconds, kind="ability") - before.sum(seconds, kind="ability") == 2
    assert now.sum(seconds, kind="channel") - before.sum(seconds, kind="channel") == 1
    ended = {"kind": "ability", "lane": "interactive", "state": "succeeded", "reason": "stop"}
    name = "holdfast_runs_ended_total"
    assert now.sum(name, **ended) - before.sum(name, **ended) == 2
    handed = {"kind": "completion", "state": "succeeded", "reason": "activity"}
    assert now.sum(name, **handed) - before.sum(name, **handed) == 1


async def test_what_a_call_decides_of_a_tasks_times_is_counted_and_how_late_their_runs_begin(
    house: House, tenant: Tenant
) -> None:
    account = tenant.account
    ago = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    due = {"every": 86_400_000, "start_at": ago, "next_at": ago, "description": "[model tokens=1]"}
    paused, resumed, updated = [
        await new_task(house.store, account, **due, paused_at=at) for at in (None, ago, None)
    ]
    api, worker = await scrape(house, "api"), await scrape(house, "worker")

    await tenant.api.ok(f"/v1/task/{paused}/pause", {})
    await tenant.api.ok(f"/v1/task/{resumed}/resume", {})
    await tenant.api.ok(f"/v1/task/{updated}/update", {"overlap": "buffer_all"})

    told = await scrape(house, "api")
    for name, labels, count in (
        ("holdfast_occurrences_total", {"became": "ran"}, 2),
        ("holdfast_occurrences_total", {"became": "paused"}, 1),
        ("holdfast_runs_accepted_total", {"kind": "task_run", "lane": "scheduled"}, 2),
    ):
        assert told.sum(name, **labels) - api.sum(name, **labels) == count, (name, labels)

    async def begun() -> float:
        now = await scrape(house, "worker")
        name = "holdfast_run_due_seconds"
        assert now.sum(f"{name}_count") - worker.sum(f"{name}_count") == 2
        return now.sum(f"{name}_sum") - worker.sum(f"{name}_sum")

    assert 10 <= await eventually(begun) < 60


async def test_an_open_stream_is_seen_for_as_long_as_somebody_listens(house: House, tenant: Tenant) -> None:
    name, route = ids.channel(), "/v1/channel/{channel}/subscribe"
    await tenant.api.ok(f"/v1/channel/{name}/publish", {"message": {"a": 1}})
    before = (await scrape(house, "api")).sum("holdfast_streams_open", route=route)

    async def open_(count: int) -> None:
        assert (await scrape(house, "api")).sum("holdfast_streams_open", route=route) - before == count

    async with tenant.api.streaming(f"/v1/channel/{name}/subscribe") as events:
        await anext(events)
        await eventually(lambda: open_(1))
    await eventually(lambda: open_(0))


async def test_what_callers_make_up_makes_no_series(house: House, tenant: Tenant) -> None:
    conversation = await tenant.api.conversation(model="made-up-by-a-caller")
    await tenant.api.post(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1]"})
    made_up = LOOK | {"name": "made_up"}
    asked = asking("[model calls=1 tool=made_up,made_too tokens=1]", 10**6, made_up)
    await tenant.api.ok("/v1/conversation/complete", asked)
    execute, _ = await made(tenant.api, "```fetch\nGET http://10.0.0.1/made/up\n```")
    await tenant.api.ok(execute)
    for path in (f"/v1/{ids.new('made')}", "/made/up", f"/v1/run/{ids.run()}/fetch", "/v1/run/made-up/fetch"):
        await tenant.api.raw("GET", path)
        await tenant.api.raw("MADEUP", path)

    async def told() -> None:
        both = [await scrape(house, name) for name in ("api", "worker")]
        assert both[1].sum("holdfast_model_calls_total", family="other") > 0
        for one in both:
            ours = "\n".join(line for line in one.text.splitlines() if "holdfast_" in line)
            assert ID.findall(ours) == []
            assert "made" not in ours.lower().replace("runs made durable", "")

    await eventually(told)


async def test_every_process_tells_temporals_metrics_and_its_own_state_in_the_same_scrape(
    house: House, tenant: Tenant
) -> None:
    await tenant.api.ok(
        "/v1/conversation/complete", {"messages": [{"type": "user", "text": "[model tokens=1]"}]}
    )

    for name in ("api", "worker"):
        told = await scrape(house, name)

        assert told.sum("process_resident_memory_bytes") > 10_000_000
        assert told.sum("holdfast_postgres_connections_limit", pool="main") == 16
        assert told.sum("holdfast_postgres_connections_used", pool="main") <= 16
        assert told.sum("holdfast_loop_lag_seconds_count") > 0
        assert told.sum("temporal_request_total") > 0
    assert told.sum("temporal_worker_task_slots_available") > 0
    assert told.sum("holdfast_sweeper_plans_total", action="started") > 0


async def test_metrics_are_not_on_the_port_that_callers_reach(house: House) -> None:
    async with house.api() as api:
        assert (await api.get("/metrics")).status == 404
    async with aiohttp.ClientSession() as session:
        where = f"http://127.0.0.1:{house.ports['api_metrics']}/v1/run/list"
        async with session.get(where) as answer:
            assert answer.status == 404


async def test_lines_and_runs_at_work_are_told_by_lane_even_while_nobody_asks_postgres(
    watched: Watched,
) -> None:
    house, api, _ = watched
    runs = [
        (
            await api.ok(
                "/v1/conversation/dispatch",
                {"messages": [{"type": "user", "text": "[model tokens=1000 delay=50]"}]},
            )
        )["runId"]
        for _ in range(3)
    ]

    async def queued() -> None:
        for name in ("api", "worker"):
            told = await scrape(house, name)
            assert told.sum("holdfast_queue_read") == 1
            assert told.sum("holdfast_queue_runs", place="active", lane="background") == 1
            assert told.sum("holdfast_queue_runs", place="waiting", lane="background") == 2
            assert told.sum("holdfast_queue_runs", lane="interactive") == 0
            assert told.sum("holdfast_queue_oldest_seconds", place="waiting", lane="background") > 0

    await eventually(queued)
    for run in runs:
        await api.ok(f"/v1/run/{run}/cancel")


async def test_runs_that_only_wait_are_told_apart_and_what_they_wait_for(watched: Watched) -> None:
    house, api, _ = watched
    runs = [await dispatched(api, "[model calls=1 tokens=1]", 1, LOOK)]
    await short(api, runs[0])
    functions = [LOOK | {"result": {"channel": ids.channel()}}]
    body = {"messages": [{"type": "user", "text": "[model calls=1 tokens=1]"}], "functions": functions}
    # The first has left its place, though there is one only.
    runs.append((await api.ok("/v1/conversation/dispatch", body))["runId"])

    async def waiting(*, publish: int, budget: int) -> None:
        for name in ("api", "worker"):
            told = await scrape(house, name)
            assert told.sum("holdfast_waits", what="publish") == publish
            assert told.sum("holdfast_waits", what="budget") == budget
            assert told.sum("holdfast_waits", what="time") == 0
            assert told.sum("holdfast_queue_runs", place="parked", lane="background") == publish + budget
            assert told.sum("holdfast_queue_runs", place="active") == 0

    await eventually(lambda: waiting(publish=1, budget=1))
    for run in runs:
        await api.ok(f"/v1/run/{run}/cancel")
    await eventually(lambda: waiting(publish=0, budget=0))


async def test_a_scrape_is_answered_while_postgres_is_away(watched: Watched) -> None:
    house, _, _ = watched
    house.stop("postgres")

    told = await scrape(house, "api")

    assert told.sum("holdfast_queue_read") == 0
    samples = {sample.name for family in told.families.values() for sample in family.samples}
    assert not {"holdfast_queue_runs", "holdfast_waits"} & samples
    assert told.sum("process_resident_memory_bytes") > 0
    house.start("postgres")
    await house.ready()


def test_a_port_that_is_taken_is_named_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(OSError), serving("127.0.0.1", port, lambda: b""):  # noqa: PT011 any will do
            pass

    assert f"HOLDFAST_METRICS_PORT: 127.0.0.1:{port} cannot be served" in caplog.text
