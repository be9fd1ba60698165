"""What an e-mail says of a result: the words of the webhook that would say the same, in Markdown."""

from __future__ import annotations

import json
from typing import Any

from domain.mail import as_subject

_ENDED = {"completed": "completed", "failed": "failed", "ping": "test"}


def subject(type_: str, name: str | None) -> str:
    """Where its target names none: whose result it is, and how it ended."""
    noun, _, verb = type_.partition(".")
    return as_subject(f"{name or noun.capitalize()}: {_ENDED.get(verb, verb)}")


def text(body: bytes) -> str:
    """Markdown. A text that was left out is linked to."""
    data: dict[str, Any] = json.loads(body)["data"]
    error = data.get("error")
    parts = [data.get("text") or ""]
    if error:
        parts.append(f"**{error['code']}** {error['message'] or ''}".strip())
    if data.get("textOmitted"):
        parts.append(f"The text is too long for an e-mail. It is shown by `GET {data['link']}`.")
    if "runId" in data:
        parts.append(f"Run `{data['runId']}`: {data['state']}, {data['outcome']}.")
    return "\n\n".join(part for part in parts if part) + "\n"
