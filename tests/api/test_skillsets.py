"""Skillsets and their abilities, and the bots, conversations and completions that name one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain import ids
from domain.skillset import ABILITIES
from tests.api.test_exports import cell, table
from tests.api.test_foreign import ABILITY
from tests.api.test_meanwhile import met
from tests.api.test_streams import JSONL, jsonl
from tests.house import House
from tests.http import Api
from tests.tenant import Tenant

STATELESS: dict[str, Any] = {"messages": [{"type": "user", "text": "[model endless=1]"}]}
OTHER = "```fetch\nPOST https://api.example.com/orders?of={customer: string}\n```"


async def skillset(tenant: Tenant, **fields: Any) -> str:
    made: str = (await tenant.api.ok("/v1/skillset/create", fields))["id"]
    return made


async def ability(tenant: Tenant, of: str, **fields: Any) -> str:
    made: str = (await tenant.api.ok(f"/v1/skillset/{of}/ability/create", ABILITY | fields))["id"]
    return made


async def secret(tenant: Tenant) -> str:
    made: str = (await tenant.api.ok("/v1/secret/create", {"alias": "key"}))["id"]
    return made


async def fetched(api: Api, path: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/{path}/fetch")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


# Abilities.


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_an_ability_is_made_read_changed_and_removed(tenant: Tenant, prefix: str) -> None:
    url = f"{prefix}/skillset/{await skillset(tenant)}/ability"
    full = ABILITY | {"meta": {"a": 1}}

    told = await tenant.api.ok(f"{url}/create", full)
    found = (await tenant.api.get(f"{url}/{told['id']}/fetch")).body
    page = (await tenant.api.get(f"{url}/list")).body
    changed = await tenant.api.ok(
        f"{url}/{told['id']}/update", {"name": "b", "instruction": OTHER, "meta": {"b": 2}}
    )
    after = (await tenant.api.get(f"{url}/{told['id']}/fetch")).body
    removed = await tenant.api.ok(f"{url}/{told['id']}/delete")

    times = {"createdAt": found["createdAt"], "updatedAt": found["updatedAt"]}
    assert found == full | {"id": told["id"]} | times
    assert page == {"items": [found], "cursor": told["id"]}
    assert told == changed == removed == {"id": told["id"]}
    assert after == found | {
        "name": "b",
        "instruction": OTHER,
        "meta": {"a": 1, "b": 2},
        "updatedAt": after["updatedAt"],
    }
    assert (await tenant.api.get(f"{url}/{told['id']}/fetch")).status == 404
    assert (await tenant.api.get(f"{url}/list")).body == {"items": [], "cursor": ""}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", ""),
        ("name", " \n"),
        ("name", "n" * 101),
        ("description", None),
        ("description", ""),
        ("description", "d" * 10_001),
        ("instruction", None),
        ("instruction", ""),
        ("instruction", "Look the weather up."),
        ("instruction", "```magic\nabracadabra\n```"),
        ("instruction", "```fetch\nGET https://api.example.com/{city}\n```"),
        ("instruction", "x" * 65_537),
        ("secretId", ""),
        ("linkedSecretId", 5),
    ],
)
async def test_what_an_ability_cannot_be_is_refused_by_the_name_of_its_field(
    tenant: Tenant, field: str, value: Any
) -> None:
    url = f"/v1/skillset/{await skillset(tenant)}/ability"
    made = (await tenant.api.ok(f"{url}/create", ABILITY))["id"]
    before = await tenant.belongings()

    for path, body in ((f"{url}/create", ABILITY), (f"{url}/{made}/update", {})):
        status, told, _ = await tenant.api.post(path, body | {field: value})
        assert (status, told["code"]) == (400, "BAD_REQUEST")
        assert field in told["message"]

    assert await tenant.belongings() == before
    assert (await fetched(tenant.api, f"skillset/{url.split('/')[3]}/ability/{made}"))["name"] == "a"


@pytest.mark.parametrize("field", ["name", "description", "instruction"])
async def test_an_ability_has_a_name_a_description_and_an_instruction(tenant: Tenant, field: str) -> None:
    url = f"/v1/skillset/{await skillset(tenant)}/ability/create"

    status, told, _ = await tenant.api.post(
        url, {name: value for name, value in ABILITY.items() if name != field}
    )

    assert (status, told["code"]) == (400, "BAD_REQUEST")
    assert field in told["message"]


@pytest.mark.parametrize("name", ["secretId", "linkedSecretId"])
async def test_an_abilitys_secret_has_two_names_and_both_are_shown(tenant: Tenant, name: str) -> None:
    of, key = await skillset(tenant), await secret(tenant)
    made = await ability(tenant, of, **{name: key})
    path = f"skillset/{of}/ability/{made}"
    found = await fetched(tenant.api, path)
    await tenant.api.ok(f"/v1/{path}/update", {name: None})
    cleared = await fetched(tenant.api, path)
    await tenant.api.ok(f"/v1/{path}/update", {name: "@key"})
    named = await fetched(tenant.api, path)

    for one in (found, named):
        assert (one["secretId"], one["linkedSecretId"]) == (key, key)
    assert not {"secretId", "linkedSecretId"} & {*cleared}


async def test_an_ability_still_names_a_secret_that_is_gone_and_may_name_another(tenant: Tenant) -> None:
    of, key = await skillset(tenant), await secret(tenant)
    made = await ability(tenant, of, secretId=key)
    path = f"skillset/{of}/ability/{made}"

    await tenant.api.ok(f"/v1/secret/{key}/delete")
    left = await fetched(tenant.api, path)
    await tenant.api.ok(f"/v1/{path}/update", {"name": "b"})
    await tenant.api.ok(f"/v1/{path}/update", {"secretId": await secret(tenant)})

    assert left["secretId"] == key
    assert (await fetched(tenant.api, path))["secretId"] != key


async def test_the_two_names_of_a_secret_are_not_given_together(tenant: Tenant) -> None:
    of, key = await skillset(tenant), await secret(tenant)
    both = ABILITY | {"secretId": key, "linkedSecretId": key}

    status, told, _ = await tenant.api.post(f"/v1/skillset/{of}/ability/create", both)

    assert (status, told["code"]) == (400, "BAD_REQUEST")
    assert "secretId and linkedSecretId" in told["message"]


async def test_a_secret_that_is_not_ones_own_is_unknown(house: House, tenant: Tenant) -> None:
    account, key = await house.new_account("owner")
    async with house.api(key=key) as owner:
        theirs = await secret(Tenant(account, owner, house))
    of = await skillset(tenant)
    made = await ability(tenant, of)
    before = await tenant.belongings()

    for named in (theirs, ids.new("sec"), "@key"):
        for path, body in (("create", ABILITY), (f"{made}/update", {})):
            status, told, _ = await tenant.api.post(
                f"/v1/skillset/{of}/ability/{path}", body | {"secretId": named}
            )
            assert (status, told["code"]) == (404, "NOT_FOUND")
            assert told["message"] == "secretId: no such secret in this account."
    assert await tenant.belongings() == before


async def fill(house: House, of: str, count: int) -> None:
    await house.rows(
        "INSERT INTO ability (id, skillset_id, name, description, instruction) "
        "SELECT 'abl_' || $1 || n, $1, 'a', 'd', 'i' FROM generate_series(1, $2::int) n",
        of,
        count,
    )


async def test_a_skillset_has_no_more_abilities_than_a_run_may_have(house: House, tenant: Tenant) -> None:
    of = await skillset(tenant)
    await fill(house, of, ABILITIES - 3)
    url = f"/v1/skillset/{of}/ability/create"

    answers = await asyncio.gather(*(tenant.api.post(url, ABILITY) for _ in range(8)))
    refused = [answer.body for answer in answers if answer.status == 409]
    made = next(answer.body["id"] for answer in answers if answer.status == 200)
    await tenant.api.ok(f"/v1/skillset/{of}/ability/{made}/delete")

    assert sorted(answer.status for answer in answers) == [200] * 3 + [409] * 5
    assert {body["code"] for body in refused} == {"CONFLICT"}
    assert all("100 abilities" in body["message"] for body in refused)
    assert (await tenant.api.post(url, ABILITY)).status == 200
    assert (await tenant.belongings())["ability"] == ABILITIES


async def test_an_ability_made_again_under_its_key_is_the_same(tenant: Tenant) -> None:
    url = f"/v1/skillset/{await skillset(tenant)}/ability/create"

    told = [await tenant.api.ok(url, ABILITY, **{"Idempotency-Key": "k"}) for _ in range(3)]

    assert told[0] == told[1] == told[2]
    assert (await tenant.belongings())["ability"] == 1


@pytest.mark.parametrize("action", ["list", "export"])
async def test_abilities_are_read_page_by_page_and_narrowed_by_meta(tenant: Tenant, action: str) -> None:
    of = await skillset(tenant)
    made = [await ability(tenant, of, name=f"a{n}", meta={"even": n % 2 == 0}) for n in range(5)]
    await ability(tenant, await skillset(tenant), name="elsewhere")
    url = f"/v1/skillset/{of}/ability/{action}"

    first = (await tenant.api.get(f"{url}?order=asc&take=2")).body
    rest = (await tenant.api.get(f"{url}?order=asc&cursor={first['cursor']}")).body
    newest = (await tenant.api.get(f"{url}?take=1")).body
    even = (await tenant.api.get(f"{url}?order=asc&meta.even=true")).body
    _, lines, _ = await tenant.api.raw("GET", f"{url}?order=asc", **JSONL)

    assert [item["id"] for item in first["items"] + rest["items"]] == made
    assert [item["id"] for item in newest["items"]] == made[-1:]
    assert [item["id"] for item in even["items"]] == made[::2]
    assert [event["data"] for event in jsonl(lines)] == first["items"] + rest["items"]


async def test_a_page_of_long_abilities_is_shorter(house: House, tenant: Tenant) -> None:
    of = await skillset(tenant)
    await fill(house, of, 100)
    await house.rows("UPDATE ability SET instruction = repeat('x', 100000) WHERE skillset_id = $1", of)
    url = f"/v1/skillset/{of}/ability/list"

    page = (await tenant.api.get(url)).body
    _, lines, _ = await tenant.api.raw("GET", url, **JSONL)

    assert len(page["items"]) == 42
    assert len(jsonl(lines)) == 100


async def test_abilities_are_exported_as_a_table(tenant: Tenant) -> None:
    of, key = await skillset(tenant), await secret(tenant)
    await ability(tenant, of, name="=1+1", secretId=key)
    await ability(tenant, of, description='a, "b"\r\nc', meta={"a": [1]})

    page = (await tenant.api.get(f"/v1/skillset/{of}/ability/export")).body
    told, headers = await table(tenant, f"/skillset/{of}/ability/export")

    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    shown = [{name: cell(value) for name, value in item.items()} for item in page["items"]]
    shown[1]["name"] = "'=1+1"
    assert [{name: value for name, value in row.items() if value} for row in told] == shown


# Skillsets.


async def test_a_skillset_goes_with_its_abilities_and_whoever_had_it_stays(tenant: Tenant) -> None:
    of = await skillset(tenant)
    made = await ability(tenant, of)
    bot = (await tenant.api.ok("/v1/bot/create", {"skillsetId": of}))["id"]
    conversation = await tenant.api.conversation(skillsetId=of)

    await tenant.api.ok(f"/v1/skillset/{of}/delete")

    assert (await tenant.api.get(f"/v1/skillset/{of}/ability/{made}/fetch")).status == 404
    assert (await tenant.belongings())["ability"] == 0
    assert "skillsetId" not in await fetched(tenant.api, f"bot/{bot}")
    assert "skillsetId" not in await fetched(tenant.api, f"conversation/{conversation}")


async def test_skillsets_and_abilities_are_counted_as_what_there_is(tenant: Tenant) -> None:
    first, second = await skillset(tenant), await skillset(tenant)
    for of in (first, first, second):
        await ability(tenant, of)

    before = (await tenant.api.get("/v1/usage/fetch")).body["database"]
    await tenant.api.ok(f"/v1/skillset/{first}/delete")
    after = (await tenant.api.get("/v1/usage/fetch")).body["database"]

    assert (before["skillsets"], before["abilities"]) == (2, 3)
    assert (after["skillsets"], after["abilities"]) == (1, 1)


async def test_an_alias_belongs_to_one_skillset_of_an_account(tenant: Tenant) -> None:
    made, other = await skillset(tenant, alias="tools"), await skillset(tenant)
    bot = (await tenant.api.ok("/v1/bot/create", {"alias": "tools"}))["id"]

    taken = [
        await tenant.api.post("/v1/skillset/create", {"alias": "tools"}),
        await tenant.api.post(f"/v1/skillset/{other}/update", {"alias": "tools"}),
    ]

    for refused in taken:
        assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
        assert "another skillset" in refused.body["message"]
    assert (await fetched(tenant.api, "skillset/@tools"))["id"] == made
    assert (await fetched(tenant.api, "bot/@tools"))["id"] == bot


async def test_an_alias_stands_for_the_id_of_a_skillset_everywhere(tenant: Tenant) -> None:
    of = await skillset(tenant, alias="tools")
    made = await ability(tenant, "@tools")
    named = {"skillsetId": "@tools"}
    bot = (await tenant.api.ok("/v1/bot/create", named))["id"]
    other = (await tenant.api.ok("/v1/bot/create"))["id"]
    await tenant.api.ok(f"/v1/bot/{other}/update", named)
    conversation = await tenant.api.conversation(**named)
    later = await tenant.api.conversation()
    await tenant.api.ok(f"/v1/conversation/{later}/update", named)
    acts = (await tenant.api.get("/v1/event/log/list?skillsetId=@tools&type=ability.create")).body["items"]

    assert (await fetched(tenant.api, f"skillset/@tools/ability/{made}"))["id"] == made
    for path in (f"bot/{bot}", f"bot/{other}", f"conversation/{conversation}", f"conversation/{later}"):
        assert (await fetched(tenant.api, path))["skillsetId"] == of
    assert [(entry["skillsetId"], entry["abilityId"]) for entry in acts] == [(of, made)]


async def test_every_act_on_a_skillset_is_told_once_and_without_its_words(tenant: Tenant) -> None:
    of = await skillset(tenant, name="canary")
    made = await ability(tenant, of, description="canary")
    await tenant.api.ok(f"/v1/skillset/{of}/update", {"description": "canary"})
    await tenant.api.ok(f"/v1/skillset/{of}/ability/{made}/update", {"name": "canary"})
    conversation = await tenant.api.conversation(skillsetId=of)
    await tenant.api.ok(f"/v1/skillset/{of}/ability/{made}/delete")
    await tenant.api.ok(f"/v1/skillset/{of}/delete")

    entries = (await tenant.acts())[2:]

    both = {"skillsetId": of, "abilityId": made}
    about = [
        (entry["type"], {name: value for name, value in entry.items() if name.endswith("Id")})
        for entry in entries
    ]
    assert about == [
        ("skillset.create", {"skillsetId": of}),
        ("ability.create", both),
        ("skillset.update", {"skillsetId": of}),
        ("ability.update", both),
        ("conversation.create", {"conversationId": conversation, "skillsetId": of}),
        ("ability.delete", both),
        ("skillset.delete", {"skillsetId": of}),
    ]
    assert "canary" not in str(entries)


# Who has one.


@pytest.mark.parametrize("kind", ["bot", "conversation"])
async def test_a_skillset_is_given_taken_and_shown(tenant: Tenant, kind: str) -> None:
    of, other = await skillset(tenant), await skillset(tenant)
    made = (await tenant.api.ok(f"/v1/{kind}/create", {"skillsetId": of}))["id"]
    shown = [(await fetched(tenant.api, f"{kind}/{made}"))["skillsetId"]]
    await tenant.api.ok(f"/v1/{kind}/{made}/update", {"name": "n"})
    shown.append((await tenant.api.get(f"/v1/{kind}/list")).body["items"][0]["skillsetId"])
    await tenant.api.ok(f"/v1/{kind}/{made}/update", {"skillsetId": other})
    shown.append((await fetched(tenant.api, f"{kind}/{made}"))["skillsetId"])
    await tenant.api.ok(f"/v1/{kind}/{made}/update", {"skillsetId": None})

    assert shown == [of, of, other]
    assert "skillsetId" not in await fetched(tenant.api, f"{kind}/{made}")


async def test_a_clone_has_the_skillset_of_its_bot(tenant: Tenant) -> None:
    of = await skillset(tenant)
    bot = (await tenant.api.ok("/v1/bot/create", {"skillsetId": of}))["id"]

    clone = (await tenant.api.ok(f"/v1/bot/{bot}/clone"))["id"]

    assert (await fetched(tenant.api, f"bot/{clone}"))["skillsetId"] == of


async def test_an_export_of_conversations_tells_their_skillsets(tenant: Tenant) -> None:
    of = await skillset(tenant)
    await tenant.api.conversation(skillsetId=of)

    (row,), _ = await table(tenant, "/conversation/export")

    assert row["skillsetId"] == of


@pytest.mark.parametrize("path", ["complete", "dispatch"])
@pytest.mark.parametrize("named", ["@tools", "id"])
async def test_a_stateless_run_keeps_the_skillset_it_was_asked_for(
    house: House, tenant: Tenant, path: str, named: str
) -> None:
    of = await skillset(tenant, alias="tools")
    body = STATELESS | {"skillsetId": of if named == "id" else named}

    if path == "dispatch":
        await tenant.api.ok("/v1/conversation/dispatch", body)
    else:
        async with tenant.api.streaming("/v1/conversation/complete", body) as events:
            await anext(events)

    asked = "SELECT id, request::json ->> 'skillset_id' AS of FROM run WHERE account_id = $1"
    (row,) = await house.rows(asked, tenant.account)
    await tenant.api.ok(f"/v1/run/{row['id']}/cancel")
    assert row["of"] == of


@pytest.mark.parametrize("act", ["create", "update"])
async def test_another_accounts_skillset_is_unknown_to_a_bot(house: House, tenant: Tenant, act: str) -> None:
    account, key = await house.new_account("owner")
    async with house.api(key=key) as owner:
        theirs = await skillset(Tenant(account, owner, house), alias="tools")
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]
    before = await tenant.belongings()
    path = "/v1/bot/create" if act == "create" else f"/v1/bot/{bot}/update"

    for named in (theirs, ids.skillset(), "@tools"):
        status, told, _ = await tenant.api.post(path, {"skillsetId": named})
        assert (status, told["code"]) == (404, "NOT_FOUND")
        assert told["message"] == "skillsetId: no such skillset in this account."
    assert await tenant.belongings() == before


@pytest.mark.parametrize("act", ["create", "update"])
async def test_a_bot_that_names_a_skillset_while_it_is_deleted_is_told_that_it_is_gone(
    house: House, tenant: Tenant, act: str
) -> None:
    of = await skillset(tenant)
    path = "/v1/bot/create"
    if act == "update":
        path = f"/v1/bot/{(await tenant.api.ok('/v1/bot/create'))['id']}/update"

    answer = await met(house, "skillset", of, tenant.api.post(path, {"skillsetId": of}))

    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")


async def test_a_clone_made_while_the_skillset_is_deleted_is_made_without_it(
    house: House, tenant: Tenant
) -> None:
    of = await skillset(tenant)
    bot = (await tenant.api.ok("/v1/bot/create", {"skillsetId": of}))["id"]

    answer = await met(house, "skillset", of, tenant.api.post(f"/v1/bot/{bot}/clone"))

    assert answer.status == 200
    assert "skillsetId" not in await fetched(tenant.api, f"bot/{answer.body['id']}")


async def test_an_ability_made_while_its_skillset_is_deleted_is_not_made(
    house: House, tenant: Tenant
) -> None:
    of = await skillset(tenant)

    call = tenant.api.post(f"/v1/skillset/{of}/ability/create", ABILITY)
    answer = await met(house, "skillset", of, call)

    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
