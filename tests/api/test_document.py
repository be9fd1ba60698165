"""The document: valid, complete against the contract, and as the server answers."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.lines import turn
from api.routes import SERVED
from api.wire import Made
from domain import ids
from tests import document
from tests.api import contract
from tests.api.test_foreign import theirs  # noqa: F401 - the fixture: one object of every kind
from tests.api.test_routes import CRUD, LATER, OURS
from tests.house import PATIENCE, ROOT, House
from tests.http import Api
from tests.tenant import Tenant

TOLD = document.told()
OPERATIONS = {
    (verb.upper(), path): operation
    for path, verbs in TOLD["paths"].items()
    for verb, operation in verbs.items()
}
NAMES = [" ".join(operation) for operation in OPERATIONS]
KINDS = {name for _, path in OPERATIONS for name in re.findall(r"\{(\w+)\}", path)}
"""What there is here that has ids."""
ABSENT = {
    "/event/log/": {"name", "description"},
    "/platform/model/": {"meta"},
    "/ability/": {"botId"},
    "/rating/list": CRUD,
    "/secret/{secret}/verify": {"action"},
    "/usage/list": CRUD | {"skillsetId", "abilityId"},
}
"""What some things have not: nobody names an entry of a log, and tokens are not counted by skillset."""
CONTRACT = contract.contract()
WRONG = {
    "Idempotency-Key": "k" * 256,
    "Last-Event-ID": "last",
    "X-Holdfast-Events": "some",
    "X-Timezone": "Mars/Phobos",
}
"""What each header of the document may not say."""


def content(operation: dict[str, Any]) -> dict[str, Any]:
    """What it answers when all is well, by media type."""
    return {media: told["schema"] for media, told in operation["responses"]["200"]["content"].items()}


def body(operation: dict[str, Any]) -> dict[str, Any]:
    """The schema of what it takes; of a GET an empty one."""
    taken = operation.get("requestBody", {"content": {"application/json": {"schema": {}}}})
    return document.resolved(taken["content"]["application/json"]["schema"])


def parameters(operation: dict[str, Any], where: str) -> set[str]:
    return {told["name"] for told in operation["parameters"] if told["in"] == where}


def shown(operation: dict[str, Any]) -> dict[str, Any]:
    """The schema of what it shows in JSON; of a list, of its items."""
    schema = document.resolved(content(operation)["application/json"])
    listed = {*schema["properties"]} == {"items", "cursor"}
    return document.resolved(schema["properties"]["items"]["items"]) if listed else schema


def least(schema: dict[str, Any]) -> Any:
    """The smallest value that a schema of a body takes."""
    schema = document.resolved(schema)
    if "anyOf" in schema:
        return least(schema["anyOf"][0])
    for given in ("enum", "examples"):
        if given in schema:
            return schema[given][0]
    if schema["type"] == "object":
        fewest = [*schema.get("properties", {})][: schema.get("minProperties", 0)]
        return {name: least(schema["properties"][name]) for name in schema.get("required", fewest)}
    if schema["type"] == "array":
        return [least(schema["items"])] * schema.get("minItems", 0)
    return {"string": "x", "integer": 1, "number": 1, "boolean": True}[schema["type"]]


def absent(path: str, name: str) -> bool:
    """A field that may be left out because there is nothing that could be in it."""
    of_nothing = name.endswith("Id") and name.removesuffix("Id") not in KINDS
    return of_nothing or any(part in path and name in names for part, names in ABSENT.items())


def test_it_is_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(TOLD).validate()


def test_it_holds_nothing_that_nobody_refers_to() -> None:
    text = json.dumps(TOLD)
    for kind in ("schemas", "responses"):
        for name in TOLD["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, name


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_nobody_needs_a_key_to_read_it(house: House, prefix: str) -> None:
    async with house.api(key="") as nobody:
        status, told, headers = await nobody.get(f"{prefix}/openapi.json")

    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert told == TOLD


def test_its_version_is_the_products() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert TOLD["info"]["version"] == project["version"]


def test_it_tells_of_every_call_that_is_served_and_of_no_other() -> None:
    assert [*OPERATIONS] == [(verb, path) for verb, path, _ in SERVED]


def test_every_operation_has_an_id_of_its_own_a_tag_and_a_summary() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len({*names}) == len(names)
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)+", name) for name in names)
    assert {"botCreate", "conversationComplete", "statefulConversationComplete"} <= {*names}
    assert {"conversationMessageList", "runSubscribe"} <= {*names}
    for (_, path), operation in OPERATIONS.items():
        assert operation["tags"] == [path.split("/")[1]]
        assert operation["summary"]


def test_every_refusal_says_what_a_caller_reads() -> None:
    for name, response in TOLD["components"]["responses"].items():
        assert len(response["description"]) > 20, name
        assert [*response["content"]] == ["application/json"]


# Against the contract.


def test_the_copy_of_the_contract_is_the_contract() -> None:
    if contract.INDEX.exists():
        assert contract.COPY.read_text() == contract.copied(contract.INDEX.read_text())
    assert len(CONTRACT) == 310


@pytest.mark.parametrize(("verb", "path"), OPERATIONS, ids=NAMES)
def test_every_operation_has_the_fields_of_the_contract(verb: str, path: str) -> None:
    operation = OPERATIONS[verb, path]
    facts = CONTRACT.get((verb, contract.bare(path)), contract.Facts())
    later = {*operation.get("x-not-served", [])}

    assert facts.body <= {*body(operation).get("properties", {})} | later
    assert facts.query <= parameters(operation, "query") | later
    assert facts.header <= parameters(operation, "header")
    assert facts.media <= {*content(operation)}
    if facts.answer:
        schema = shown(operation)
        always = {name.removesuffix("!") for name in facts.answer if name.endswith("!")}
        assert always <= {*schema["required"]}
        missing = {name for name in facts.answer if not name.endswith("!")} - {*schema["properties"]} - LATER
        assert {name for name in missing if not absent(path, name)} == set()


def test_only_our_own_calls_are_not_in_the_contract() -> None:
    ours = {path for verb, path in OPERATIONS if (verb, contract.bare(path)) not in CONTRACT}

    assert all(path.startswith(OURS) for path in ours)


def given(field: str) -> dict[str, Any]:
    """A body with a field that may have its place in others: `extensions.datasets`."""
    outer, _, inner = field.partition(".")
    inside: Any = given(inner) if inner else [[0]]
    return {outer: [inside] if outer in ("skillsets", "abilities") else inside}


async def test_a_field_that_is_not_served_yet_is_told_and_answered_501(tenant: Tenant) -> None:
    for (verb, path), operation in OPERATIONS.items():
        url = "/v1" + re.sub(r"\{\w+\}", ids.channel(), path)
        for field in operation.get("x-not-served", []):
            if verb == "POST":
                status, told, _ = await tenant.api.post(url, given(field))
            else:
                status, told, _ = await tenant.api.get(f"{url}?{field}=x")
            assert (status, told["code"]) == (501, "NOT_IMPLEMENTED"), (path, field)
            assert field in told["message"]


# Against the server. Besides, every answer that any test gets is held against the document (tests/http.py).


async def test_every_operation_answers_in_every_form_as_it_is_told(
    api: Api,
    theirs: dict[str, str],  # noqa: F811
) -> None:
    asked = {"messages": [{"type": "user", "text": "[model tokens=2 stall=1]"}]}
    working = {"run": (await api.ok("/v1/conversation/dispatch", asked))["runId"]}
    # What deletes comes last, and deletes what is inside something before that.
    for verb, path in sorted(OPERATIONS, key=lambda place: (place[1].endswith("/delete"), -len(place[1]))):
        # Nobody but the server publishes to a run's channel.
        names = theirs | ({"channel": ids.channel()} if path.endswith("/publish") else {})
        # One that is over has no use for a budget.
        names |= working if path.endswith("/budget") else {}
        operation = OPERATIONS[verb, path]
        for media in content(operation):
            headers = {"Accept": media, "Content-Type": "application/json", "X-Holdfast-Events": "all"}
            await answers(api, (verb, "/v1" + path.format(**names)), operation, headers)
    await api.ok(f"/v1/run/{working['run']}/cancel")


async def answers(
    api: Api, place: tuple[str, str], operation: dict[str, Any], headers: dict[str, str]
) -> None:
    """An answer of 200 in the form that was asked for; the client judges what is in it."""
    verb, url = place
    given: dict[str, Any] = least(body(operation)) if verb == "POST" else {}
    if "application/json" not in content(operation):
        await first_line(api, url, {**given, "historyLength": 1}, headers)
        return
    sent = json.dumps(given) if verb == "POST" else None
    status, raw, got = await api.raw(verb, url, sent, **headers)
    assert status == 200, (url, raw)
    assert got["Content-Type"].startswith(headers["Accept"]), url


async def first_line(api: Api, url: str, given: dict[str, Any], headers: dict[str, str]) -> None:
    """Judges what comes first on a stream that may have no end."""
    async with api.session.post(api.url + url, json=given, headers=api._headers | headers) as answer:
        async with asyncio.timeout(PATIENCE):
            line = b""
            async for line in answer.content:
                if b"{" in line:
                    break
        where = document.place("POST", url)
        assert answer.status == 200
        document.judge(where, 200, answer.headers["Content-Type"], line)
        assert b"{" in line


async def test_a_header_is_told_of_exactly_where_it_is_read(tenant: Tenant) -> None:
    for (verb, path), operation in OPERATIONS.items():
        url = "/v1" + re.sub(r"\{\w+\}", ids.channel(), path)
        told = parameters(operation, "header")
        assert told <= {*WRONG}
        for name, value in WRONG.items():
            sent = {"Content-Type": "application/json", name: value}
            _, raw, _ = await tenant.api.raw(verb, url, '{"nonsense": 1}' if verb == "POST" else None, **sent)
            assert (name in told) == (name in json.loads(raw).get("message", "")), (path, name)


def test_every_event_that_is_made_is_told_of() -> None:
    text = (ROOT / "domain/events.py").read_text()
    made = {
        *re.findall(r'Event\(\s*"(\w+)"', text),
        *re.findall(r'"(\w+)" if reasoning else "(\w+)"', text)[0],
    }

    assert {*turn(Made)} == made - {"published"}


async def test_the_answer_of_a_turn_that_was_stopped_is_as_it_is_told(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    run = (await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": "[model stall=2]"}))[
        "runId"
    ]
    async with tenant.api.streaming(f"/v1/run/{run}/subscribe") as events:
        async for event in events:
            if event["data"]["type"] == "token":
                await tenant.api.ok(f"/v1/run/{run}/cancel")
    waited = await tenant.api.get(f"/v1/run/{run}/fetch")

    assert waited.body["state"] == "canceled"


async def test_the_failure_of_a_run_is_as_it_is_told(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    asked = {"text": "[model status=400]"}

    status, told, _ = await tenant.api.post(f"/v1/conversation/{conversation}/complete", asked)
    events = await tenant.api.stream(f"/v1/conversation/{conversation}/complete", asked)

    assert (status, told["code"]) == (422, "MODEL_REFUSED")
    assert events[-1]["data"]["code"] == "MODEL_REFUSED"
