"""A chat on a page of another origin, in a real browser, with nothing but a session's token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.visit import Site
from tests.tenant import Tenant

pytestmark = pytest.mark.slow

ASK = """
const call = (path, init = {}, token = given.token) => fetch(given.api + path, {
  ...init, headers: {authorization: `Bearer ${token}`, "content-type": "application/json", ...init.headers},
});
const post = (path, body, headers = {}) => call(path, {method: "POST", body: JSON.stringify(body), headers});
const path = `/v1/conversation/${given.conversation}`, say = {text: "[model tokens=5]"};
"""

CHAT = (
    ASK
    + """
await attempt("whole", async () => {
  const answer = await post(`${path}/complete`, say, {"idempotency-key": "k", "x-timezone": "Europe/London"});
  const {id, text} = await answer.json(), seen = answer.headers;
  return {status: answer.status, id, text, run: seen.get("x-run-id"), request: seen.get("x-request-id")};
});
await attempt("streamed", async () => {
  const answer = await post(`${path}/complete`, say, {accept: "application/jsonl"});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let all = "", chunks = 0;
  for (let part; !(part = await reader.read()).done; chunks += 1) all += part.value;
  const events = all.trim().split("\\n").map((line) => JSON.parse(line));
  return {types: events.map((event) => event.type), chunks, run: answer.headers.get("x-run-id")};
});
await attempt("resumed", async () => {
  const headers = {accept: "text/event-stream", "last-event-id": "3"};
  const answer = await post(`/v1/run/${report.streamed.run}/subscribe`, {}, headers);
  return (await answer.text()).split("\\n").filter((line) => line.startsWith("id: "));
});
await attempt("listed", async () => (await (await call(`${path}/message/list`)).json()).items.length);
await attempt("closed", async () => {
  const answer = await call("/v1/bot/list");
  return {status: answer.status, code: (await answer.json()).code};
});
await attempt("garbled", async () => {
  const answer = await call(`${path}/message/list`, {}, "a.b.c");
  return {status: answer.status, code: (await answer.json()).code};
});
await attempt("cookies", async () => (await call(`${path}/message/list`, {credentials: "include"})).status);
"""
)

CARRIED_OFF = (
    ASK
    + """
await attempt("said", async () => (await post(`${path}/send`, say)).status);
await attempt("listed", async () => (await call(`${path}/message/list`)).status);
await attempt("withKey", async () => (await call("/v1/bot/list", {}, given.key)).status);
"""
)


async def given(tenant: Tenant) -> dict[str, str]:
    conversation = await tenant.api.conversation()
    token = (await tenant.api.ok(f"/v1/conversation/{conversation}/session/create"))["token"]
    return {"api": tenant.api.url, "conversation": conversation, "token": token}


async def test_a_page_of_a_listed_origin_holds_a_chat(tenant: Tenant, tmp_path: Path) -> None:
    visitor = await given(tenant)
    async with Site().open() as site:
        await tenant.house.store.origins.add(tenant.account, site.origin)

        told = await site.visit(tmp_path, CHAT, visitor)

    assert "broken" not in told, told
    assert (told["whole"]["status"], told["whole"]["run"][:4]) == (200, "run_"), told
    assert told["whole"]["request"].startswith("req_")
    assert told["streamed"]["types"][0] == "completeBegin"
    assert told["streamed"]["types"][-1] == "result"
    assert told["streamed"]["chunks"] > 1
    assert told["resumed"][0] == "id: 4"
    assert told["listed"] == 4
    assert told["closed"] == {"status": 403, "code": "NOT_AUTHORIZED"}
    assert told["garbled"] == {"status": 401, "code": "NOT_AUTHENTICATED"}
    assert told["cookies"] == {"failed": "TypeError"}


async def test_a_page_of_an_origin_that_nobody_lists_gets_no_further_than_its_question(
    tenant: Tenant, tmp_path: Path
) -> None:
    visitor = await given(tenant)
    async with Site().open() as site:
        told = await site.visit(tmp_path, CARRIED_OFF, visitor | {"key": tenant.house.key})

    assert told == {name: {"failed": "TypeError"} for name in ("said", "listed", "withKey")}
    assert await tenant.api.messages(visitor["conversation"]) == []


async def test_a_page_of_another_accounts_origin_reads_nothing_and_a_token_does_nothing_there(
    tenant: Tenant, tmp_path: Path
) -> None:
    visitor = await given(tenant)
    _, key = await tenant.house.new_account("a third")
    async with Site().open() as site:
        await tenant.house.store.origins.add(tenant.house.account, site.origin)

        told = await site.visit(tmp_path, CARRIED_OFF, visitor | {"key": key})

    assert told == {name: {"failed": "TypeError"} for name in ("said", "listed", "withKey")}
    assert await tenant.api.messages(visitor["conversation"]) == []
