"""What a request hands the agent besides words: functions, extensions and limits, taken or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.bodies import parse
from api.channels import SHORTEST
from api.completions import Complete, Dispatch, Receive, TurnComplete, TurnDispatch
from api.equipment import Equipped
from api.extensions import LATER, UPSTREAMS, GivenExtensions, abilities, settles
from api.functions import functions
from domain.errors import BadRequest, NotServed
from domain.tools import Function, InlineAbility
from tests.house import House
from tests.http import Api
from tests.tenant import Tenant

RUNS: dict[str, type[Equipped]] = {
    "/conversation/complete": Complete,
    "/conversation/dispatch": Dispatch,
    "/conversation/{}/receive": Receive,
    "/conversation/{}/complete": TurnComplete,
    "/conversation/{}/dispatch": TurnDispatch,
}
"""Every call that runs the agent."""
BACKGROUND = [path for path in RUNS if path.endswith("dispatch")]
STATELESS = {"messages": [{"type": "user", "text": "x"}]}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHANNEL = "a channel of 16+"
FETCH = "```fetch\nGET https://example.com/look\n```"
ABILITY = {"name": "look", "description": "Looks.", "instruction": FETCH}


def function(**fields: Any) -> dict[str, Any]:
    given = {"name": "weather", "description": "Tells the weather.", "parameters": PARAMETERS} | fields
    return {name: value for name, value in given.items() if value is not ...}


def nested(levels: int) -> dict[str, Any]:
    """An object in an object in …, so many of them."""
    schema: dict[str, Any] = {}
    for _ in range(levels - 1):
        schema = {"a": schema}
    return schema


def taken(given: list[dict[str, Any]], model: type[Equipped] = Receive) -> tuple[Function, ...]:
    return functions(parsed({"functions": given}, model).functions)


def parsed(given: dict[str, Any], model: type[Equipped] = Receive) -> Equipped:
    body = STATELESS if model in (Complete, Dispatch) else {}
    return parse(model, json.dumps(body | given).encode())


def extended(**fields: Any) -> GivenExtensions:
    extensions = parsed({"extensions": fields}).extensions
    assert extensions is not None
    return extensions


# What is taken.


@pytest.mark.parametrize("model", RUNS.values(), ids=RUNS)
def test_a_function_is_taken_as_it_was_given_wherever_the_agent_runs(model: type[Equipped]) -> None:
    given = function(result={"channel": CHANNEL, "waitSeconds": 60}, call={"start": True, "end": False})

    assert taken([given], model) == (
        Function(
            name="weather",
            description="Tells the weather.",
            parameters=PARAMETERS,
            kind="channel",
            channel=CHANNEL,
            wait_seconds=60,
            first=True,
        ),
    )


@pytest.mark.parametrize("data", [None, False, 0, "", [], {}, "x", {"a": [1.5, None]}])
def test_data_answers_at_once_whatever_it_is(data: Any) -> None:
    (found,) = taken([function(result={"data": data})])

    assert (found.kind, found.data) == ("data", data)


@pytest.mark.parametrize("result", [..., None, {}, {"channel": None}])
def test_without_data_and_channel_the_caller_answers(result: Any) -> None:
    (found,) = taken([function(result=result)])

    assert (found.kind, found.channel, found.first, found.last) == ("caller", None, False, False)


@pytest.mark.parametrize("call", [None, {}, {"start": None, "end": None}, {"start": False, "end": False}])
def test_a_call_that_says_nothing_is_none(call: Any) -> None:
    (found,) = taken([function(call=call)])

    assert (found.first, found.last) == (False, False)


def test_a_hundred_functions_may_come_in_their_order() -> None:
    names = [f"f{n}" for n in range(100)]

    assert [found.name for found in taken([function(name=name) for name in names])] == names


@pytest.mark.parametrize("name", ["a", "getWeather", "A_b9", "n" * 64])
def test_a_name_is_an_identifier_that_models_take_too(name: str) -> None:
    assert taken([function(name=name)])[0].name == name


def test_a_channel_has_as_many_letters_as_publish_takes() -> None:
    assert len(CHANNEL) == SHORTEST
    for channel in (CHANNEL, "é" * 255):
        assert taken([function(result={"channel": channel})])[0].channel == channel


def test_schemas_and_data_may_be_deep() -> None:
    parameters = PARAMETERS | {"$defs": nested(31)}

    (found,) = taken([function(parameters=parameters, result={"data": nested(32)})])

    assert (found.parameters, found.data) == (parameters, nested(32))


@pytest.mark.parametrize("given", [None, []])
def test_no_functions_are_none(given: Any) -> None:
    assert functions(parsed({"functions": given}).functions) == ()


@pytest.mark.parametrize("model", [TurnComplete, TurnDispatch, Complete, Dispatch])
def test_limits_are_taken(model: type[TurnComplete] | type[Complete]) -> None:
    limits = {"iterations": 10_000, "continuations": 100.0, "calls": 100_000, "tokens": 1}

    found = parsed({"limits": limits}, model)

    assert isinstance(found, TurnComplete | Complete)
    assert found.limits is not None
    assert found.limits.given() == limits


def test_abilities_of_all_skillsets_are_taken_in_their_order() -> None:
    found = abilities(
        extended(
            skillsets=[
                {"name": "one", "description": "d", "abilities": [ABILITY | {"meta": {"a": 1}}]},
                {"abilities": []},
                {
                    "abilities": [
                        ABILITY | {"name": "old", "secretId": "secret_1"},
                        ABILITY | {"name": "new", "linkedSecretId": "secret_2", "secretId": None},
                    ]
                },
            ]
        )
    )

    assert [(one.name, one.secret_id) for one in found] == [
        ("look", None),
        ("old", "secret_1"),
        ("new", "secret_2"),
    ]
    assert found[0] == InlineAbility(name="look", description="Looks.", instruction=FETCH)


def test_settle_is_for_dispatches_only() -> None:
    given = extended(features=[{"name": "settle"}, {"name": "settle", "options": {}}])

    assert settles(given, background=True)
    with pytest.raises(BadRequest, match=r"extensions\.features\.0\.name: settle .* dispatch"):
        settles(given, background=False)


@pytest.mark.parametrize("features", [None, []])
def test_without_features_nothing_settles(features: Any) -> None:
    for background in (True, False):
        assert not settles(extended(features=features), background=background)


# What is refused.

WRONG_FUNCTIONS: list[tuple[Any, str]] = [
    ("x", "functions"),
    ([function(name=...)], "functions.0.name"),
    ([function(name="")], "functions.0.name"),
    ([function(name="_start")], "functions.0.name"),
    ([function(name="9lives")], "functions.0.name"),
    ([function(name="two words")], "functions.0.name"),
    ([function(name="with-dash")], "functions.0.name"),
    ([function(name="$money")], "functions.0.name"),
    ([function(name="café")], "functions.0.name"),
    ([function(name="line\n")], "functions.0.name"),
    ([function(name="n" * 65)], "functions.0.name"),
    ([function(), function()], "two functions are called weather"),
    ([function(description=...)], "functions.0.description"),
    ([function(description="")], "functions.0.description"),
    ([function(parameters=...)], "functions.0.parameters"),
    ([function(parameters=[])], "functions.0.parameters"),
    ([function(parameters={})], "functions.0.parameters"),
    ([function(parameters={"type": "string"})], "functions.0.parameters"),
    ([function(parameters={"type": "object", "properties": []})], "functions.0.parameters"),
    ([function(parameters={"type": "object", "a": nested(32)})], "functions.0.parameters"),
    ([function(parameters={"type": "object", "a": [0] * 10_001})], "functions.0.parameters"),
    ([function(parameters={"type": "object", "a": 2**63})], "functions.0.parameters"),
    ([function(result={"data": 1, "channel": CHANNEL})], "functions.0.result"),
    ([function(result={"data": None, "channel": CHANNEL})], "functions.0.result"),
    ([function(result={"data": nested(33)})], "functions.0.result.data"),
    ([function(result={"data": 1, "waitSeconds": 1})], "waitSeconds"),
    ([function(result={"waitSeconds": 1})], "waitSeconds"),
    ([function(result={"channel": "x" * 15})], "functions.0.result.channel"),
    ([function(result={"channel": "x" * 256})], "functions.0.result.channel"),
    ([function(result={"channel": "x" * 16 + "\n"})], "functions.0.result.channel"),
    ([function(result={"channel": "x" * 16 + "/x"})], "functions.0.result.channel"),
    ([function(result={"channel": 5})], "functions.0.result.channel"),
    ([function(result={"channel": CHANNEL, "waitSeconds": 0})], "waitSeconds"),
    ([function(result={"channel": CHANNEL, "waitSeconds": 2_592_001})], "waitSeconds"),
    ([function(result={"channel": CHANNEL, "waitSeconds": "1"})], "waitSeconds"),
    ([function(result="x")], "functions.0.result"),
    ([function(result={"value": 1})], "functions.0.result.value"),
    ([function(call={"start": "yes"})], "functions.0.call.start"),
    ([function(call={"begin": True})], "functions.0.call.begin"),
    ([function(call={"start": True}), function(name="f", call={"start": True})], "call.start"),
    ([function(nonsense=1)], "functions.0.nonsense"),
    ([function(description="d" * 65_537)], "functions.0"),
    ([function(name=f"f{n}") for n in range(101)], "functions"),
]
WRONG_EXTENSIONS: list[tuple[Any, str]] = [
    ([], "extensions"),
    ({"nonsense": 1}, "extensions.nonsense"),
    ({"backstory": 1}, "extensions.backstory"),
    ({"skillsets": {}}, "extensions.skillsets"),
    ({"skillsets": [{"abilities": [ABILITY | {"name": ""}]}]}, "extensions.skillsets.0.abilities.0.name"),
    ({"skillsets": [{"abilities": [{"name": "x"}]}]}, "extensions.skillsets.0.abilities.0.instruction"),
    ({"skillsets": [{"abilities": [ABILITY | {"instruction": "Look."}]}]}, "abilities.0.instruction"),
    ({"skillsets": [{"abilities": [ABILITY | {"instruction": "i" * 65_537}]}]}, "abilities.0"),
    ({"skillsets": [{"abilities": [ABILITY | {"nonsense": 1}]}]}, "abilities.0.nonsense"),
    (
        {"skillsets": [{"abilities": [ABILITY | {"secretId": "a", "linkedSecretId": "b"}]}]},
        "linkedSecretId",
    ),
    ({"skillsets": [{"abilities": [ABILITY] * 51}] * 2}, "extensions.skillsets"),
    ({"skillsets": [{"abilities": [ABILITY] * 101}]}, "extensions.skillsets.0.abilities"),
    ({"skillsets": [{"abilities": [ABILITY | {"instruction": 1}]}]}, "skillsets.0.abilities.0.instruction"),
    ({"skillsets": [{"abilities": 1}, 1]}, "extensions.skillsets.0.abilities"),
    ({"features": [{}]}, "extensions.features.0.name"),
    ({"features": [{"name": "nonsense"}]}, "extensions.features.0.name"),
    ({"features": [{"name": "settle", "nonsense": 1}]}, "extensions.features.0.nonsense"),
]
WRONG_LIMITS: list[tuple[Any, str]] = [
    ({"iterations": 0}, "limits.iterations"),
    ({"iterations": 10_001}, "limits.iterations"),
    ({"continuations": 0}, "limits.continuations"),
    ({"continuations": 101}, "limits.continuations"),
    ({"calls": 0}, "limits.calls"),
    ({"calls": 100_001}, "limits.calls"),
    ({"tokens": 0}, "limits.tokens"),
    ({"tokens": 1.5}, "limits.tokens"),
    ({"iterations": "1"}, "limits.iterations"),
    ({"iterations": True}, "limits.iterations"),
    ({"nonsense": 1}, "limits.nonsense"),
    ([], "limits"),
]
WRONG = [
    *(("functions", *wrong) for wrong in WRONG_FUNCTIONS),
    *(("extensions", *wrong) for wrong in WRONG_EXTENSIONS),
    *(("limits", *wrong) for wrong in WRONG_LIMITS),
]


async def refused(
    tenant: Tenant, path: str, given: dict[str, Any], api: Api | None = None
) -> tuple[int, str]:
    """The status and message of a refusal, after which there is nothing that was not there before."""
    url = "/v1" + path.format(await tenant.api.conversation())
    before = await tenant.belongings()
    status, told, _ = await (api or tenant.api).post(url, (STATELESS if "{}" not in path else {}) | given)
    assert await tenant.belongings() == before
    return status, told["message"]


@pytest.mark.parametrize(("field", "value", "named"), WRONG)
async def test_what_is_wrong_is_refused_by_the_name_of_its_field(
    tenant: Tenant, field: str, value: Any, named: str
) -> None:
    for path in ("/conversation/{}/complete", "/conversation/dispatch"):
        status, message = await refused(tenant, path, {field: value})
        assert (status, named in message) == (400, True), message


@pytest.mark.parametrize("path", RUNS)
async def test_it_is_refused_wherever_the_agent_runs(tenant: Tenant, path: str) -> None:
    for given in ({"functions": [function(name="_")]}, {"extensions": {"features": [{"name": "x"}]}}):
        assert (await refused(tenant, path, given))[0] == 400


def counted(functions: int, abilities: int) -> dict[str, Any]:
    return {
        "functions": [function(name=f"f{n}") for n in range(functions)],
        "extensions": {"skillsets": [{"abilities": [ABILITY] * abilities}]},
    }


@pytest.mark.parametrize(
    ("functions", "abilities", "settle"), [(60, 41, False), (98, 0, True), (0, 98, True)]
)
async def test_more_than_a_hundred_tools_in_all_are_refused_and_counted(
    tenant: Tenant, functions: int, abilities: int, settle: bool
) -> None:
    given = counted(functions, abilities)
    given["extensions"] |= {"features": [{"name": "settle"}]} if settle else {}

    status, message = await refused(tenant, "/conversation/dispatch", given)

    assert (status, f"{functions} functions, {abilities} abilities" in message) == (400, True), message


@pytest.mark.parametrize(("functions", "abilities", "settle"), [(60, 40, False), (97, 0, True)])
async def test_a_hundred_tools_in_all_are_taken_and_told(
    house: House, api: Api, functions: int, abilities: int, settle: bool
) -> None:
    word = f"canary of {functions} functions and {abilities} abilities"
    given = STATELESS | counted(functions, abilities)
    given["messages"] = [{"type": "user", "text": f"[model tokens=2] {word}"}]
    given["extensions"] |= {"features": [{"name": "settle"}]} if settle else {}

    dispatched = await api.ok("/v1/conversation/dispatch", given)
    await api.stream(f"/v1/run/{dispatched['runId']}/subscribe")

    (call,) = await house.calls(word)
    assert len({*call["tools"]}) == 100


async def test_receive_takes_no_limits(tenant: Tenant) -> None:
    assert await refused(tenant, "/conversation/{}/receive", {"limits": {"calls": 1}}) == (
        400,
        "limits: unknown field",
    )


def unserved(name: str) -> dict[str, Any]:
    """Extensions with a field of upstream's that is not served."""
    *_, last = name.split(".")
    inside = {last: "x"} if "abilities" in name else {}
    return {"skillsets": [{"abilities": [ABILITY | inside]}]} if inside else {last: []}


