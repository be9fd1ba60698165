"""The guide's second worked example: a nightly summary, up to its e-mail."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tests.api.test_task_runs import over
from tests.tenant import Tenant

SUMMARY = "[model calls=1 tool=_success args=summary:sent]"


async def test_a_weekday_summary_is_a_task_that_its_schedule_drives_and_a_button_runs_now(
    tenant: Tenant,
) -> None:
    api = tenant.api
    bot = (await api.ok("/v1/bot/create", {"backstory": "You summarise yesterday's figures."}))["id"]
    contact = (await api.ok("/v1/contact/create", {"name": "Distribution list"}))["id"]
    body = {
        "name": "Nightly summary",
        "description": f"Summarise the previous day. {SUMMARY}",
        "botId": bot,
        "contactId": contact,
        "schedule": "0 7 * * 1-5",
        "timezone": "Europe/London",
    }
    task = (await api.ok("/v1/task/create", body))["id"]

    before = (await api.get(f"/v1/task/{task}/fetch")).body
    due = datetime.fromtimestamp(before["nextRunAt"] / 1_000, UTC).astimezone(ZoneInfo("Europe/London"))
    assert (due.hour, due.minute, due.weekday() < 5) == (7, 0, True)

    # The admin's button.
    told = await api.ok(f"/v1/task/{task}/trigger", {})
    run = await over(api, told["executionId"])

    after = (await api.get(f"/v1/task/{task}/fetch")).body
    assert after["nextRunAt"] == before["nextRunAt"], "the next scheduled run is unaffected"
    assert (after["status"], after["outcome"]) == ("idle", "success")
    (execution,) = (await api.get(f"/v1/task/{task}/execution/list")).body["items"]
    assert (execution["id"], execution["outcome"], execution["summary"]) == (run["id"], "success", "sent")
    # The audit trail, the conversation's history and the figures come with the task.
    conversation = (await api.get(f"/v1/conversation/{execution['conversationId']}/fetch")).body
    assert (conversation["botId"], conversation["contactId"]) == (bot, contact)
    figures = (await api.get(f"/v1/task/{task}/usage/fetch")).body
    assert (figures["runs"], figures["success"]) == (1, 1)
