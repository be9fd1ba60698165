"""Triggers as rows: their secrets are sealed each for its column, and go with them."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest
from pydantic import SecretStr

from deploy import postgres
from domain import ids
from domain.errors import BadRequest, NotServed, SecretUnusable
from domain.paging import Page
from domain.pointer import Where
from domain.schedule import SHORTEST
from domain.verification import Verification
from store import Keyring, rotation, tasks, triggers
from store.keyring import Place, Sealed
from store.rotation import COLUMNS
from tests.store.conftest import Desk, key
from tests.store.test_secrets import LOST, NEW, OLD, under

SIGNED: dict[str, Any] = {
    "verification": Verification(preset="github"),
    "signing": (SecretStr("canary-one"), SecretStr("canary-two")),
}


STAMPS = "SELECT id, updated_at FROM trigger UNION SELECT id, updated_at FROM target ORDER BY 1"


async def made(desk: Desk, **given: Any) -> str:
    return await desk.store.triggers.create(desk.caller, key(), given, SHORTEST)


async def shown(desk: Desk, trigger: str) -> str:
    """Its secret."""
    found = (await desk.store.triggers.fetch(desk.account, trigger)).secret
    assert found is not None
    return found.get_secret_value()


async def target(desk: Desk, trigger: str, **sealed: str) -> str:
    """A webhook of the trigger, with these columns sealed."""
    id_, values = ids.target(), {"secret": "canary", **sealed}
    columns = ["secret", "secret_key", "headers", "headers_key", "previous", "previous_key"]
    given: list[object] = []
    for name in columns[::2]:
        place = Place(desk.account, id_, f"target.{name}")  # type: ignore[arg-type]
        value = values.get(name)
        given += (None, None) if value is None else desk.store.triggers._keyring.seal(SecretStr(value), place)
    await desk.rows(
        "INSERT INTO target (id, account_id, trigger_id, kind, url, events, secret, secret_key, headers,"
        " headers_key, previous, previous_key, previous_until) VALUES ($1, $2, $3, 'webhook', 'https://a',"
        " '{}', $4, $5, $6, $7, $8, $9, CASE WHEN $8::bytea IS NOT NULL THEN clock_timestamp() END)",
        *(id_, desk.account, trigger, *given),
    )
    return id_


async def test_the_door_knows_a_trigger_by_its_id_alone_and_what_is_asked_of_its_source(desk: Desk) -> None:
    desk = await under(desk, NEW)
    said = {"schedule": "0 7 * * *", "timezone": "Asia/Tokyo", "event_id": Where(pointer="/id")}
    plain = await made(desk, name="n", **said)
    signed = await made(desk, **SIGNED)
    open_to_all = await made(desk, authenticate=False)

    first, second, third = [await desk.store.triggers.known(one) for one in (plain, signed, open_to_all)]

    assert first is not None
    assert second is not None
    assert third is not None
    assert first.account_id == desk.account
    assert (first.trigger.schedule, first.trigger.timezone) == ("0 7 * * *", "Asia/Tokyo")
    assert first.trigger.event_id == Where(pointer="/id")
    assert first.secret is not None
    assert first.secret.get_secret_value() == await shown(desk, plain)
    assert first.signing == ()
    assert second.secret is None
    assert second.signing == SIGNED["signing"]
    assert second.trigger.verification == Verification(preset="github")
    assert (third.secret, third.signing) == (None, ())
    assert await desk.store.triggers.known(ids.trigger()) is None


async def test_a_secret_is_32_random_bytes_in_hex(desk: Desk) -> None:
    desk = await under(desk, NEW)

    secrets = {await shown(desk, await made(desk)) for _ in range(5)}

    assert len(secrets) == 5
    assert all(len(bytes.fromhex(secret)) == 32 for secret in secrets)


async def test_nothing_of_its_secrets_is_in_the_database_or_in_what_is_logged(desk: Desk) -> None:
    desk = await under(desk, NEW)
    trigger = await made(desk, name="a name", **SIGNED)
    await target(desk, trigger, headers='[["X-A", "canary"]]', previous="canary")
    secret = await shown(desk, trigger)

    dump = [postgres.binary("pg_dump"), "--data-only", "--dbname", desk.store.database.url]
    told = (await asyncio.to_thread(subprocess.run, dump, capture_output=True, check=True)).stdout

    assert b"a name" in told
    for trace in (secret.encode(), secret.encode().hex().encode(), b"canary", b"canary".hex().encode()):
        assert trace not in told
    assert secret not in repr(await desk.store.triggers.fetch(desk.account, trigger))
    assert "canary" not in repr(await desk.store.triggers.known(trigger))


async def test_without_a_key_no_trigger_is_made_and_the_setting_is_named(desk: Desk) -> None:
    with pytest.raises(NotServed, match="HOLDFAST_SECRET_KEYS"):
        await made(desk)
    trigger = await made(await under(desk, NEW))

    with pytest.raises(NotServed, match="HOLDFAST_SECRET_KEYS"):
        await desk.store.triggers.update(desk.caller, trigger, SIGNED, SHORTEST)
    with pytest.raises(SecretUnusable, match=f"{trigger}.*HOLDFAST_SECRET_KEYS"):
        await desk.store.triggers.known(trigger)

    await desk.store.triggers.update(desk.caller, trigger, {"name": "needs no key"}, SHORTEST)
    (listed,) = await desk.store.triggers.list(desk.account, Page(), {})
    assert (listed.name, listed.secret) == ("needs no key", None)
    assert len(await desk.rows("SELECT FROM task")) == 1


async def test_secrets_with_which_nothing_could_be_verified_are_refused(desk: Desk) -> None:
    desk = await under(desk, NEW)
    given = {"verification": Verification(preset="standard-webhooks"), "signing": (SecretStr("too-short"),)}

    with pytest.raises(BadRequest, match="whsec_"):
        await made(desk, **given)


async def test_a_sealed_value_that_is_moved_to_another_column_does_not_open(desk: Desk) -> None:
    desk = await under(desk, NEW)
    keyring = Keyring([NEW])

    for column in COLUMNS:
        sealed = keyring.seal(SecretStr("x"), Place(desk.account, "id_1", column))
        for other in COLUMNS:
            place = Place(desk.account, "id_1", other)
            if other == column:
                assert keyring.open(Sealed(*sealed), place).get_secret_value() == "x"
            else:
                with pytest.raises(SecretUnusable, match="id_1"):
                    keyring.open(Sealed(*sealed), place)

    trigger = await made(desk, **SIGNED)
    await desk.rows("UPDATE trigger SET (secret, secret_key) = (signing, signing_key)")
    assert (await desk.store.triggers.fetch(desk.account, trigger)).secret is None


async def test_a_rotation_brings_the_secrets_of_triggers_and_targets_under_the_newest_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    before, after = await under(desk, OLD), await under(desk, NEW, OLD)
    made_before = [await made(before, **SIGNED) for _ in range(3)]
    secrets = [await shown(before, trigger) for trigger in made_before]
    bare = await made(before)
    await target(before, bare)
    await target(before, made_before[0], headers='[["X-A", "h"]]', previous="p")
    stamps = await desk.rows(STAMPS)

    checked = await after.store.rotation.check()
    rotated = await after.store.rotation.rotate()
    again = await after.store.rotation.rotate()
    alone = await under(desk, NEW)

    assert tuple(checked) == (0, 11, [])
    assert (tuple(rotated), tuple(again)) == ((11, []), (0, []))
    assert tuple(await alone.store.rotation.check()) == (11, 0, [])
    assert [await shown(alone, trigger) for trigger in made_before] == secrets
    found = await alone.store.triggers.known(made_before[0])
    assert found is not None
    assert found.signing == SIGNED["signing"]
    assert await desk.rows(STAMPS) == stamps


async def test_a_rotation_names_a_trigger_once_whose_secrets_no_key_opens(desk: Desk) -> None:
    lost = await made(await under(desk, LOST), **SIGNED)
    after = await under(desk, NEW, OLD)

    assert tuple(await after.store.rotation.rotate()) == (0, [lost])
    assert tuple(await after.store.rotation.check()) == (0, 0, [lost])


async def test_a_trigger_of_many_events_goes_in_pieces_and_all_that_hangs_on_it_with_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "PIECE", 3)
    monkeypatch.setattr(triggers, "BATCH", 2)
    monkeypatch.setattr(tasks, "BATCH", 2)
    desk = await under(desk, NEW)
    trigger, other = await made(desk, schedule="0 7 * * *"), await made(desk)
    for one in (trigger, other):
        sent = await target(desk, one)
        await desk.rows(
            "INSERT INTO trigger_event (id, account_id, trigger_id, source, size, digest, run_id)"
            " SELECT 'tev_' || $2 || n, $1, $2, 'event', 0, '', 'run' FROM generate_series(1, 10) AS n",
            *(desk.account, one),
        )
        await desk.rows(
            "INSERT INTO trigger_session (trigger_id, key) SELECT $1, decode(lpad(n::text, 4, '0'), 'hex')"
            " FROM generate_series(1, 10) AS n",
            one,
        )
        await desk.rows(
            "INSERT INTO delivery (id, account_id, target_id, type, body, look_at)"
            " SELECT 'dlv_' || $2 || n, $1, $2, 'test.ping', '', now() FROM generate_series(1, 10) AS n",
            *(desk.account, sent),
        )

    assert await desk.store.triggers.delete(desk.caller, trigger) == []

    for table in ("trigger_event", "trigger_session", "target"):
        rows = await desk.rows(f"SELECT DISTINCT trigger_id FROM {table}")  # noqa: S608 our own names
        assert [row["trigger_id"] for row in rows] == [other], table
    assert len(await desk.rows("SELECT FROM delivery")) == 10
    assert [row["trigger_id"] for row in await desk.rows("SELECT trigger_id FROM task")] == [other]
    assert len(await desk.rows("SELECT FROM task_gone")) == 1


async def test_its_schedule_makes_runs_of_it_and_the_ledger_has_them(desk: Desk) -> None:
    desk = await under(desk, NEW)
    bot = await desk.store.bots.create(desk.caller, key(), {})
    trigger = await made(desk, schedule="* * * * *", name="Post", bot_id=bot)
    (hidden,) = await desk.rows(
        "UPDATE task SET next_at = date_trunc('minute', clock_timestamp()) WHERE trigger_id = $1"
        " RETURNING id, next_at",
        trigger,
    )

    workflow = f"{ids.scheduled_triggers(trigger)}-now"
    place, settled = await desk.store.ledger.fire(hidden["id"], hidden["next_at"], workflow)
    again, _ = await desk.store.ledger.fire(hidden["id"], hidden["next_at"], workflow)

    assert {what: count for what, count in settled.became.items() if count} == {"ran": 1}
    assert again.run_id == place.run_id is not None
    run = await desk.store.runs.fetch(desk.account, place.run_id)
    assert (run.kind, run.lane, run.trigger_id, run.bot_id) == ("trigger_event", "scheduled", trigger, bot)
    assert (run.workflow_id, run.task_id, run.shown_task) == (workflow, hidden["id"], None)
    (event,) = await desk.rows("SELECT * FROM trigger_event")
    assert (event["source"], event["run_id"], event["trigger_id"]) == ("schedule", run.id, trigger)
    assert await desk.rows("SELECT FROM execution") == []
    conversation = await desk.store.conversations.fetch(desk.account, str(run.conversation_id))
    assert (conversation.name, conversation.task_id) == ("Post", None)


async def test_what_its_schedule_skips_and_misses_is_told_of_the_trigger(desk: Desk) -> None:
    desk = await under(desk, NEW)
    trigger = await made(desk, schedule="* * * * *")
    (hidden,) = await desk.rows(
        "UPDATE task SET next_at = clock_timestamp() - interval '9 minutes', catchup = 240000"
        " WHERE trigger_id = $1 RETURNING id",
        trigger,
    )

    await desk.store.ledger.heal(hidden["id"])

    rows = await desk.rows("SELECT type, about FROM audit WHERE type ~ '^(trigger|task)[.](skip|miss|heal)'")
    assert {row["type"] for row in rows} == {"trigger.skipped", "trigger.missed", "trigger.healed"}
    assert all(row["about"] == {"triggerId": trigger} for row in rows)


async def test_a_trigger_is_removed_while_its_schedule_fires(desk: Desk) -> None:
    """Whoever comes first: no deadlock, no run that stays."""
    desk = await under(desk, NEW)
    for _ in range(5):
        trigger = await made(desk, schedule="* * * * *")
        (hidden,) = await desk.rows(
            "UPDATE task SET next_at = date_trunc('minute', clock_timestamp()) - interval '1 minute'"
            " WHERE trigger_id = $1 RETURNING id",
            trigger,
        )
        await asyncio.gather(
            desk.store.ledger.catch_up(hidden["id"]),
            desk.store.triggers.delete(desk.caller, trigger),
            desk.store.ledger.catch_up(hidden["id"]),
        )

    assert await desk.rows("SELECT FROM run WHERE ended_at IS NULL") == []
    assert await desk.rows("SELECT FROM task UNION ALL SELECT FROM trigger") == []


async def test_a_trigger_without_its_bot_stays_and_its_hidden_task_too(desk: Desk) -> None:
    desk = await under(desk, NEW)
    bot = await desk.store.bots.create(desk.caller, key(), {})
    trigger = await made(desk, bot_id=bot, schedule="0 7 * * *")
    await desk.rows("UPDATE task SET untold_at = NULL")

    await desk.store.bots.delete(desk.caller, bot)

    assert (await desk.store.triggers.fetch(desk.account, trigger)).bot_id is None
    (hidden,) = await desk.rows("SELECT bot_id, untold_at FROM task")
    assert hidden["bot_id"] is None
    assert hidden["untold_at"] is not None


async def test_setting_up_a_trigger_has_temporal_told_anew(desk: Desk) -> None:
    desk = await under(desk, NEW)
    trigger = await made(desk, schedule="0 7 * * *")
    await desk.rows("UPDATE task SET untold_at = NULL")

    await desk.store.triggers.setup(desk.account, trigger)

    (told,) = await desk.store.projection.untold()
    assert (told.trigger_id, told.revision) == (trigger, 1)