@pytest.mark.parametrize("name", sorted(LATER))
async def test_what_is_not_served_of_extensions_is_501_by_its_name(tenant: Tenant, name: str) -> None:
    for path in RUNS:
        status, message = await refused(tenant, path, {"extensions": unserved(name)})
        assert (status, name in message) == (501, True), message


@pytest.mark.parametrize("name", sorted(UPSTREAMS))
def test_a_feature_that_is_not_served_is_501_by_its_name(name: str) -> None:
    for background in (True, False):
        with pytest.raises(NotServed, match=name):
            settles(extended(features=[{"name": name}]), background=background)


def test_settle_has_no_options() -> None:
    with pytest.raises(NotServed, match="options"):
        settles(extended(features=[{"name": "settle", "options": {"a": 1}}]), background=True)


@pytest.mark.parametrize("path", [path for path in RUNS if path not in BACKGROUND])
async def test_settle_elsewhere_is_refused_with_the_call_to_use(tenant: Tenant, path: str) -> None:
    status, message = await refused(tenant, path, {"extensions": {"features": [{"name": "settle"}]}})

    assert (status, "dispatch" in message) == (400, True)


@pytest.mark.parametrize("path", BACKGROUND)
async def test_a_function_cannot_wait_on_the_channel_of_its_own_run(tenant: Tenant, path: str) -> None:
    channel = "the-channel-of-this-dispatch"
    given = {"channelId": channel, "functions": [function(result={"channel": channel})]}

    status, message = await refused(tenant, path, given)

    assert (status, "functions.0.result.channel" in message) == (400, True)


async def test_send_runs_no_agent_and_takes_nothing_for_one(tenant: Tenant) -> None:
    for field in ("functions", "extensions"):
        status, message = await refused(tenant, "/conversation/{}/send", {"text": "x", field: []})
        assert (status, field in message) == (501, True)


@pytest.mark.parametrize("call", ["receive", "complete"])
async def test_a_sessions_token_hands_over_no_extensions_and_waits_on_no_channel(
    tenant: Tenant, call: str
) -> None:
    conversation = await tenant.api.conversation()
    made = await tenant.api.ok(f"/v1/conversation/{conversation}/session/create")
    path = f"/conversation/{conversation}/{call}"
    async with tenant.house.api(key=made["token"]) as visitor:
        for given, named in (
            ({"extensions": {}}, "extensions"),
            ({"extensions": {"backstory": "Obey."}}, "extensions"),
            ({"functions": [function(), function(name="f", result={"channel": CHANNEL})]}, "functions.1"),
        ):
            status, told, _ = await visitor.post(f"/v1{path}", given)
            assert (status, told["code"], named in told["message"]) == (403, "NOT_AUTHORIZED", True)
    assert await tenant.api.messages(conversation) == []
