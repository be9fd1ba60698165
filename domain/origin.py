"""The web origins that an account's pages come from."""

from __future__ import annotations

import re

from domain.errors import BadRequest

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_LONGEST = 255
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_origin(text: str) -> bool:
    """Whether a browser could send this as its Origin: a scheme and a host, a port if it is unusual."""
    form = _ORIGIN.fullmatch(text) if len(text) <= _LONGEST else None
    return form is not None and form[2] != _DEFAULT_PORTS.get(form[1], "")


def check(text: str) -> str:
    """The origin as given. Raises BadRequest for what no browser sends: paths, wildcards, `null`."""
    if not is_origin(text):
        raise BadRequest(
            f"{text[:_LONGEST]}: write one origin as browsers send it, like https://www.example.com or "
            "http://localhost:3000: lower case, no path, no wildcard, no port that goes without saying."
        )
    return text
