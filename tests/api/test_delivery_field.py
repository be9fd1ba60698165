"""The field `delivery` of tasks, triggers and calls: where results go, said, shown and refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain import ids
from tests.api.test_streams import JSONL, jsonl
from tests.house import House, eventually
from tests.http import Api
from tests.tenant import Tenant

URL = "https://receiver.invalid/hook?of=results"
"""It is called, and never found."""
CANARY = "canary-of-a-header"
WEBHOOK = {"url": URL, "headers": {"X-Token": CANARY, "x-other": "o"}, "events": ["failed"]}
EMAIL = {"to": ["one@example.com", "two@example.com"], "subject": "The night"}
OWNERS = ["task", "integration/trigger"]
WORDS = {"messages": [{"type": "user", "text": "[model tokens=1]"}]}
of_both = pytest.mark.parametrize("owner", OWNERS)


async def owning(api: Api, owner: str, **delivery: Any) -> str:
    """A task or trigger with this delivery."""
    made: str = (await api.ok(f"/v1/{owner}/create", {"delivery": delivery}))["id"]
    return made


async def shown(api: Api, owner: str, made: str) -> Any:
    """Its delivery, as fetch has it."""
    status, body, _ = await api.get(f"/v1/{owner}/{made}/fetch")
    assert status == 200, body
    return body.get("delivery")


async def dispatched(api: Api, **delivery: Any) -> str:
    """A run of a call with this delivery."""
    run: str = (await api.ok("/v1/conversation/dispatch", WORDS | {"delivery": delivery}))["runId"]
    return run


async def targets(api: Api, run: str) -> list[dict[str, Any]]:
    """Those of a run."""
    found: list[dict[str, Any]] = (await api.get(f"/v1/run/{run}/fetch")).body.get("targets", [])
    return found


async def deliveries(api: Api, run: str) -> list[dict[str, Any]]:
    """Of a run that ends."""

    async def over() -> None:
        assert (await api.get(f"/v1/run/{run}/fetch")).body["state"] not in ("queued", "running")

    await eventually(over)
    found: list[dict[str, Any]] = (await api.get(f"/v1/delivery/list?runId={run}")).body["items"]
    return found


@pytest.fixture
async def strict(house: House, tenant: Tenant) -> AsyncIterator[Api]:
    """The tenant at an API process that sends e-mail, and whose workers do not call their own machines."""
    mail = {"HOLDFAST_SMTP_HOST": "mail.invalid", "HOLDFAST_SMTP_FROM": "holdfast@example.com"}
    house.start("api2", HOLDFAST_OUTBOUND_LOOPBACK="false", **mail)
    try:
        await house.ready("api2")
        async with house.api("api2", tenant.api.key) as api:
            yield api
    finally:
        house.stop("api2")


@pytest.fixture
async def keyless(house: House, tenant: Tenant) -> AsyncIterator[Api]:
    """The tenant at an API process without a key for secrets."""
    house.start("api2", HOLDFAST_SECRET_KEYS="")
    try:
        await house.ready("api2")
        async with house.api("api2", tenant.api.key) as api:
            yield api
    finally:
        house.stop("api2")


# What is shown.


@of_both
async def test_a_webhook_is_shown_with_the_secret_that_verifies_it_by_fetch_alone(
    tenant: Tenant, owner: str
) -> None:
    made = await owning(tenant.api, owner, webhook=WEBHOOK)

    found = (await shown(tenant.api, owner, made))["webhook"]
    (listed,) = (await tenant.api.get(f"/v1/{owner}/list")).body["items"]
    (line,) = jsonl((await tenant.api.raw("GET", f"/v1/{owner}/list", **JSONL)).body)

    secret = found.pop("secret")
    assert found == {
        "targetId": found["targetId"],
        "url": URL,
        "headerNames": ["X-Token", "x-other"],
        "events": ["failed"],
    }
    assert found["targetId"].startswith("tgt_")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert listed["delivery"] == line["data"]["delivery"] == {"webhook": found}


@of_both
async def test_an_email_is_shown_as_it_was_said(tenant: Tenant, strict: Api, owner: str) -> None:
    made = await owning(strict, owner, email=EMAIL | {"to": [*EMAIL["to"], "one@example.com"]})
    bare = await owning(strict, owner, email={"to": ["one@example.com"]})

    found = (await shown(tenant.api, owner, made))["email"]

    assert found == EMAIL | {"targetId": found["targetId"], "events": ["completed", "failed"]}
    assert "subject" not in (await shown(tenant.api, owner, bare))["email"]


@of_both
async def test_who_names_no_target_has_none(tenant: Tenant, owner: str) -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"delivery": None},
        {"delivery": {}},
        {"delivery": {"webhook": None, "email": None}},
    ]
    made = [(await tenant.api.ok(f"/v1/{owner}/create", body))["id"] for body in bodies]

    assert [await shown(tenant.api, owner, one) for one in made] == [None] * 4
    assert (await tenant.belongings())["target"] == 0


async def test_no_answer_log_or_row_tells_what_a_header_says_or_a_secret_is(tenant: Tenant) -> None:
    made = await owning(tenant.api, "task", webhook=WEBHOOK)
    run = await dispatched(tenant.api, webhook=WEBHOOK)
    secrets = {
        (await shown(tenant.api, "task", made))["webhook"]["secret"],
        (await targets(tenant.api, run))[0]["secret"],
    }
    paths = ("task/list", "target/list", "run/list", "delivery/list", "event/log/list", f"task/{made}/fetch")
    said = [(await tenant.api.raw("GET", f"/v1/{path}")).body.decode() for path in paths]
    said += [str(row) for row in await tenant.house.rows("SELECT target::text FROM target")]
    said += [file.read_text(errors="replace") for file in (tenant.house.home / "log").iterdir()]

    assert len(secrets) == 2
    for text in said:
        assert CANARY not in text
        assert CANARY.encode().hex() not in text
        if made not in text or "delivery" not in text:
            assert not [secret for secret in secrets if secret in text]


# What becomes of it.


@of_both
async def test_what_is_given_replaces_all_of_it_and_what_is_not_named_stays(
    tenant: Tenant, strict: Api, owner: str
) -> None:
    made = await owning(strict, owner, webhook=WEBHOOK, email=EMAIL)
    first = await shown(tenant.api, owner, made)
    update = f"/v1/{owner}/{made}/update"

    await strict.ok(update, {"name": "n"})
    named = await shown(tenant.api, owner, made)
    await strict.ok(update, {"delivery": {"webhook": {"url": f"{URL}&more"}}})
    second = await shown(tenant.api, owner, made)
    await strict.ok(update, {"delivery": {"webhook": None}})
    third = await shown(tenant.api, owner, made)
    await strict.ok(update, {"delivery": None})

    assert named == first
    assert second["email"] == third["email"] == first["email"]
    assert second["webhook"] == first["webhook"] | {
        "url": f"{URL}&more",
        "headerNames": [],
        "events": ["completed", "failed"],
    }
    assert "webhook" not in third
    assert await shown(tenant.api, owner, made) is None


@of_both
async def test_a_target_that_is_set_again_is_the_one_it_was_with_its_secret(
    tenant: Tenant, owner: str
) -> None:
    made = await owning(tenant.api, owner, webhook=WEBHOOK)
    first = await shown(tenant.api, owner, made)

    await tenant.api.ok(f"/v1/{owner}/{made}/update", {"delivery": None})
    await tenant.api.ok(f"/v1/{owner}/{made}/update", {"delivery": None})
    away = (await tenant.api.get(f"/v1/target/{first['webhook']['targetId']}/fetch")).body
    await tenant.api.ok(f"/v1/{owner}/{made}/update", {"delivery": {"webhook": WEBHOOK}})

    assert away["removedAt"] >= away["createdAt"]
    assert away["headerNames"] == []
    assert await shown(tenant.api, owner, made) == first
    name = "taskId" if owner == "task" else "triggerIntegrationId"
    acts = [entry for entry in await tenant.acts() if "targetId" in entry]
    assert [entry["type"] for entry in acts] == ["target.create", "target.remove", "target.create"]
    assert {entry[name] for entry in acts} == {made}
    assert {entry["targetId"] for entry in acts} == {first["webhook"]["targetId"]}


async def test_a_disabled_target_stays_so_until_it_is_at_another_place(tenant: Tenant) -> None:
    made = await owning(tenant.api, "task", webhook=WEBHOOK)
    target = (await shown(tenant.api, "task", made))["webhook"]["targetId"]
    off = "UPDATE target SET disabled_at = now(), disabled_code = 'TARGET_GONE', failures = 5 WHERE id = $1"
    await tenant.house.rows(off, target)
    update = f"/v1/task/{made}/update"

    await tenant.api.ok(update, {"delivery": {"webhook": WEBHOOK | {"headers": None}}})
    same = (await shown(tenant.api, "task", made))["webhook"]
    await tenant.api.ok(update, {"delivery": {"webhook": {"url": f"{URL}2"}}})
    moved = (await tenant.api.get(f"/v1/target/{target}/fetch")).body

    assert same["disabledCode"] == "TARGET_GONE"
    assert same["disabledAt"] > 0
    assert "disabledAt" not in moved
    assert moved["failures"] == 0


async def test_the_targets_of_a_task_go_with_it(tenant: Tenant) -> None:
    made = await owning(tenant.api, "task", webhook=WEBHOOK)
    target = (await shown(tenant.api, "task", made))["webhook"]["targetId"]
    await tenant.api.ok(f"/v1/target/{target}/test")

    await tenant.api.ok(f"/v1/task/{made}/delete")

    assert (await tenant.api.get(f"/v1/target/{target}/fetch")).status == 404
    left = await tenant.belongings()
    assert (left["target"], left["delivery"]) == (0, 0)


async def test_a_create_repeated_under_its_key_makes_one_target(tenant: Tenant) -> None:
    body = {"delivery": {"webhook": WEBHOOK}}
    other = {"delivery": {"webhook": WEBHOOK | {"headers": {"X-Token": "another"}}}}
    key = {"Idempotency-Key": ids.channel()}

    made = [await tenant.api.ok("/v1/task/create", body, **key) for _ in range(2)]
    differs = await tenant.api.post("/v1/task/create", other, **key)

    assert made[0] == made[1]
    assert differs.status == 409
    assert (await tenant.belongings())["target"] == 1


# What is refused.


def hook(**fields: Any) -> dict[str, Any]:
    return {"webhook": {"url": URL} | fields}


REFUSED: list[tuple[Any, str]] = [
    ("x", "delivery"),
    ([], "delivery"),
    ({"sms": {}}, "delivery.sms: unknown field"),
    ({"webhook": {}}, "delivery.webhook.url"),
    ({"webhook": "x"}, "delivery.webhook"),
    (hook(secret="s"), "delivery.webhook.secret: unknown field"),
    (hook(targetId="x"), "delivery.webhook.targetId: unknown field"),
    (hook(url=None), "delivery.webhook.url"),
    (hook(url=5), "delivery.webhook.url"),
    (hook(url=""), "webhook.url"),
    (hook(url="receiver.example"), "webhook.url"),
    (hook(url="ftp://receiver.example/"), "webhook.url"),
    (hook(url="javascript:alert(1)"), "webhook.url"),
    (hook(url="https://user:password@receiver.example/"), "webhook.url"),
    (hook(url="https://receiver.example/#part"), "webhook.url"),
    (hook(url="https://receiver.example/a b"), "webhook.url"),
    (hook(url="https://receiver.example/\r\nX: y"), "webhook.url"),
    (hook(url="https://receiver.example:25/"), "webhook.url"),
    (hook(url="https://receiver.example/" + "x" * 2_048), "delivery.webhook.url"),
    (hook(events=[]), "delivery.webhook.events"),
    (hook(events=["canceled"]), "delivery.webhook.events"),
    (hook(events=["failed"] * 3), "delivery.webhook.events"),
    (hook(headers=[]), "delivery.webhook.headers"),
    (hook(headers={"X-A": 1}), "delivery.webhook.headers.X-A"),
    (hook(headers={"X A": "a"}), "webhook.headers"),
    (hook(headers={"": "a"}), "webhook.headers"),
    (hook(headers={"X-A": "a\r\nX-B: b"}), "webhook.headers"),
    (hook(headers={"X-A": "a\0"}), "NUL"),
    (hook(headers={"X-A": "ä"}), "webhook.headers"),
    (hook(headers={"X-A": "a" * 8_001}), "webhook.headers"),
    (hook(headers={"X-A": "a", "x-a": "b"}), "webhook.headers"),
    (hook(headers={f"X-{n}": "a" for n in range(21)}), "delivery.webhook.headers"),
    (hook(headers={"Host": "a"}), "webhook.headers"),
    (hook(headers={"Content-Type": "a"}), "webhook.headers"),
    (hook(headers={"webhook-signature": "a"}), "webhook.headers"),
    ({"email": {}}, "delivery.email.to"),
    ({"email": {"to": []}}, "delivery.email.to"),
    ({"email": {"to": "a@example.com"}}, "delivery.email.to"),
    ({"email": {"to": ["a@example.com"], "cc": []}}, "delivery.email.cc: unknown field"),
    ({"email": {"to": ["a@example.com"] * 21}}, "delivery.email.to"),
    ({"email": {"to": ["a@example.com"], "subject": "s" * 201}}, "delivery.email.subject"),
]
MAIL: list[tuple[Any, str]] = [
    ({"email": {"to": [address]}}, "email.to")
    for address in (
        "a",
        "a@",
        "@b",
        "a b@c.d",
        "a@b.c\r\nBcc: x@y.z",
        "A <a@b.c>",
        "ä@b.c",
        "a@ä.c",
        "a@b..c",
    )
] + [
    ({"email": {"to": ["a@example.com"], "subject": subject}}, "email.subject")
    for subject in ("a\r\nBcc: x@y.z", "", " ", "a\u2028b", "\x07")
]
NEVER = [
    *(
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
    ),
    *("http://100.64.0.1/", "http://0.0.0.0/", "http://255.255.255.255/", "http://224.0.0.1/"),
    *(
        "http://198.18.0.1/",
        "http://192.0.2.1/",
        "http://[fd00::1]/",
        "http://[fe80::1]/",
        "http://[ff02::1]/",
    ),
    *("http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://[2002:a00:1::]/", "http://[::]/"),
    *("http://0x7f000001/", "http://2130706433/", "http://127.1/", "http://0177.0.0.1/", "http://10.1/"),
]
LOOPBACK = ["http://127.0.0.1:8080/", "http://127.255.0.1/", "http://[::1]:9000/"]


async def refused(tenant: Tenant, api: Api, delivery: Any, told: str, code: int = 400) -> None:
    """By whoever takes the field, and nothing is left behind."""
    made = await owning(api, "task", webhook={"url": URL})
    trigger = await owning(api, "integration/trigger")
    conversation = await api.conversation()
    before, acts = await tenant.belongings(), await tenant.acts()
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("task/create", {}),
        (f"task/{made}/update", {"name": "n"}),
        ("integration/trigger/create", {}),
        (f"integration/trigger/{trigger}/update", {"name": "n"}),
        ("conversation/dispatch", WORDS),
        (f"conversation/{conversation}/dispatch", {"text": "x"}),
    ]
    for path, body in bodies:
        status, answer, _ = await api.post(f"/v1/{path}", body | {"delivery": delivery})
        assert (status, told in answer["message"]) == (code, True), (path, answer)
    assert await tenant.belongings() == before
    assert await tenant.acts() == acts
    assert "name" not in (await api.get(f"/v1/task/{made}/fetch")).body


@pytest.mark.parametrize(("delivery", "told"), REFUSED, ids=lambda part: str(part)[:60])
async def test_what_no_target_can_be_is_refused_by_name_and_leaves_nothing(
    tenant: Tenant, delivery: Any, told: str
) -> None:
    await refused(tenant, tenant.api, delivery, told)


async def test_addresses_that_are_never_called_are_refused_when_they_are_named(tenant: Tenant) -> None:
    for url in NEVER:
        await refused(tenant, tenant.api, hook(url=url), "webhook.url")


async def test_what_no_letter_can_be_sent_to_is_refused(tenant: Tenant, strict: Api) -> None:
    for delivery, told in MAIL:
        await refused(tenant, strict, delivery, told)


async def test_this_machine_is_called_where_its_operator_says_so_alone(tenant: Tenant, strict: Api) -> None:
    for url in LOOPBACK:
        made = await owning(tenant.api, "task", webhook={"url": url})
        assert (await shown(tenant.api, "task", made))["webhook"]["url"] == url

        await refused(tenant, strict, hook(url=url), "HOLDFAST_OUTBOUND_LOOPBACK")


async def test_a_server_without_mail_says_what_to_set(tenant: Tenant) -> None:
    await refused(tenant, tenant.api, {"email": EMAIL}, "HOLDFAST_SMTP_HOST", code=501)


async def test_a_server_without_a_key_makes_no_webhook_and_shows_those_there_are(
    tenant: Tenant, keyless: Api
) -> None:
    made = await owning(tenant.api, "task", webhook=WEBHOOK)
    run = await dispatched(tenant.api, webhook=WEBHOOK)
    full = (await shown(tenant.api, "task", made))["webhook"]
    before = await tenant.belongings()

    answers = [
        await keyless.post("/v1/task/create", {"delivery": hook()}),
        await keyless.post("/v1/conversation/dispatch", WORDS | {"delivery": hook()}),
        await keyless.post(f"/v1/target/{full['targetId']}/rotate"),
    ]
    bare = (await shown(keyless, "task", made))["webhook"]
    await keyless.ok(f"/v1/task/{made}/update", {"delivery": None})

    for status, body, _ in answers:
        assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
        assert "HOLDFAST_SECRET_KEYS" in body["message"]
    assert (await tenant.belongings())["target"] == before["target"]
    del full["secret"]
    assert bare == full | {"headerNames": []}
    assert [target["url"] for target in await targets(keyless, run)] == [URL]
    assert (await keyless.ok("/v1/task/create"))["id"]


# Of calls.


async def test_a_call_names_where_its_own_result_goes(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    body = {"text": "[model tokens=1]", "delivery": {"webhook": WEBHOOK | {"events": ["completed"]}}}

    runs = [
        await dispatched(tenant.api, webhook=WEBHOOK | {"events": ["completed"]}),
        (await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", body))["runId"],
    ]

    found = [await targets(tenant.api, run) for run in runs]
    assert found[0] == found[1]
    ((target,),) = (found[0],)
    assert target == {
        "id": target["id"],
        "kind": "webhook",
        "url": URL,
        "headerNames": ["X-Token", "x-other"],
        "events": ["completed"],
        "secret": target["secret"],
        "failures": target["failures"],
        "createdAt": target["createdAt"],
        "updatedAt": target["updatedAt"],
    }
    for run in runs:
        (sent,) = await deliveries(tenant.api, run)
        assert (sent["type"], sent["targetId"], sent["runId"]) == (
            "conversation.completed",
            target["id"],
            run,
        )


async def test_a_target_is_told_of_the_ends_alone_that_it_wants(tenant: Tenant) -> None:
    unwanted = await dispatched(tenant.api, webhook=WEBHOOK)
    failing = {"messages": [{"type": "user", "text": "[model status=400]"}]}
    body = failing | {"delivery": {"webhook": WEBHOOK}}
    wanted = (await tenant.api.ok("/v1/conversation/dispatch", body))["runId"]

    assert await deliveries(tenant.api, unwanted) == []
    assert [sent["type"] for sent in await deliveries(tenant.api, wanted)] == ["conversation.failed"]


async def test_calls_that_say_the_same_share_a_target_and_those_with_one_url_its_secret(
    tenant: Tenant, api: Api
) -> None:
    said = [
        WEBHOOK,
        WEBHOOK,
        WEBHOOK | {"headers": {"X-Token": "another"}},
        WEBHOOK | {"events": ["completed", "failed"]},
        {"url": URL},
        {"url": f"{URL}&other"},
    ]
    found = [(await targets(tenant.api, await dispatched(tenant.api, webhook=one)))[0] for one in said]
    (foreign,) = await targets(api, await dispatched(api, webhook=WEBHOOK))
    task = await shown(tenant.api, "task", await owning(tenant.api, "task", webhook=WEBHOOK))

    assert found[0] == found[1]
    assert len({target["id"] for target in found}) == 5 - 1 + 1
    assert len({target["secret"] for target in found[:5]}) == 1
    others = [found[5]["secret"], foreign["secret"], task["webhook"]["secret"]]
    assert len({found[0]["secret"], *others}) == 4


async def test_calls_that_come_at_once_make_one_target(tenant: Tenant) -> None:
    runs = await asyncio.gather(*(dispatched(tenant.api, webhook=WEBHOOK) for _ in range(20)))
    others = await asyncio.gather(
        *(dispatched(tenant.api, webhook={"url": URL, "headers": {"X-N": str(n)}}) for n in range(10))
    )

    found = [(await targets(tenant.api, run))[0] for run in (*runs, *others)]

    assert len({target["id"] for target in found[:20]}) == 1
    assert len({target["id"] for target in found}) == 11
    assert len({target["secret"] for target in found}) == 1


async def test_a_repeat_under_its_key_is_the_same_call_and_another_delivery_is_not(tenant: Tenant) -> None:
    key = {"Idempotency-Key": ids.channel()}
    body = WORDS | {"delivery": {"webhook": WEBHOOK}}

    first = await tenant.api.ok("/v1/conversation/dispatch", body, **key)
    again = await tenant.api.ok("/v1/conversation/dispatch", body, **key)
    other = await tenant.api.post("/v1/conversation/dispatch", WORDS | {"delivery": hook()}, **key)
    none = await tenant.api.post("/v1/conversation/dispatch", WORDS, **key)

    assert first == again
    assert (other.status, none.status) == (409, 409)
    assert (await tenant.belongings())["target"] == 1


async def test_a_call_that_is_refused_leaves_no_target(tenant: Tenant) -> None:
    before = await tenant.belongings()

    answers = [
        await tenant.api.post(
            "/v1/conversation/dispatch", WORDS | {"botId": ids.bot(), "delivery": {"webhook": WEBHOOK}}
        ),
        await tenant.api.post(
            f"/v1/conversation/{ids.conversation()}/dispatch", {"delivery": {"webhook": WEBHOOK}}
        ),
    ]

    assert [answer.status for answer in answers] == [404, 404]
    assert await tenant.belongings() == before


async def test_a_call_that_steers_a_turn_has_that_ones_result_sent(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    path = f"/v1/conversation/{conversation}/dispatch"
    gathering = {"text": "[model tokens=1]", "batchMs": 5_000, "delivery": hook(url=f"{URL}&first")}

    first = (await tenant.api.ok(path, gathering))["runId"]
    second = (await tenant.api.ok(path, {"text": "[model tokens=1]", "delivery": hook()}))["runId"]
    silent = (await tenant.api.ok(path, {"text": "[model tokens=1]"}))["runId"]
    sent = await deliveries(tenant.api, first)

    for run in (second, silent):
        body = (await tenant.api.get(f"/v1/run/{run}/fetch")).body
        assert (body["state"], body["mergedInto"]) == ("merged", first)
        assert await deliveries(tenant.api, run) == []
    found = {target["id"]: target["url"] for target in await targets(tenant.api, first)}
    assert {found[one["targetId"]] for one in sent} == {URL, f"{URL}&first"}


async def test_who_holds_a_sessions_token_sees_nothing_of_targets(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    run = (
        await tenant.api.ok(
            f"/v1/conversation/{conversation}/dispatch", {"text": "[model tokens=1]", "delivery": hook()}
        )
    )["runId"]
    opened = await tenant.api.ok(f"/v1/conversation/{conversation}/session/create")

    async with tenant.house.api(key=opened["token"]) as page:
        seen = await page.get(f"/v1/run/{run}/fetch")
        listed = await page.get("/v1/target/list")
        given = await page.post(
            f"/v1/conversation/{conversation}/complete", {"text": "x", "delivery": hook()}
        )

    assert seen.status == 200
    assert URL not in str(seen.body)
    assert (listed.status, given.status) == (403, 400)


@pytest.mark.parametrize("path", ["complete", "{}/complete", "{}/receive", "{}/send"])
async def test_only_what_goes_on_alone_takes_a_delivery(tenant: Tenant, path: str) -> None:
    url = "/v1/conversation/" + path.format(await tenant.api.conversation())

    status, body, _ = await tenant.api.post(url, {"delivery": hook()})

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert "delivery: unknown field" in body["message"]
