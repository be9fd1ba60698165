"""Exports: a page as JSON, everything as JSON lines or as a table that spreadsheets open safely."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import tables
from api.routes import SERVED
from api.signature import Signature
from tests.api.test_streams import JSONL, SSE, jsonl, sse
from tests.tenant import Tenant

CSV = {"Accept": "text/csv"}
EXPORTS = ["/conversation/export", "/contact/export", "/event/log/export", "/task/export"]
OF_ABILITIES = "/skillset/{skillset}/ability/export"
"""It is tested where abilities are."""
HEADS = {
    "/conversation/export": "id,name,description,meta,createdAt,updatedAt,botId,contactId",
    "/contact/export": "id,name,description,meta,createdAt,updatedAt,fingerprint,email",
    "/event/log/export": "id,type,meta,createdAt,updatedAt,conversationId,contactId,botId",
    "/task/export": "id,name,description,meta,createdAt,updatedAt,botId,contactId,schedule",
}
"""How the tables begin; columns are added at the end or in between, none is renamed."""


def rows(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))


def cell(value: Any) -> str:
    """How a table shows what JSON has."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


async def table(tenant: Tenant, path: str) -> tuple[list[dict[str, str]], Any]:
    status, raw, headers = await tenant.api.raw("GET", f"/v1{path}", **CSV)
    assert status == 200, raw
    return rows(raw), headers


async def filled(tenant: Tenant) -> None:
    for n in range(3):
        bot = (await tenant.api.ok("/v1/bot/create"))["id"]
        person = {"fingerprint": f"f{n}", "email": "a@b.c", "name": 'Ada, "the" first\r\nof all'}
        await tenant.api.conversation(
            botId=bot, contactId=person, name=f"Größe {n}", meta={"a": [1, {"b": None}]}, onBusy="reject"
        )
        words = {"description": f"Größe {n}", "timezone": "Asia/Tokyo"}
        await tenant.api.ok("/v1/task/create", words | {"botId": bot, "schedule": "0 7 * * 1-5"})


@pytest.mark.parametrize("path", EXPORTS)
async def test_an_export_is_the_same_in_every_shape(tenant: Tenant, path: str) -> None:
    await filled(tenant)

    page = (await tenant.api.get(f"/v1{path}")).body
    _, lines, _ = await tenant.api.raw("GET", f"/v1{path}", **JSONL)
    _, frames, _ = await tenant.api.raw("GET", f"/v1{path}", **SSE)
    told, headers = await table(tenant, path)

    assert len(page["items"]) >= 3
    assert [event["data"] for event in jsonl(lines)] == page["items"]
    assert [event["data"] for event in sse(frames)] == page["items"]
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert [{name: value for name, value in row.items() if value} for row in told] == [
        {name: cell(value) for name, value in item.items()} for item in page["items"]
    ]


@pytest.mark.parametrize("path", EXPORTS)
async def test_a_table_has_its_columns_whatever_is_in_it(tenant: Tenant, path: str) -> None:
    nothing = await tenant.api.raw("GET", f"/v1{path}?meta.no=such", **CSV)
    await filled(tenant)
    everything = await tenant.api.raw("GET", f"/api/v1{path}", **CSV)

    head, rest = everything.body.split(b"\r\n", 1)
    assert head.decode().startswith(HEADS[path])
    assert nothing.body == head + b"\r\n"
    assert rest.endswith(b"\r\n")


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_table_goes_through_all_pages_or_as_far_as_take_says(tenant: Tenant, prefix: str) -> None:
    made = [(await tenant.api.ok("/v1/contact/create", {"nick": str(n)}))["id"] for n in range(203)]

    _, everything, _ = await tenant.api.raw("GET", f"{prefix}/contact/export?order=asc", **CSV)
    _, some, _ = await tenant.api.raw("GET", f"{prefix}/contact/export?take=2", **CSV)
    _, rest, _ = await tenant.api.raw("GET", f"{prefix}/contact/export?order=asc&cursor={made[150]}", **CSV)

    assert [row["id"] for row in rows(everything)] == made
    assert [row["id"] for row in rows(some)] == made[:-3:-1]
    assert [row["id"] for row in rows(rest)] == made[151:]


