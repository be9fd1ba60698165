"""The route table: what upstream has and this server does not is said to be so, field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.routes import SERVED, UNSERVED
from domain import ids
from tests.house import House
from tests.http import Api
from tests.tenant import Tenant

FACTS = Path(__file__).resolve().parents[2].parent / "shared" / "contract" / "fields.txt"
"""The whole field index, where it lies beside the checkout; what follows is taken from it."""

OPERATIONS = 310
OURS = (
    *("/run/", "/rating/", "/task/{task}/usage/", "/target/", "/delivery/"),
    *("/task/{task}/occurrence/", "/task/{task}/pause", "/task/{task}/resume", "/task/{task}/backfill"),
    "/integration/trigger/{trigger}/event/",
)
"""What upstream has not."""
CRUD = {"name", "description", "meta"}
CONFIG = {"model", "backstory", "datasetId", "skillsetId", "privacy", "moderation"}
AGENT = {"functions", "extensions"}
BOT = CRUD | CONFIG | {"alias", "blueprintId", "visibility"}
CONTACT = CRUD | {"fingerprint", "email", "phone", "nick", "preferences", "verifiedAt"}
CONVERSATION = CRUD | CONFIG | {"botId", "contactId", "taskId", "spaceId", "expiresAt"}
STATELESS = CONFIG | AGENT | {"messages", "attachments", "contactId", "limits", "botId", "namespace", "debug"}
TURN = AGENT | {"text", "entities", "limits"}
SECRET = CRUD | {"alias", "blueprintId", "kind", "type", "value", "config", "visibility"}
VOTE = {"value", "reason"}
SKILLSET = CRUD | {"alias", "blueprintId", "visibility"}
TASK = CRUD | {"blueprintId", "botId", "contactId", "schedule", "timezone", "sessionDuration", "expiresAt"}
TASK |= {"maxIterations", "maxTime", "maxCalls"}
TRIGGER = CRUD | {"blueprintId", "botId", "authenticate", "schedule", "timezone", "sessionDuration", "alias"}
ABILITY = CRUD | {"instruction", "blueprintId", "botId", "secretId", "fileId", "spaceId"}
LINKED = {"linkedSecretId", "linkedBotId", "linkedFileId", "linkedSpaceId"}
"""What newer clients call four of them."""
FIELDS: dict[str, set[str]] = {
    "/bot/create": BOT,
    "/bot/{bot}/update": BOT,
    "/bot/{bot}/session/create": {"durationInSeconds", "messages", "meta"},
    "/bot/{bot}/clone": set(),
    "/bot/{bot}/upvote": VOTE,
    "/bot/{bot}/downvote": VOTE,
    "/channel/{channel}/publish": {"message"},
    "/channel/{channel}/subscribe": {"historyLength"},
    "/contact/create": CONTACT,
    "/contact/ensure": CONTACT,
    "/contact/{contact}/update": CONTACT,
    "/event/log/subscribe": {"historyLength"},
    "/conversation/complete": STATELESS,
    "/conversation/dispatch": STATELESS | {"channelId"},
    "/conversation/create": CONVERSATION | {"messages"},
    "/conversation/{conversation}/update": CONVERSATION,
    "/conversation/{conversation}/upvote": VOTE,
    "/conversation/{conversation}/downvote": VOTE,
    "/conversation/{conversation}/contact/upsert": CRUD | {"fingerprint", "email", "phone", "nick"},
    "/conversation/{conversation}/send": AGENT | {"text", "entities"},
    "/conversation/{conversation}/receive": AGENT,
    "/conversation/{conversation}/complete": TURN,
    "/conversation/{conversation}/dispatch": TURN | {"channelId"},
    "/conversation/{conversation}/session/create": {"durationInSeconds"},
    "/conversation/{conversation}/message/create": CRUD | {"type", "text", "entities"},
    "/conversation/{conversation}/message/{message}/update": CRUD | {"type", "text", "entities"},
    "/conversation/{conversation}/message/{message}/upvote": VOTE,
    "/conversation/{conversation}/message/{message}/downvote": VOTE,
    "/integration/trigger/create": TRIGGER,
    "/integration/trigger/{trigger}/update": TRIGGER,
    "/integration/trigger/{trigger}/setup": set(),
    "/integration/trigger/{trigger}/invoke": set(),
    "/secret/create": SECRET,
    "/secret/{secret}/update": SECRET,
    "/secret/{secret}/verify": set(),
    "/skillset/create": SKILLSET,
    "/skillset/{skillset}/update": SKILLSET,
    "/skillset/{skillset}/ability/create": ABILITY | LINKED,
    "/skillset/{skillset}/ability/{ability}/execute": {"input", "contactId"},
    "/skillset/{skillset}/ability/{ability}/update": ABILITY | LINKED,
    "/task/create": TASK,
    "/task/{task}/update": TASK,
    "/task/{task}/cancel": set(),
    "/task/{task}/execution/{execution}/cancel": set(),
    "/task/{task}/subscribe": {"historyLength"},
    "/task/{task}/trigger": set(),
}
"""Upstream's body fields of every operation that is served."""

