"""What goes wrong at a model's server, in our vocabulary.

    429                                               ModelBusy, with its Retry-After
    429 because no more money may be spent            ModelRefused: waiting does not help
    408, 5xx, refused, reset, no such name, silence   ModelUnavailable
    other 4xx, redirects, an impossible URL           ModelRefused, with the server's words
    not HTTP, not an event stream, not JSON, cut      ModelBroken

An error object inside a stream (`data: {"error": …}`) is named by the same table: by its code where that is
a status (vLLM, OpenRouter), else by its code or type (OpenAI, Anthropic). What it calls by no known name is
retried.
"""

from __future__ import annotations

import json

import aiohttp
from aiohttp.http import HttpProcessingError
from pydantic_core import from_json

from domain.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable

CONNECT_SECONDS = 5
"""For the name, the connection and TLS together."""
MESSAGE_LONGEST = 500
"""Characters of a message that carries a server's own words."""

TRANSPORT = (aiohttp.ClientError, HttpProcessingError, OSError)
"""All that aiohttp raises for what happens on the network; TimeoutError is an OSError."""

_SPENT = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
    }
)
_BUSY = frozenset({"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "requests", "tokens"})
_REFUSED = frozenset(
    {
        "invalid_request_error",
        "context_length_exceeded",
        "invalid_api_key",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
        "model_not_found",
        "content_policy_violation",
    }
)


def loads(raw: bytes) -> object:
    """JSON from a server; ValueError when it is none."""
    try:
        value: object = from_json(raw)
    except ValueError:
        # Lone surrogates are legal JSON that models do send when they cut an emoji; from_json refuses them.
        try:
            value = json.loads(raw)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return value


def transport(error: Exception, idle_seconds: float) -> ModelError:
    """One of TRANSPORT, named. Addresses stay out of the message: it is shown to callers."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ModelUnavailable(f"The model's server could not be connected to within {CONNECT_SECONDS} s.")
    if isinstance(error, TimeoutError):
        return ModelUnavailable(f"The model's server was silent for {idle_seconds:g} s.")
    if isinstance(error, aiohttp.InvalidURL):
        return ModelRefused("The model server's base URL is not a valid URL.")
    if isinstance(error, aiohttp.ClientPayloadError):
        return ModelBroken("The model's answer was cut short.")
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return ModelBroken("The model's server did not answer in proper HTTP.")
    return ModelUnavailable(f"The model's server could not be reached ({type(error).__name__}).")


def status(code: int, body: object, retry_after: float | None, secret: str) -> ModelError:
    """An answer with an error status and its parsed body, whatever that is; `secret` is never repeated."""
    names, words = _complaint(body, secret)
    if code == 429 and not names & _SPENT:
        return ModelBusy(_sentence("is too busy", code, words), retry_after=retry_after)
    if code == 408 or code >= 500:
        return ModelUnavailable(_sentence("failed", code, words), retry_after=retry_after)
    return ModelRefused(_sentence("refused the request", code, words))


def in_stream(chunk: dict[str, object], secret: str) -> ModelError:
    """A chunk with an `error` in the place of an answer."""
    names, _ = _complaint(chunk, secret)
    code = next(
        (int(name) for name in names if len(name) == 3 and name.isdecimal() and 400 <= int(name) < 600), 0
    )
    if not code:
        code = 400 if names & _REFUSED else 429 if names & (_BUSY | _SPENT) else 500
    return status(code, chunk, None, secret)


def _complaint(body: object, secret: str) -> tuple[frozenset[str], str]:
    """Codes and type, and the words, of an error object: `{"error": {…} or "…"}`, `{"detail": "…"}`."""
    error = body.get("error") or body if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return frozenset(), _clean(error, secret)
    details = error.get("details")
    exact = details.get("error_code") if isinstance(details, dict) else None
    names = (error.get("code"), error.get("type"), exact)
    known = frozenset(str(name).lower() for name in names if isinstance(name, str | int))
    return known, _clean(error.get("message") or error.get("detail"), secret)


def _clean(words: object, secret: str) -> str:
    """Printable text on one line, at most MESSAGE_LONGEST characters."""
    if not isinstance(words, str):
        return ""
    shown = words.replace(secret, "…") if secret else words
    printable = "".join(char if char.isprintable() else " " for char in shown[: 4 * MESSAGE_LONGEST])
    return " ".join(printable.split())[:MESSAGE_LONGEST]


def _sentence(what: str, code: int, words: str) -> str:
    said = f"The model's server {what} ({code})"
    return f"{said}: {words}"[:MESSAGE_LONGEST] if words else f"{said}."
