"""Promise 10: what is malformed is refused with a clear 4xx and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import ids
from tests.http import Api
from tests.tenant import Tenant

JSON = {"Content-Type": "application/json"}

ENDPOINTS = [
    "/bot/create",
    "/skillset/create",
    "/skillset/{}/ability/create",
    "/contact/create",
    "/secret/create",
    "/task/create",
    "/contact/ensure",
    "/conversation/create",
    "/conversation/{}/update",
    "/conversation/{}/send",
    "/conversation/{}/message/create",
    "/conversation/{}/upvote",
    "/conversation/{}/contact/upsert",
    "/conversation/{}/complete",
    "/conversation/{}/dispatch",
    "/conversation/{}/receive",
    "/conversation/complete",
    "/conversation/dispatch",
    "/channel/channel-of-sixteen-and-more/publish",
    "/channel/channel-of-sixteen-and-more/subscribe",
]
"""One of every kind that takes a body."""

NOT_JSON = {
    "cut short": b'{"name": "x"',
    "a bare word": b"name",
    "a trailing comma": b'{"name": "x",}',
    "two values": b"{}{}",
    "single quotes": b"{'name': 'x'}",
    "a comment": b"{/* x */}",
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "a number": b"1",
    "white space": b"   ",
    "NaN": b'{"meta": {"x": NaN}}',
    "a NaN alone": b"NaN",
    "bad UTF-8": b'{"name": "\xff\xfe"}',
    "a cut character": b'{"name": "\xe2\x82"}',
    "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
    "an overlong character": b'{"name": "\xc0\xaf"}',
    "a byte-order mark": b'\xef\xbb\xbf{"name": "x"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "UTF-32": '{"name": "x"}'.encode("utf-32"),
    "a NUL byte": b'{"name": "\0"}',
    "a control byte": b'{"name": "\x01"}',
    "a lone high surrogate": rb'{"name": "\ud83d"}',
    "a lone low surrogate": rb'{"name": "\ude00"}',
    "a lone surrogate in a key": rb'{"\ud83d": 1}',
    "ten thousand lists": b'{"meta": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "a hundred thousand objects": b'{"meta": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "an unknown key": b'{"nonsense": 1}',
    "a key of a million letters": b'{"' + b"k" * 1_000_000 + b'": 1}',
    "a bad escape": rb'{"name": "\x41"}',
    "a NUL in a key": rb'{"a\u0000b": 1}',
}


async def refused(
    tenant: Tenant, path: str, body: bytes, expected: int = 400, headers: Mapping[str, str] = JSON
) -> dict[str, Any]:
    """The refusal of a body by an endpoint, after which the account has what it had before."""
    url = "/v1" + path.format(await tenant.api.conversation())
    before = await tenant.belongings()
    status, raw, sent = await tenant.api.raw("POST", url, body, **JSON | dict(headers))
    assert status == expected, (path, body[:100], status, raw[:300])
    answer: dict[str, Any] = json.loads(raw)
    assert answer["message"]
    assert answer["code"]
    assert answer["requestId"] == sent["X-Request-Id"]
    assert len(raw) < 5_000
    assert await tenant.belongings() == before
    return answer


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_a_body_that_is_no_proper_json_object_is_refused_everywhere(
    tenant: Tenant, body: bytes
) -> None:
    for path in ENDPOINTS:
        answer = await refused(tenant, path, body)
        assert answer["code"] == "BAD_REQUEST"


META = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "2^63": b"9223372036854775808",
    "a number of 5000 digits": b"1" + b"0" * 5_000,
    "NUL": rb'"a\u0000b"',
    "NUL deep down": rb'[[{"a": "\u0000"}]]',
    "NUL in a key": rb'{"\u0000": 1}',
    "NUL after an escaped backslash": rb'"\\\u0000"',
    "a lone surrogate": rb'"\udfff"',
    "nine levels": b'{"a":' * 9 + b"1" + b"}" * 9,
    "a thousand and one values": json.dumps([0] * 1_001).encode(),
}


@pytest.mark.parametrize("value", META.values(), ids=META)
@pytest.mark.parametrize(
    "path",
    [
        "/bot/create",
        "/contact/ensure",
        "/conversation/create",
        "/conversation/{}/update",
        "/conversation/complete",
    ],
)
async def test_free_json_that_cannot_be_kept_as_it_came_is_refused(
    tenant: Tenant, path: str, value: bytes
) -> None:
    required = {
        "/contact/ensure": b'"fingerprint": "f", ',
        "/conversation/complete": b'"messages": [{"type": "user", "text": "x", "meta": {"x": %s}}], ' % value,
    }.get(path, b"")
    meta = b"" if path == "/conversation/complete" else b'"meta": {"x": %s}' % value
    body = b"{%s%s}" % (required, meta)

    answer = await refused(tenant, path, body.replace(b", }", b"}"))

    assert answer["code"] == "BAD_REQUEST"


async def test_an_escaped_backslash_before_u0000_is_text_and_is_kept(tenant: Tenant) -> None:
    made = await tenant.api.ok("/v1/bot/create", rb'{"name": "a\\u0000b"}')

    assert (await tenant.api.get(f"/v1/bot/{made['id']}/fetch")).body["name"] == r"a\u0000b"


async def test_text_of_every_plane_is_kept_as_it_came(tenant: Tenant) -> None:
    text = "é\u2028\u2029\ufeff\U0001f600\ufffd\x7f\x85 \\ \" ' %00 <b>{}"
    made = await tenant.api.ok(
        "/v1/bot/create", {"name": text, "meta": {text: [text, 2**63 - 1, -0.5, None]}}
    )

    found = (await tenant.api.get(f"/v1/bot/{made['id']}/fetch")).body

    assert found["name"] == text
    assert found["meta"] == {text: [text, 2**63 - 1, -0.5, None]}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/bot/create", {"name": 1}, "name"),
    ("/bot/create", {"name": "n" * 1_001}, "name"),
    ("/bot/create", {"meta": []}, "meta"),
    ("/bot/create", {"model": ""}, "model"),
    ("/bot/create", {"model": "gpt-5/temperature=nan"}, "temperature"),
    ("/bot/create", {"backstory": "b" * 1_000_001}, "backstory"),
    ("/bot/create", {"skillsetId": ""}, "skillsetId"),
    ("/skillset/create", {"alias": "Tools"}, "alias"),
    ("/contact/ensure", {}, "fingerprint"),
    ("/contact/ensure", {"fingerprint": ""}, "fingerprint"),
    ("/contact/create", {"verifiedAt": -1}, "verifiedAt"),
    ("/contact/create", {"verifiedAt": 1e18}, "verifiedAt"),
    ("/contact/create", {"verifiedAt": 10**18}, "verifiedAt"),
    ("/contact/create", {"verifiedAt": "2026-01-01"}, "verifiedAt"),
    ("/conversation/create", {"messages": [{"type": "alien", "text": "x"}]}, "messages.0.type"),
    ("/conversation/create", {"messages": [{"type": "user"}]}, "messages.0.text"),
    ("/conversation/create", {"messages": [{"type": "user", "text": "x", "nonsense": 1}]}, "nonsense"),
    ("/conversation/create", {"messages": "x"}, "messages"),
    ("/conversation/create", {"contactId": {}}, "fingerprint"),
    ("/conversation/create", {"contactId": {"fingerprint": "f", "nonsense": 1}}, "nonsense"),
    ("/conversation/create", {"onBusy": "panic"}, "onBusy"),
    ("/conversation/{}/update", {"messages": []}, "messages"),
    ("/conversation/{}/send", {}, "text"),
    ("/conversation/{}/send", {"text": ""}, "text"),
    ("/conversation/{}/send", {"text": " \n\t "}, "text"),
    ("/conversation/{}/send", {"text": None}, "text"),
    ("/conversation/{}/complete", {"text": ""}, "text"),
    ("/conversation/{}/complete", {"text": ["x"]}, "text"),
    ("/conversation/{}/complete", {"text": True}, "text"),
    ("/conversation/{}/complete", {"onBusy": 1}, "onBusy"),
    ("/conversation/{}/complete", {"channelId": "x" * 24}, "channelId"),
    ("/conversation/{}/dispatch", {"channelId": "x" * 23}, "channelId"),
    ("/conversation/{}/dispatch", {"channelId": "x" * 256}, "channelId"),
    ("/conversation/{}/dispatch", {"channelId": "x" * 24 + "\n"}, "channelId"),
    ("/conversation/{}/dispatch", {"channelId": "x" * 24 + " é"}, "channelId"),
    ("/conversation/{}/receive", {"text": "x"}, "text"),
    ("/conversation/{}/message/create", {"type": "user"}, "text"),
    ("/conversation/{}/message/create", {"type": "user", "text": None}, "text"),
    ("/conversation/{}/message/msg_1/update", {"text": None}, "text"),
    ("/conversation/{}/message/msg_1/update", {"type": None}, "type"),
    ("/conversation/complete", {}, "messages"),
    ("/conversation/complete", {"messages": []}, "messages"),
    ("/conversation/complete", {"messages": [{"type": "user", "text": "x"}], "botId": ""}, "botId"),
    ("/conversation/complete", {"messages": [{"type": "user", "text": "x"}], "botId": "b" * 256}, "botId"),
    ("/conversation/complete", {"messages": [{"type": "user", "text": "x"}], "model": "a b"}, "model"),
    ("/channel/channel-of-sixteen-and-more/publish", {}, "message"),
    ("/channel/channel-of-sixteen-and-more/publish", {"message": "text"}, "message"),
    ("/channel/channel-of-sixteen-and-more/publish", {"message": None}, "message"),
    ("/channel/fifteen-letters/publish", {"message": {}}, "16"),
    ("/channel/fifteen-letters/subscribe", {}, "16"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {"historyLength": -1}, "historyLength"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {"historyLength": 10_001}, "historyLength"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {"historyLength": 1.5}, "historyLength"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {"historyLength": "1"}, "historyLength"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {"after": -1}, "after"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {"after": 2**63}, "after"),
    ("/channel/channel-of-sixteen-and-more/subscribe", {}, "Accept"),
]


@pytest.mark.parametrize(("path", "body", "named"), WRONG)
async def test_a_wrong_value_is_refused_by_the_name_of_its_field(
    tenant: Tenant, path: str, body: dict[str, Any], named: str
) -> None:
    answer = await refused(tenant, path, json.dumps(body).encode())

    assert named in answer["message"]


@pytest.mark.parametrize("written", [b"5", b"5.0", b"0.5e1"])
async def test_a_whole_number_may_be_written_with_a_fraction_of_nothing(
    tenant: Tenant, written: bytes
) -> None:
    made = await tenant.api.ok("/v1/contact/create", b'{"verifiedAt": %s}' % written)

    found = (await tenant.api.get(f"/v1/contact/{made['id']}/fetch")).body

    assert found["verifiedAt"] == 5


async def test_all_problems_of_a_body_are_told_at_once(tenant: Tenant) -> None:
    answer = await refused(tenant, "/bot/create", b'{"name": 1, "model": 2, "nonsense": 3}')

    assert answer["message"].count(";") == 2


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin1",
        "application/jsonl",
        "nonsense",
    ],
)
async def test_a_body_that_does_not_say_it_is_json_is_refused(tenant: Tenant, kind: str) -> None:
    for path in ENDPOINTS:
        answer = await refused(tenant, path, b"{}", 415, {"Content-Type": kind})
        assert answer["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "nonsense"])
async def test_a_compressed_body_is_refused_unopened(tenant: Tenant, coding: str) -> None:
    body = gzip.compress(b'{"name": "x"}')

    answer = await refused(tenant, "/bot/create", body, 415, {"Content-Encoding": coding})

    assert answer["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_a_body_may_be_left_out_where_nothing_is_required(tenant: Tenant) -> None:
    status, raw, _ = await tenant.api.raw("POST", "/v1/bot/create", b"", **JSON)

    assert status == 200, raw


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
async def test_a_body_over_the_limit_is_refused(tenant: Tenant, chunked: bool) -> None:
    body = b'{"name": "' + b"x" * 4_194_304 + b'"}'

    async def pieces() -> Any:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    before = await tenant.belongings()
    for path in ("/v1/bot/create", "/v1/conversation/complete"):
        status, raw, _ = await tenant.api.raw("POST", path, pieces() if chunked else io.BytesIO(body), **JSON)
        assert (status, json.loads(raw)["code"]) == (413, "CONTENT_TOO_LARGE")
    assert await tenant.belongings() == before


@pytest.mark.parametrize("key", ["", "k" * 256, "é", "a\tb"])
async def test_an_idempotency_key_is_1_to_255_printable_characters(tenant: Tenant, key: str) -> None:
    for path in ("/bot/create", "/conversation/{}/receive"):
        answer = await refused(tenant, path, b"{}", headers={"Idempotency-Key": key})
        assert "Idempotency-Key" in answer["message"]


@pytest.mark.parametrize(
    "accept", ["text/html", "text/csv", "application/xml", "image/*", "nonsense", "application/jsonl2"]
)
async def test_an_answer_in_an_unknown_form_is_refused_before_anything_is_accepted(
    tenant: Tenant, accept: str
) -> None:
    for path in ("/conversation/{}/complete", "/conversation/{}/dispatch", "/conversation/{}/send"):
        answer = await refused(tenant, path, b'{"text": "x"}', headers={"Accept": accept})
        assert "Accept" in answer["message"]
    status, _, _ = await tenant.api.get("/v1/bot/list", Accept=accept)
    assert status == 400


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/*", "application/json", "APPLICATION/JSON; q=0.5, text/html"]
)
async def test_the_first_media_range_decides(tenant: Tenant, accept: str) -> None:
    status, body, _ = await tenant.api.get("/v1/bot/list", Accept=accept)

    assert (status, body) == (200, {"items": [], "cursor": ""})


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "٣", "", " "])
async def test_a_last_event_id_is_a_number(tenant: Tenant, last: str) -> None:
    answer = await refused(
        tenant,
        "/conversation/{}/complete",
        b'{"text": "x"}',
        headers={"Last-Event-ID": last, "Accept": "text/event-stream"},
    )

    assert "Last-Event-ID" in answer["message"]


@pytest.mark.parametrize("which", ["", "some", "ALL", "all,", "1"])
async def test_the_events_are_all_or_those_that_clients_know(tenant: Tenant, which: str) -> None:
    answer = await refused(
        tenant, "/conversation/{}/complete", b'{"text": "x"}', headers={"X-Holdfast-Events": which}
    )

    assert "X-Holdfast-Events" in answer["message"]


@pytest.mark.parametrize(
    "zone", ["Mars/Phobos", "../../etc/passwd", "/etc/passwd", "Europe", "é", "x" * 500, ""]
)
async def test_a_time_zone_is_an_iana_name(tenant: Tenant, zone: str) -> None:
    answer = await refused(
        tenant, "/conversation/{}/complete", b'{"text": "x"}', headers={"X-Timezone": zone}
    )

    assert "X-Timezone" in answer["message"]


@pytest.mark.parametrize(
    "query",
    [
        "order=up",
        "order=DESC",
        "order=asc&order=asc",
        "cursor=x&take=1&cursor=y",
        "meta.a=x&meta.a=y",
        "nonsense=1",
        "cursor=%00",
        "take=%00",
        "meta.=x",
        "meta.a..b=x",
        "meta.a=x&meta.a.b=y",
        "meta." + ".".join("abcdefghi") + "=x",
        "meta.a=%00",
        "meta[a%00]=x",
        "%00=1",
        "order=%0a",
        "order=%ff",
    ],
)
@pytest.mark.parametrize("path", ["/bot/list", "/contact/list", "/conversation/list", "/run/list"])
async def test_a_bad_query_is_refused(tenant: Tenant, path: str, query: str) -> None:
    status, raw, _ = await tenant.api.raw("GET", f"/v1{path}?{query}")

    assert (status, json.loads(raw)["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("since", ["", "x", "-1", "1.5", "1" * 15])
async def test_since_is_epoch_milliseconds(tenant: Tenant, since: str) -> None:
    status, body, _ = await tenant.api.get(f"/v1/run/list?since={since}")

    assert (status, body["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("take", ["0", "-1", "x", "1e3", "99999999999", "", "1.5"])
async def test_a_take_that_is_no_number_of_items_is_the_default(tenant: Tenant, take: str) -> None:
    await tenant.api.ok("/v1/bot/create")

    status, body, _ = await tenant.api.get(f"/v1/bot/list?take={take}")

    assert (status, len(body["items"])) == (200, 1)


@pytest.mark.parametrize("cursor", ["nonsense", "%27%20OR%201=1%20--", "%ff", "a%2Fb", "x" * 2_000])
# Ids are times, so any text has a place among them; a message list goes by the messages themselves.
@pytest.mark.parametrize(("path", "answer"), [("/bot/list", 200), ("/conversation/{}/message/list", 400)])
async def test_a_cursor_that_is_no_id_never_fails(
    tenant: Tenant, path: str, answer: int, cursor: str
) -> None:
    url = "/v1" + path.format(await tenant.api.conversation())

    status, raw, _ = await tenant.api.raw("GET", f"{url}?cursor={cursor}")

    assert status == answer
    if answer == 200:
        assert json.loads(raw).keys() == {"items", "cursor"}


@pytest.mark.parametrize(
    "name",
    [
        "%00",
        "a%00b",
        "%0a",
        "..",
        "../list",
        "%2e%2e",
        "..%2f..%2fetc",
        "%ff",
        "x" * 300,
        "%7f",
        "%c2%85",
        "'--",
        "%20",
    ],
)
@pytest.mark.parametrize("path", ["/bot/{}/fetch", "/run/{}/fetch", "/conversation/{}/message/list"])
async def test_an_id_that_could_never_be_one_is_unknown(tenant: Tenant, path: str, name: str) -> None:
    status, raw, _ = await tenant.api.raw("GET", "/v1" + path.format(name))

    assert (status, json.loads(raw)["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("name", ["%00" * 16, "a%00" + "b" * 20, "%0a" * 20, "x" * 300])
async def test_a_channel_name_that_could_never_be_one_is_unknown(tenant: Tenant, name: str) -> None:
    before = await tenant.belongings()

    status, raw, _ = await tenant.api.raw("POST", f"/v1/channel/{name}/publish", b'{"message": {}}', **JSON)

    assert (status, json.loads(raw)["code"]) == (404, "NOT_FOUND")
    assert await tenant.belongings() == before


FUZZED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FIELDS = (
    st.sampled_from(
        [
            "text",
            "messages",
            "message",
            "meta",
            "name",
            "description",
            "model",
            "backstory",
            "botId",
            "contactId",
        ]
    )
    | st.sampled_from(
        ["onBusy", "channelId", "fingerprint", "historyLength", "after", "type", "verifiedAt", "functions"]
    )
    | st.sampled_from(["skillsetId", "instruction", "secretId", "linkedSecretId"])
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(ENDPOINTS), body=st.dictionaries(FIELDS, FUZZED, max_size=4))
async def test_no_body_whatever_makes_the_server_fail(
    tenant: Tenant, path: str, body: dict[str, Any]
) -> None:
    url = "/v1" + path.format("conv_unknown")

    status, raw, _ = await tenant.api.raw("POST", url, json.dumps(body).encode(), **JSON)

    assert status == 200 or (400 <= status < 500) or status == 501, (status, raw)
    assert status == 200 or json.loads(raw)["message"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(meta=st.dictionaries(st.text(max_size=8), FUZZED, max_size=4))
async def test_free_json_comes_back_as_it_was_given_or_is_refused(
    tenant: Tenant, meta: dict[str, Any]
) -> None:
    given_ = json.dumps({"meta": meta}).encode()

    status, told, _ = await tenant.api.post("/v1/bot/create", given_)

    if status == 200:
        _, raw, _ = await tenant.api.raw("GET", f"/v1/bot/{told['id']}/fetch")
        assert exactly(raw)["meta"] == exactly(given_)["meta"]
    else:
        assert (status, told["code"]) == (400, "BAD_REQUEST")


def exactly(raw: bytes) -> Any:
    """JSON whose numbers are compared as they are written: 2e16 and 20000000000000000 are the same."""
    return json.loads(raw, parse_int=Decimal, parse_float=Decimal)


async def test_a_request_has_an_id_that_its_refusal_carries(api: Api) -> None:
    status, body, headers = await api.get(f"/v1/bot/{ids.bot()}/fetch")

    assert status == 404
    assert body["requestId"] == headers["X-Request-Id"]
