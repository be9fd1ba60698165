"""Where results go: as whoever wants them says it, and as it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

from pydantic import Field, SecretStr

from domain.addresses import is_allowed
from domain.base import Frozen
from domain.delivery import TargetKind, Wanted
from domain.errors import BadRequest
from domain.target import AUTHORITY, ORIGIN

KINDS: tuple[TargetKind, ...] = get_args(TargetKind)
EVENTS: tuple[Wanted, ...] = get_args(Wanted)

OwnerKind = Literal["task", "trigger"]


class Destination(Frozen):
    """A webhook or an e-mail as somebody has said it, checked."""

    kind: TargetKind
    url: str | None = None
    headers: tuple[tuple[str, str], ...] = Field((), repr=False)
    """Of a webhook, besides our own; they may hold what only its receiver is to know."""
    to: tuple[str, ...] | None = None
    subject: str | None = None
    events: tuple[Wanted, ...] = EVENTS

    @property
    def text(self) -> str:
        """The same for all that say the same."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


Change = Mapping[TargetKind, Destination | None]
"""Of an owner's targets: what the others become; None removes one, and a kind that is not named stays."""


class Said(Frozen):
    """What a call says of where its own result goes."""

    mark: bytes
    """Keyed hash of all that it says: those of one account that say the same share a target."""
    destination: Destination


class Target(Frozen):
    """Where results go, as it stands."""

    id: str
    kind: TargetKind
    task_id: str | None
    trigger_id: str | None
    url: str | None
    header_names: tuple[str, ...]
    to: tuple[str, ...] | None
    subject: str | None
    events: tuple[Wanted, ...]
    secret: SecretStr | None
    """None too where it is not to be shown, or no key of this process opens it."""
    previous_until: datetime | None
    """Until when the secret before this one signs too."""
    failures: int
    """Attempts that failed, since the last one that did not."""
    open_until: datetime | None
    """It is left alone until then, for its failures."""
    disabled_at: datetime | None
    disabled_code: str | None
    removed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class OwnTargets(Frozen):
    """All that a task or a trigger has."""

    webhook: Target | None = None
    email: Target | None = None


def check_loopback(url: str) -> None:
    """Raises BadRequest for a URL, right otherwise, at a literal address of this machine."""
    found = ORIGIN.match(url)
    named = AUTHORITY.fullmatch(found[2]) if found else None
    host = named[1].strip("[]") if named else ""
    # No name is an address, so none of either.
    if is_allowed(host, loopback=True) and not is_allowed(host, loopback=False):
        raise BadRequest(
            f"webhook.url: `{host}` is this server's own machine, which it calls only if its operator sets"
            " HOLDFAST_OUTBOUND_LOOPBACK."
        )
