"""Which response answers which request, of the calls that stand in a conversation."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.activity import Activity

_Key = tuple[object, ...]


class _Offer(NamedTuple):
    """A response, and what it is known by."""

    place: int
    key: _Key


class _Wish(NamedTuple):
    """A request, and what its response may be known by."""

    place: int
    keys: tuple[_Key, ...]


def answers(activities: Sequence[Activity | None]) -> dict[int, int]:
    """The place of the response by the place of its request, for every request that is answered later on.

    Where both have an id, that pairs them. Else it is the first response later on that nobody has taken, of
    the same name and arguments.
    """
    requests = [(at, one) for at, one in enumerate(activities) if one and one.type == "request"]
    responses = [(at, one) for at, one in enumerate(activities) if one and one.type == "response"]
    by_id = _paired(
        [_Wish(at, ((one.id,),)) for at, one in requests if one.id],
        [_Offer(at, (one.id,)) for at, one in responses if one.id],
    )
    taken = {*by_id.values()}
    by_name = _paired(
        [_Wish(at, _sought(one)) for at, one in requests if at not in by_id],
        [_Offer(at, (bool(one.id), *_named(one))) for at, one in responses if at not in taken],
    )
    return by_id | by_name


def _paired(wishes: Iterable[_Wish], offers: Iterable[_Offer]) -> dict[int, int]:
    """Each wish, in the order of their places, gets the first offer behind it under one of its keys."""
    waiting: defaultdict[_Key, deque[int]] = defaultdict(deque)
    for offer in offers:
        waiting[offer.key].append(offer.place)
    found = {}
    for wish in wishes:
        queues = [waiting[key] for key in wish.keys]
        for queue in queues:
            # What stands before this wish stands before all that follow.
            while queue and queue[0] < wish.place:
                queue.popleft()
        if first := min((queue for queue in queues if queue), default=None, key=lambda queue: queue[0]):
            found[wish.place] = first.popleft()
    return found


def _sought(request: Activity) -> tuple[_Key, ...]:
    """By name and arguments: any response for a request without an id, else one without an id."""
    named = _named(request)
    return ((False, *named),) if request.id else ((False, *named), (True, *named))


def _named(activity: Activity) -> _Key:
    return activity.function.name, _alike(activity.function.arguments)


def _alike(arguments: Any) -> str:
    """One text for the same arguments, as an object or as JSON text, in whatever order their keys are."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    try:
        parsed = json.loads(text.strip() or "{}", parse_float=_number, parse_constant=_refused)
        return json.dumps({} if parsed is None else parsed, sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _number(written: str) -> float | int:
    """In JSON 5.0 and 5 are the same number."""
    number = float(written)
    return int(number) if number.is_integer() else number


def _refused(written: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(written)
