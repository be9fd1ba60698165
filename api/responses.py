"""What a call may answer, as the document tells it: its answer in each form, and its refusals by status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from api.call import Running, Zoned
from api.errors import RUN_FAILED, STATUS, Refusal
from api.schemas import Components, Schema
from api.signature import Answered, Listed, Signature
from api.wire import Item
from domain import errors
from domain.errors import HoldfastError

_TEXT = {"type": "string"}
_LATER = {"Retry-After": {"schema": _TEXT, "description": "Seconds."}}
_HEADERS: dict[type[HoldfastError], Schema] = {
    errors.NotAuthenticated: {"WWW-Authenticate": {"schema": _TEXT}},
    errors.LimitsReached: _LATER,
    errors.Unavailable: _LATER,
}
_RUN_ID = {"X-Run-Id": {"schema": _TEXT, "description": "The run that was started, or found again."}}


def items(signature: Signature) -> set[type[Item]]:
    """Every Item that a call may show."""
    gives = signature.gives
    if isinstance(gives, type):
        return {gives}
    shown = {one for model in gives.lines.carried.values() for one in get_args(model) or [model]}
    return shown | ({gives.answer} if isinstance(gives, Answered) else set())


class Responses:
    """What calls answer; the refusals that they have in common are told once."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self.shared: Schema = {}
        """The refusals, by the names of their errors."""

    def of(self, verb: str, path: str, signature: Signature) -> Schema:
        """A call's answers by status. There is no `default`: what is not told here is not answered."""
        told: Schema = {"200": {"description": "As asked.", "content": _content(signature, self._components)}}
        if issubclass(signature.call, Zoned | Running):
            told["200"]["headers"] = _RUN_ID
        for status, errors_ in _refusals(verb, path, signature).items():
            told[str(status)] = self._share(
                "Or".join(cls.__name__ for cls in errors_), self._refusal(errors_)
            )
        if _waits(signature):
            told[str(RUN_FAILED)] = self._share("RunFailed", self._failure())
        return dict(sorted(told.items()))

    def _share(self, name: str, response: Schema) -> Schema:
        self.shared[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def _refusal(self, classes: list[type[HoldfastError]]) -> Schema:
        codes = sorted({cls.code for cls in classes})
        told = {"allOf": [self._components.of(Refusal), {"properties": {"code": {"enum": codes}}}]}
        headers = {name: header for cls in classes for name, header in _HEADERS.get(cls, {}).items()}
        return {
            "description": " Or: ".join((cls.__doc__ or "").strip() for cls in classes),
            "content": {"application/json": {"schema": told}},
            **({"headers": headers} if headers else {}),
        }

    def _failure(self) -> Schema:
        codes = sorted({cls.code for cls in errors.family(errors.ModelError) + errors.family(errors.Ended)})
        return {
            "description": f"Accepted, and then failed; `code` says why: {', '.join(codes)} or another.",
            "content": {"application/json": {"schema": self._components.of(Refusal)}},
        }


def _refusals(verb: str, path: str, signature: Signature) -> dict[int, list[type[HoldfastError]]]:
    """The errors that a call can meet, by status."""
    met: dict[int, list[type[HoldfastError]]] = {}
    for cls, status in STATUS.items():
        if cls not in _WHERE or _WHERE[cls](verb, path, signature):
            met.setdefault(status, []).append(cls)
    return met


def _content(signature: Signature, components: Components) -> Schema:
    gives = signature.gives
    if isinstance(gives, type):
        return {"application/json": {"schema": components.of(gives)}}
    told: Schema = {}
    if isinstance(gives, Answered):
        told["application/json"] = {"schema": components.of(gives.answer)}
    elif isinstance(gives, Listed):
        told["application/json"] = {"schema": components.page(gives)}
    told["application/jsonl"] = {"schema": components.line(gives.lines)}
    told["text/event-stream"] = {"schema": components.event(gives.lines)}
    if isinstance(gives, Listed) and gives.csv:
        told["text/csv"] = {"schema": _TEXT}
    return told


# What a refusal needs to be met. One that no rule is about can be met anywhere.


def _waits(signature: Signature) -> bool:
    """For the end of a run."""
    return issubclass(signature.call, Running)


def _names_something(_verb: str, path: str, signature: Signature) -> bool:
    """That must be there, in the path or in the body."""
    named = {name for name in signature.body.model_fields if name.endswith("_id")} - {"channel_id"}
    return "{" in path or bool(named)


def _posts(verb: str, *_: Any) -> bool:
    return verb == "POST"


_WHERE: dict[type[HoldfastError], Callable[[str, str, Signature], bool]] = {
    errors.NotFound: _names_something,
    errors.MethodNotAllowed: lambda *_: False,
    errors.Waiting: lambda _verb, _path, signature: _waits(signature),
    errors.Conflict: lambda _verb, _path, signature: signature.takes_body,
    errors.TooLarge: _posts,
    errors.UnsupportedMedia: _posts,
}
