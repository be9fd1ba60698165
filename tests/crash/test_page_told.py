"""Postgres dies while pages of other origins look on: they read why, or are kept out."""

from __future__ import annotations

import pytest

from tests.house import House
from tests.http import Api

pytestmark = pytest.mark.slow

SITE = "https://www.example.com"
ALLOW = "Access-Control-Allow-Origin"


async def test_with_postgres_killed_a_page_that_is_known_reads_the_503(house: House, api: Api) -> None:
    await house.store.origins.add(house.account, SITE)
    asked = {"Access-Control-Request-Method": "GET"}
    before = await api.raw("OPTIONS", "/v1/bot/list", Origin=SITE, **asked)
    house.kill("postgres")

    known = await api.get("/v1/bot/list", Origin=SITE)
    preflight = await api.raw("OPTIONS", "/v1/bot/list", Origin=SITE, **asked)
    unknown = await api.get("/v1/bot/list", Origin="https://www.example.org")
    house.start("postgres")
    await house.ready()
    after = await api.get("/v1/bot/list", Origin=SITE)

    assert [answer.status for answer in (before, known, preflight, unknown, after)] == [
        204,
        503,
        204,
        503,
        200,
    ]
    assert [answer.headers.get(ALLOW) for answer in (known, unknown, after)] == [SITE, None, SITE]
    assert known.headers["Retry-After"] == unknown.headers["Retry-After"] == "1"
