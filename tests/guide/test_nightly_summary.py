"""The guide's second worked example: a nightly summary, e-mailed to a distribution list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain import ids
from tests.api.test_task_runs import over
from tests.house import House, eventually
from tests.http import Api
from tests.mailbox import Kept, Mailbox
from tests.tenant import Tenant

SUMMARY = "[model calls=1 tool=_success args=summary:sent]"


LIST = ["team@example.com", "board@example.org"]


async def nightly(api: Api, **fields: Any) -> dict[str, Any]:
    """The guide's task, as it is read back."""
    bot = (await api.ok("/v1/bot/create", {"backstory": "You summarise yesterday's figures."}))["id"]
    contact = (await api.ok("/v1/contact/create", {"name": "Distribution list"}))["id"]
    body = {
        "name": "Nightly summary",
        "description": f"Summarise the previous day. {SUMMARY}",
        "botId": bot,
        "contactId": contact,
        "schedule": "0 7 * * 1-5",
        "timezone": "Europe/London",
        **fields,
    }
    return await fetched(api, (await api.ok("/v1/task/create", body))["id"])


async def fetched(api: Api, task: str) -> dict[str, Any]:
    return dict((await api.get(f"/v1/task/{task}/fetch")).body)


async def test_a_weekday_summary_is_a_task_that_its_schedule_drives_and_a_button_runs_now(
    tenant: Tenant,
) -> None:
    api = tenant.api
    before = await nightly(api)
    task = before["id"]
    due = datetime.fromtimestamp(before["nextRunAt"] / 1_000, UTC).astimezone(ZoneInfo("Europe/London"))
    assert (due.hour, due.minute, due.weekday() < 5) == (7, 0, True)

    # The admin's button.
    told = await api.ok(f"/v1/task/{task}/trigger", {})
    run = await over(api, told["executionId"])

    after = await fetched(api, task)
    assert after["nextRunAt"] == before["nextRunAt"], "the next scheduled run is unaffected"
    assert (after["status"], after["outcome"]) == ("idle", "success")
    (execution,) = (await api.get(f"/v1/task/{task}/execution/list")).body["items"]
    assert (execution["id"], execution["outcome"], execution["summary"]) == (run["id"], "success", "sent")
    # The audit trail, the conversation's history and the figures come with the task.
    conversation = (await api.get(f"/v1/conversation/{execution['conversationId']}/fetch")).body
    assert (conversation["botId"], conversation["contactId"]) == (before["botId"], before["contactId"])
    figures = (await api.get(f"/v1/task/{task}/usage/fetch")).body
    assert (figures["runs"], figures["success"]) == (1, 1)


async def test_the_summary_is_made_when_its_schedule_says_and_nobody_asked(tenant: Tenant) -> None:
    """Nobody waits for seven in the morning: here it is due in some seconds, once."""
    api, task = tenant.api, (await nightly(tenant.api))["id"]
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    await api.ok(f"/v1/task/{task}/update", {"schedule": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
    waiting = await fetched(api, task)

    async def sent() -> dict[str, Any]:
        (execution,) = (await api.get(f"/v1/task/{task}/execution/list")).body["items"] or [{}]
        assert execution.get("outcome") == "success"
        return dict(execution)

    execution = await eventually(sent)

    due = int(at.timestamp() * 1_000)
    assert waiting["nextRunAt"] == execution["dueAt"] == due <= execution["createdAt"]
    assert execution["summary"] == "sent"
    (occurrence,) = (await api.get(f"/v1/task/{task}/occurrence/list")).body["items"]
    assert (occurrence["executionId"], occurrence["healed"]) == (execution["id"], False)
    # By its schedule in Temporal: the workflow that it fired is the run's own.
    ((workflow,),) = await tenant.house.rows("SELECT workflow_id FROM run WHERE id = $1", execution["id"])
    assert workflow == f"{ids.scheduled_workflows(task)}-{at:%Y-%m-%dT%H:%M:%SZ}"
    assert "nextRunAt" not in await fetched(api, task)


async def test_the_summary_is_e_mailed_to_the_list_when_it_is_due_and_when_the_button_is_pressed(
    build: Any,
) -> None:
    async with Mailbox() as mailbox:
        house: House = await build(
            HOLDFAST_SMTP_HOST="127.0.0.1",
            HOLDFAST_SMTP_PORT=str(mailbox.port),
            HOLDFAST_SMTP_TLS="none",
            HOLDFAST_SMTP_FROM="Holdfast <assistant@example.net>",
        )
        async with house.api() as api:
            email = {"to": LIST, "subject": "Yesterday in figures"}
            task = (await nightly(api, delivery={"email": email}))["id"]
            at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
            await api.ok(f"/v1/task/{task}/update", {"schedule": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
            # The mail server is out of order when it is due.
            mailbox.faults["end"] = ["451 later"]
            (due,) = await letters(mailbox, 1)
            pressed = await api.ok(f"/v1/task/{task}/trigger", {})
            _, again = await letters(mailbox, 2)

            sent = (await api.get(f"/v1/delivery/list?taskId={task}")).body["items"]
            assert {f"<{one['id']}@example.net>" for one in sent} == {due.id, again.id}
            assert sent[0]["runId"] == pressed["executionId"]
            for letter in (due, again):
                assert sorted(letter.recipients) == sorted(LIST)
                assert letter.message["Subject"] == "Yesterday in figures"
                assert letter.message["From"] == "Holdfast <assistant@example.net>"
                text = letter.message.get_body(("plain",))
                assert text is not None
                assert "sent" in text.get_content()


async def letters(mailbox: Mailbox, count: int) -> list[Kept]:
    async def check() -> list[Kept]:
        assert len(mailbox.letters) == count
        return mailbox.letters

    return await eventually(check, 90)
