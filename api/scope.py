"""What a session's token reaches: calls that are open to sessions, on things of its one conversation."""

from __future__ import annotations

from api.call import Call
from domain.errors import NotAuthorized, NotFound


async def confine(call: Call, *, open_to_sessions: bool) -> None:
    """Lets a key pass. A session may do what is open to it, and finds nothing outside its conversation.

    Raises NotAuthorized and NotFound.
    """
    if call.caller.session_id is None:
        return
    if not open_to_sessions:
        raise NotAuthorized
    for kind in call.request.path_params:
        if not await _holds(call, kind):
            raise NotFound


async def _holds(call: Call, kind: str) -> bool:
    """Whether what the path names is of the session's conversation; of an unknown kind nothing is."""
    name = call.id(kind)
    if kind == "conversation":
        return name == call.caller.conversation_id
    if kind == "run":
        return await call.store.sessions.holds_run(call.caller, name)
    return kind == "channel" and await call.store.sessions.holds_channel(call.caller, name)
