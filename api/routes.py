"""Every method and path of the platform on one screen."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route, Router

from api import (
    abilities,
    ability_runs,
    audit,
    bots,
    channels,
    completions,
    contacts,
    conversations,
    deliveries,
    events,
    executions,
    health,
    messages,
    occurrences,
    platform,
    ratings,
    runs,
    secrets,
    sessions,
    skillsets,
    targets,
    task_runs,
    task_stream,
    task_usage,
    tasks,
    trigger_events,
    triggers,
    usage,
)
from api.document import endpoint
from api.door import door, not_served
from api.signature import Handler

SERVED: list[tuple[str, str, Handler]] = [
    ("GET", "/bot/list", bots.list_),
    ("POST", "/bot/create", bots.create),
    ("GET", "/bot/{bot}/fetch", bots.fetch),
    ("POST", "/bot/{bot}/update", bots.update),
    ("POST", "/bot/{bot}/delete", bots.delete),
    ("POST", "/bot/{bot}/clone", bots.clone),
    ("POST", "/bot/{bot}/upvote", ratings.upvote_bot),
    ("POST", "/bot/{bot}/downvote", ratings.downvote_bot),
    ("POST", "/bot/{bot}/session/create", sessions.create_with_bot),
    ("GET", "/bot/{bot}/usage/fetch", usage.of_bot),
    ("POST", "/channel/{channel}/publish", channels.publish),
    ("POST", "/channel/{channel}/subscribe", channels.subscribe),
    ("GET", "/contact/list", contacts.list_),
    ("GET", "/contact/export", contacts.export),
    ("POST", "/contact/create", contacts.create),
    ("POST", "/contact/ensure", contacts.ensure),
    ("GET", "/contact/{contact}/fetch", contacts.fetch),
    ("POST", "/contact/{contact}/update", contacts.update),
    ("POST", "/contact/{contact}/delete", contacts.delete),
    ("GET", "/contact/{contact}/conversation/list", conversations.of_contact),
    ("GET", "/contact/{contact}/rating/list", ratings.of_contact),
    ("GET", "/contact/{contact}/task/list", tasks.of_contact),
    ("POST", "/conversation/complete", completions.complete),
    ("POST", "/conversation/dispatch", completions.dispatch),
    ("GET", "/conversation/list", conversations.list_),
    ("GET", "/conversation/export", conversations.export),
    ("POST", "/conversation/create", conversations.create),
    ("GET", "/conversation/{conversation}/fetch", conversations.fetch),
    ("POST", "/conversation/{conversation}/update", conversations.update),
    ("POST", "/conversation/{conversation}/delete", conversations.delete),
    ("POST", "/conversation/{conversation}/upvote", ratings.upvote_conversation),
    ("POST", "/conversation/{conversation}/downvote", ratings.downvote_conversation),
    ("POST", "/conversation/{conversation}/contact/upsert", contacts.upsert),
    ("POST", "/conversation/{conversation}/send", completions.send),
    ("POST", "/conversation/{conversation}/receive", completions.receive),
    ("POST", "/conversation/{conversation}/complete", completions.turn_complete),
    ("POST", "/conversation/{conversation}/dispatch", completions.turn_dispatch),
    ("POST", "/conversation/{conversation}/session/create", sessions.create),
    ("GET", "/conversation/{conversation}/usage/fetch", usage.of_conversation),
    ("GET", "/conversation/{conversation}/message/list", messages.list_),
    ("POST", "/conversation/{conversation}/message/create", messages.create),
    ("GET", "/conversation/{conversation}/message/{message}/fetch", messages.fetch),
    ("POST", "/conversation/{conversation}/message/{message}/update", messages.update),
    ("POST", "/conversation/{conversation}/message/{message}/delete", messages.delete),
    ("POST", "/conversation/{conversation}/message/{message}/upvote", ratings.upvote_message),
    ("POST", "/conversation/{conversation}/message/{message}/downvote", ratings.downvote_message),
    ("GET", "/delivery/list", deliveries.list_),
    ("POST", "/delivery/redeliver", deliveries.redeliver_dead),
    ("GET", "/delivery/{delivery}/fetch", deliveries.fetch),
    ("POST", "/delivery/{delivery}/redeliver", deliveries.redeliver),
    ("POST", "/delivery/{delivery}/delete", deliveries.delete),
    ("GET", "/event/log/list", audit.list_),
    ("GET", "/event/log/export", audit.export),
    ("POST", "/event/log/subscribe", audit.subscribe),
    ("GET", "/integration/trigger/list", triggers.list_),
    ("POST", "/integration/trigger/create", triggers.create),
    ("GET", "/integration/trigger/{trigger}/fetch", triggers.fetch),
    ("POST", "/integration/trigger/{trigger}/update", triggers.update),
    ("POST", "/integration/trigger/{trigger}/delete", triggers.delete),
    ("POST", "/integration/trigger/{trigger}/setup", triggers.setup),
    ("POST", "/integration/trigger/{trigger}/invoke", trigger_events.invoke),
    ("GET", "/integration/trigger/{trigger}/event/list", trigger_events.list_),
    ("GET", "/integration/trigger/{trigger}/event/{event}/fetch", trigger_events.fetch),
    ("POST", "/integration/trigger/{trigger}/event/{event}/replay", trigger_events.replay),
    ("GET", "/platform/model/list", platform.models),
    ("GET", "/rating/list", ratings.list_),
    ("GET", "/run/list", runs.list_),
    ("GET", "/run/{run}/fetch", runs.fetch),
    ("GET", "/run/{run}/progress", runs.progress),
    ("POST", "/run/{run}/budget", runs.budget),
    ("POST", "/run/{run}/cancel", runs.cancel),
    ("POST", "/run/{run}/subscribe", runs.subscribe),
    ("GET", "/secret/list", secrets.list_),
    ("POST", "/secret/create", secrets.create),
    ("GET", "/secret/{secret}/fetch", secrets.fetch),
    ("POST", "/secret/{secret}/update", secrets.update),
    ("POST", "/secret/{secret}/delete", secrets.delete),
    ("POST", "/secret/{secret}/verify", secrets.verify),
    ("GET", "/skillset/list", skillsets.list_),
    ("POST", "/skillset/create", skillsets.create),
    ("GET", "/skillset/{skillset}/fetch", skillsets.fetch),
    ("POST", "/skillset/{skillset}/update", skillsets.update),
    ("POST", "/skillset/{skillset}/delete", skillsets.delete),
    ("GET", "/skillset/{skillset}/ability/list", abilities.list_),
    ("GET", "/skillset/{skillset}/ability/export", abilities.export),
    ("POST", "/skillset/{skillset}/ability/create", abilities.create),
    ("GET", "/skillset/{skillset}/ability/{ability}/fetch", abilities.fetch),
    ("POST", "/skillset/{skillset}/ability/{ability}/update", abilities.update),
    ("POST", "/skillset/{skillset}/ability/{ability}/delete", abilities.delete),
    ("POST", "/skillset/{skillset}/ability/{ability}/execute", ability_runs.execute),
    ("GET", "/target/list", targets.list_),
    ("GET", "/target/{target}/fetch", targets.fetch),
    ("POST", "/target/{target}/test", targets.test),
    ("POST", "/target/{target}/rotate", targets.rotate),
    ("POST", "/target/{target}/enable", targets.enable),
    ("GET", "/task/list", tasks.list_),
    ("GET", "/task/export", tasks.export),
    ("POST", "/task/create", tasks.create),
    ("GET", "/task/{task}/fetch", tasks.fetch),
    ("POST", "/task/{task}/update", tasks.update),
    ("POST", "/task/{task}/delete", tasks.delete),
    ("POST", "/task/{task}/cancel", tasks.cancel),
    ("GET", "/task/{task}/execution/list", executions.list_),
    ("POST", "/task/{task}/execution/{execution}/cancel", executions.cancel),
    ("POST", "/task/{task}/subscribe", task_stream.subscribe),
    ("GET", "/task/{task}/usage/fetch", task_usage.fetch),
    ("POST", "/task/{task}/trigger", task_runs.trigger),
    ("POST", "/task/{task}/pause", occurrences.pause),
    ("POST", "/task/{task}/resume", occurrences.resume),
    ("POST", "/task/{task}/backfill", occurrences.backfill),
    ("GET", "/task/{task}/occurrence/list", occurrences.list_),
    ("POST", "/task/{task}/occurrence/skip", occurrences.skip),
    ("POST", "/task/{task}/occurrence/unskip", occurrences.unskip),
    ("GET", "/usage/fetch", usage.fetch),
    ("GET", "/usage/list", usage.list_),
    ("GET", "/usage/series/fetch", usage.series),
]

OPEN_TO_SESSIONS: frozenset[Handler] = frozenset(
    {
        channels.subscribe,
        completions.send,
        completions.receive,
        completions.turn_complete,
        messages.list_,
        messages.create,
        runs.fetch,
        runs.cancel,
        runs.subscribe,
    }
)
"""What a session's token may do, on its own conversation; all else is for keys."""

UNSERVED = [
    line.split(" ", 1) for line in (Path(__file__).parent / "unserved.txt").read_text().splitlines() if line
]
"""Upstream's operations that this server does not serve yet; a test keeps the list complete."""


def routes() -> list[BaseRoute]:
    # Upstream takes any verb here, and its own secret instead of an account's key (contract §6.2). First:
    # routes are tried one after another, and events come in crowds.
    event = Route("/integration/trigger/{trigger}/event", events.take)
    event.methods = None
    v1 = [event]
    v1 += [
        Route(path, door(handler, open_to_sessions=handler in OPEN_TO_SESSIONS), methods=[verb])
        for verb, path, handler in SERVED
    ]
    v1 += [Route("/openapi.json", endpoint(SERVED), methods=["GET"])]
    v1 += [Route(path, not_served, methods=[verb]) for verb, path in UNSERVED]
    return [
        Route("/health/live", health.live, methods=["GET"]),
        Route("/health/ready", health.ready, methods=["GET"]),
        Mount("/v1", app=Router(v1, redirect_slashes=False)),
        Mount("/api/v1", app=Router(v1, redirect_slashes=False)),
    ]