async def test_an_export_is_narrowed_like_the_list(tenant: Tenant) -> None:
    await filled(tenant)
    bot = (await tenant.api.get("/v1/bot/list?take=1")).body["items"][0]["id"]

    conversations, _ = await table(tenant, f"/conversation/export?botId={bot}")
    acts, _ = await table(tenant, "/event/log/export?type=contact.create,bot.create")

    assert [row["botId"] for row in conversations] == [bot]
    assert [row["type"] for row in acts] == ["contact.create", "bot.create"] * 3


async def test_only_exports_are_tables(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    giving = {path for _, path, handler in SERVED if Signature.of(handler).csv}
    others = [
        "/bot/list",
        "/contact/list",
        "/run/list",
        "/event/log/list",
        f"/conversation/{conversation}/fetch",
    ]

    for path in others[:-1]:
        status, raw, _ = await tenant.api.raw("GET", f"/v1{path}", **CSV)
        assert (status, json.loads(raw)["code"]) == (400, "BAD_REQUEST"), path
        assert b"application/jsonl" in raw
        assert b"text/csv is not served here" in raw
    assert giving == {*EXPORTS, OF_ABILITIES}
    status, raw, _ = await tenant.api.raw("GET", "/v1/contact/export", Accept="text/html")
    assert (status, json.loads(raw)["code"]) == (400, "BAD_REQUEST")
    assert b"text/csv" in raw


FORMULAS = [
    '=HYPERLINK("http://x.example","y")',
    "=1+1",
    "+cmd|'/c calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "\uff1d1+1",
    "-",
    "+A1",
]


@pytest.mark.parametrize("text", FORMULAS)
async def test_what_a_stranger_wrote_is_no_formula_in_a_spreadsheet(tenant: Tenant, text: str) -> None:
    await tenant.api.ok("/v1/contact/create", {"name": text, "nick": f"a{text}"})

    (row,), _ = await table(tenant, "/contact/export")
    (item,) = (await tenant.api.get("/v1/contact/export")).body["items"]

    assert (row["name"], row["nick"]) == (f"'{text}", f"a{text}")
    assert item["name"] == text


@pytest.mark.parametrize(
    "text", ["+44 20 7946 0958", "+49 (0)30 1234-56", "-1", "+1.5", "'quoted", "", "a=1"]
)
async def test_telephone_numbers_and_ordinary_words_stay_as_they_are(tenant: Tenant, text: str) -> None:
    await tenant.api.ok("/v1/contact/create", {"phone": text, "name": text})

    (row,), _ = await table(tenant, "/contact/export")

    assert (row["phone"], row["name"]) == (text, text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a; =1+1", "a; '=1+1"),
        ("a\t@SUM(A1)", "a\t'@SUM(A1)"),
        ('a;"=1+1"', 'a;"\'=1+1"'),
        ("a\n=1;-1", "a\n'=1;'-1"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\n=1", "'\n'=1"),
        ("a;b=1", "a;b=1"),
    ],
)
def test_no_cell_begins_like_a_formula_where_semicolons_tabs_or_lines_part_cells(
    text: str, shown: str
) -> None:
    assert rows(b"text\r\n" + tables.line([text])) == [{"text": shown}]


def test_an_object_is_told_apart_by_no_separator_and_is_still_the_same_json() -> None:
    ((cell_,),) = csv.reader([tables.line([{"a": "x;=1+1"}]).decode()])

    assert ";" not in cell_
    assert json.loads(cell_) == {"a": "x;=1+1"}


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.dictionaries(st.text(), st.text()))


@given(st.lists(st.lists(CELLS, min_size=2), min_size=1))
def test_any_table_is_read_back_cell_by_cell_and_none_begins_like_a_formula(table: list[list[Any]]) -> None:
    raw = b"".join(tables.line(row) for row in table)

    read = list(csv.reader(io.StringIO(raw.decode(), newline=""), strict=True))
    assert [len(row) for row in read] == [len(row) for row in table]
    for row, cells in zip(read, table, strict=True):
        for got, value in zip(row, cells, strict=True):
            if isinstance(value, str):
                assert got.replace("'", "") == value.replace("'", "")
                assert not re.search(r'[;\t\r\n][\s"]*[=+@-]', got)
                assert not got.startswith(("=", "@", "\t", "\r", "\n"))
            elif isinstance(value, dict):
                assert json.loads(got) == value
            else:
                assert got == ("" if value is None else json.dumps(value))
