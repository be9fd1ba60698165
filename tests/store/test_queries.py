"""The named queries: each is valid, each is used, each says what its parameters are."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from store.database import connect
from store.queries import load, ordered

STORE = Path(__file__).resolve().parents[2] / "store"
NOUNS = sorted(file.stem for file in STORE.glob("*.sql") if file.stem != "schema")
QUERIES = [(noun, name) for noun in NOUNS for name in load(noun)]


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await connect(url)
    yield opened
    await opened.close()


async def test_every_query_is_valid_against_the_migrated_schema(connection: asyncpg.Connection) -> None:
    for noun, name in QUERIES:
        for ascending in (False, True):
            try:
                await connection.prepare(ordered(load(noun)[name], ascending=ascending))
            except asyncpg.PostgresError as wrong:
                raise AssertionError(f"{noun}.{name}: {wrong}") from wrong


def users(noun: str) -> str:
    """The source of the modules that load a noun's queries."""
    files = [file.read_text() for file in STORE.glob("*.py")]
    return "\n".join(text for text in files if f'load("{noun}")' in text)


@pytest.mark.parametrize("noun", NOUNS)
def test_the_queries_of_a_file_are_those_its_module_uses(noun: str) -> None:
    source = users(noun)

    unused = [name for name in load(noun) if f'"{name}"' not in source]
    assert unused == []
    if source.count("load(") == 1:
        assert {*re.findall(r'_SQL\["(\w+)"\]', source)} <= {*load(noun)}


@pytest.mark.parametrize("noun", NOUNS)
def test_a_file_of_queries_lies_beside_its_module(noun: str) -> None:
    assert (STORE / f"{noun}.py").exists()


@pytest.mark.parametrize(("noun", "name"), QUERIES)
def test_a_query_says_what_its_parameters_are(noun: str, name: str) -> None:
    lines = load(noun)[name].splitlines()
    # A comment after the query belongs to the next one: the head ends where the SQL begins.
    sql = next(at for at, line in enumerate(lines) if not line.startswith("--"))
    head, body = "\n".join(lines[:sql]), "\n".join(lines[sql:])

    assert {*re.findall(r"\$\d+", body)} == {*re.findall(r"\$\d+(?= )", head)}


@pytest.mark.parametrize("noun", NOUNS)
def test_no_name_is_given_twice_in_a_file(noun: str) -> None:
    given = re.findall(r"^-- name: (\w+)$", (STORE / f"{noun}.sql").read_text(), re.MULTILINE)

    assert len(given) == len({*given}) == len(load(noun))
