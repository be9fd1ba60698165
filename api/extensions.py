"""Extensions that come with a request: more to say to the model, and abilities of the moment."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from api import aliases
from api.bodies import Body, Free, Id, Meta, Name, Text, short
from api.call import Call
from domain.errors import BadRequest, NotServed
from domain.instructions import parse
from domain.tools import InlineAbility

LATER: frozenset[str] = frozenset(
    {
        "extensions.datasets",
        "extensions.skillsets.abilities.linkedBotId",
        "extensions.skillsets.abilities.linkedFileId",
        "extensions.skillsets.abilities.linkedSpaceId",
    }
)
"""Upstream's fields in here that this server does not serve."""

SETTLE = "settle"
UPSTREAMS = frozenset({"batch", "chunking", "justification", "notes", "skills", "timeoutMarks", "userInfo"})
"""Features that are not served."""
MOST = 100
"""Of abilities in all, of skillsets, and of features."""
MOST_TEXT = 1_000_000
"""Characters of all instructions: each call of the model reads them anew."""


def _instruction(text: str) -> str:
    """What is wrong with an ability is said when it is handed in, not when it is called."""
    try:
        parse(text)
    except BadRequest as error:
        raise ValueError(error.message) from None
    return text


class GivenAbility(Body):
    name: Annotated[Name, StringConstraints(min_length=1)]
    description: Annotated[Text, StringConstraints(min_length=1)]
    """When to use it, told to the model."""
    instruction: Annotated[Text, StringConstraints(min_length=1), AfterValidator(_instruction)]
    """What it does, as one block of `fetch` or `prompt`; docs/abilities.md is the manual."""
    linked_secret_id: Id | None = None
    """The secret its requests bear."""
    secret_id: Id | None = None
    """The older name of `linkedSecretId`."""
    meta: Meta | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        short(self.model_dump(exclude_unset=True))
        if self.linked_secret_id and self.secret_id and self.linked_secret_id != self.secret_id:
            raise ValueError("linkedSecretId and its older name secretId name two secrets; send one")
        return self


class GivenSkillset(Body):
    """Its name and description are for people."""

    name: Name | None = None
    description: Text | None = None
    abilities: Annotated[tuple[GivenAbility, ...], Field(max_length=MOST, fail_fast=True)] = ()


class GivenFeature(Body):
    name: Annotated[Name, Field(json_schema_extra={"enum": [SETTLE]})]
    """`settle` gives the agent of a background run the tools to end or delay it."""
    options: Free | None = None


def _few(given: tuple[GivenSkillset, ...]) -> tuple[GivenSkillset, ...]:
    if sum(len(skillset.abilities) for skillset in given) > MOST:
        raise ValueError(f"more than {MOST} abilities in all")
    if sum(len(ability.instruction) for skillset in given for ability in skillset.abilities) > MOST_TEXT:
        raise ValueError(f"the instructions have more than {MOST_TEXT:,} characters in all")
    return given


class GivenExtensions(Body):
    backstory: Text | None = None
    """Said after the backstory, whoever's that is."""
    skillsets: (
        Annotated[tuple[GivenSkillset, ...], Field(max_length=MOST, fail_fast=True), AfterValidator(_few)]
        | None
    ) = None
    features: Annotated[tuple[GivenFeature, ...], Field(max_length=MOST, fail_fast=True)] | None = None


def abilities(given: GivenExtensions) -> tuple[InlineAbility, ...]:
    return tuple(
        InlineAbility(
            name=ability.name,
            description=ability.description,
            instruction=ability.instruction,
            secret_id=ability.linked_secret_id or ability.secret_id,
        )
        for skillset in given.skillsets or ()
        for ability in skillset.abilities
    )


async def with_secrets(call: Call, given: tuple[InlineAbility, ...]) -> tuple[InlineAbility, ...]:
    """Abilities with ids in the place of their secrets' aliases. Raises NotServed as `aliases.named` does."""
    named = [ability.secret_id for ability in given if ability.secret_id]
    found = dict(zip(named, await aliases.in_filter(call, "secret", named) or [], strict=True))
    return tuple(
        ability.model_copy(update={"secret_id": found.get(ability.secret_id or "")}) for ability in given
    )


def settles(given: GivenExtensions, *, background: bool) -> bool:
    """Whether the agent ends its run itself. Raises NotServed and BadRequest for features it cannot have."""
    for place, feature in enumerate(given.features or ()):
        _check(f"extensions.features.{place}", feature)
        if not background:
            raise BadRequest(
                f"extensions.features.{place}.name: {SETTLE} is for background runs; dispatch this instead."
            )
    return bool(given.features)


def _check(where: str, feature: GivenFeature) -> None:
    if feature.name in UPSTREAMS:
        raise NotServed(f"{where}.name: this server does not serve {feature.name} yet; leave it out.")
    if feature.name != SETTLE:
        raise BadRequest(f"{where}.name: there is no such feature; {SETTLE} is one.")
    if feature.options:
        raise NotServed(f"{where}.options: {SETTLE} has none here; leave them out.")
