"""What a server wants back with a message of its model, as text that says whose it is.

The next step of a turn may be another model's: what is not its own is left out there.
"""

from __future__ import annotations

import json

from pydantic_core import from_json

from activities.providers.text import cleaned
from domain.completion import ProviderName


def sealed(by: ProviderName, model: str, content: dict[str, object]) -> str | None:
    """The content as Finish.carry; None where it is nested too deeply to be kept."""
    try:
        return json.dumps({"by": by, "model": model, "content": cleaned(content)}, ensure_ascii=False)
    except RecursionError:
        return None


def opened(carry: str | None, by: ProviderName, model: str) -> dict[str, object]:
    """The content of a Prompt.carry; empty where it is another's, or unreadable."""
    if carry is None:
        return {}
    try:
        found = from_json(carry)
    except ValueError:
        return {}
    if not isinstance(found, dict) or (found.get("by"), found.get("model")) != (by, model):
        return {}
    content = found.get("content")
    return content if isinstance(content, dict) else {}
