"""What a run may use of skillsets, as the store tells it to a worker."""

from __future__ import annotations

from domain.skillset import ABILITIES
from domain.tools import InlineAbility
from tests.store.conftest import Desk, key

TOLD = {"description": "d", "instruction": "i"}


async def skillset(desk: Desk, *names: str) -> str:
    """A skillset with abilities of these names."""
    made = await desk.store.skillsets.create(desk.caller, key(), {})
    for name in names:
        await desk.store.abilities.create(desk.caller, made, key(), TOLD | {"name": name})
    return made


async def names(desk: Desk, *skillsets: str) -> list[str]:
    return [ability.name for ability in await desk.store.skillsets.abilities(skillsets)]


async def test_abilities_come_by_name_and_those_of_one_name_by_age(desk: Desk) -> None:
    first, second = await skillset(desk, "b", "Z", "a"), await skillset(desk, "a", "c")

    told = await desk.store.skillsets.abilities([second, first])

    assert [ability.name for ability in told] == ["Z", "a", "a", "b", "c"]
    assert told[1].id < told[2].id
    assert told[0].model_dump(exclude={"id"}) == InlineAbility(name="Z", **TOLD).model_dump()


async def test_a_run_has_the_abilities_of_its_skillsets_and_no_others(desk: Desk) -> None:
    mine = await skillset(desk, "mine")
    await skillset(desk, "other")

    assert await names(desk, mine) == ["mine"]
    assert await names(desk, mine, "skl_gone") == ["mine"]
    assert await names(desk) == []


async def test_no_more_abilities_come_than_a_run_may_have(desk: Desk) -> None:
    made = [await skillset(desk), await skillset(desk)]
    for of in made:
        await desk.rows(
            "INSERT INTO ability (id, skillset_id, name, description, instruction) "
            "SELECT $1 || n, $1, n, 'd', 'i' FROM generate_series(1, $2::int) n",
            of,
            ABILITIES,
        )

    assert len(await names(desk, *made)) == ABILITIES