LATER = {
    "attachments",
    "blueprintId",
    "config",
    "datasetId",
    "debug",
    "entities",
    "fileId",
    "linkedBotId",
    "linkedFileId",
    "linkedSpaceId",
    "moderation",
    "namespace",
    "privacy",
    "spaceId",
    "visibility",
}
"""Those that are not served yet."""
LATER_OF_ABILITIES = {"botId", "contactId"}
"""Those that are served, but not of an ability."""

NOWHERE = {"/conversation/{conversation}/send": AGENT}
"""Those that would change nothing: that call runs no agent."""


def bare(path: str) -> str:
    """A path whose ids have no names."""
    return re.sub(r"\{\w+\}", "{}", path)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", ids.channel(), path)


def test_every_operation_of_upstream_is_either_served_or_said_not_to_be() -> None:
    theirs = [(verb, bare(path)) for verb, path, _ in SERVED if not path.startswith(OURS)]
    ours = {*theirs}
    unserved = {(verb, bare(path)) for verb, path in UNSERVED}

    assert not ours & unserved
    assert len(ours | unserved) == len(theirs) + len(UNSERVED) == OPERATIONS
    if FACTS.exists():
        told = set(re.findall(r"^#### (GET|POST) (\S+)$", FACTS.read_text(), re.MULTILINE))
        assert ours | unserved == {(verb, bare(path)) for verb, path in told}


def test_the_fields_of_every_served_operation_are_known() -> None:
    takes = {path for verb, path, _ in SERVED if verb == "POST" and not path.startswith(OURS)}

    assert {path for path in takes if not path.endswith("/delete")} == {*FIELDS}
    if FACTS.exists():
        told = FACTS.read_text()
        for path, fields in FIELDS.items():
            body = re.search(
                rf"^#### POST {re.sub(r'{[a-z]+}', '{[A-Za-z]+}', path)}\n(?:  path.*\n|  header.*\n)*"
                r"  body application/json: (.*)$",
                told,
                re.MULTILINE,
            )
            assert body is not None, path
            named = set(re.findall(r"[{,] (\w+)\??:", " " + body[1].replace("{", "{ ")))
            assert named <= fields | {"type", "text", "meta", "url"}, path


@pytest.mark.parametrize("path", FIELDS)
async def test_a_field_of_upstream_is_served_or_answered_501_by_name(tenant: Tenant, path: str) -> None:
    before = await tenant.belongings()
    later = LATER | (LATER_OF_ABILITIES if "/ability/" in path else set())

    for field in sorted(FIELDS[path]):
        # A value of no field's type: what is served says so, and what is not is not even looked at.
        status, body, _ = await tenant.api.post("/v1" + filled(path), {field: [[0]]})
        told = (status, body["code"])
        unserved = field in later | NOWHERE.get(path, set())
        expected = (501, "NOT_IMPLEMENTED") if unserved else (400, "BAD_REQUEST")
        assert told == expected, (field, body)
        assert field in body["message"]
        assert "unknown field" not in body["message"]
    assert await tenant.belongings() == before


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_every_operation_that_is_not_served_says_so(api: Api, prefix: str) -> None:
    for verb, path in UNSERVED:
        status, raw, _ = await api.raw(
            verb, prefix + filled(path), b"not even JSON" if verb == "POST" else None
        )
        body = json.loads(raw)
        assert (status, body["code"]) == (501, "NOT_IMPLEMENTED"), path
        assert verb in body["message"]


async def test_a_filter_that_is_not_served_says_so(api: Api) -> None:
    status, body, _ = await api.get("/v1/task/list?blueprintId=x")

    assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
    assert "blueprintId" in body["message"]


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_wrong_verb_is_405_and_names_the_right_one(api: Api, prefix: str) -> None:
    for right, path, _ in SERVED:
        for verb in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {right}:
            status, raw, headers = await api.raw(verb, prefix + filled(path))
            assert (status, json.loads(raw)["code"]) == (405, "METHOD_NOT_ALLOWED"), (verb, path)
            assert right in headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v2/bot/list", "/v1/nonsense", "/v1/bot", "/v1/bot/x/no", "/v1/bot/list/", "/v1/"],
)
async def test_a_path_that_nobody_has_is_404(api: Api, path: str) -> None:
    status, raw, _ = await api.raw("GET", path)

    assert (status, json.loads(raw)["code"]) == (404, "NOT_FOUND")


async def test_health_needs_no_key(house: House) -> None:
    async with house.api(key="") as nobody:
        live, ready = await nobody.get("/health/live"), await nobody.get("/health/ready")

    assert (live.status, live.body) == (200, {"status": "live"})
    assert (ready.status, ready.body) == (200, {"status": "ready"})
