"""Which provider a model string goes to, and what is said where there is none."""

from __future__ import annotations

import aiohttp
import pytest

from activities.providers import Providers
from activities.providers.anthropic import Anthropic
from activities.providers.openai import OpenAI
from domain.errors import ModelRefused
from domain.model import parse


def test_a_model_string_picks_its_provider(session: aiohttp.ClientSession) -> None:
    openai = OpenAI(session, "http://127.0.0.1:1", "", 1, 100)
    anthropic = Anthropic(session, "http://127.0.0.1:1", "", 1, 100)
    providers = Providers(openai=openai, anthropic=anthropic)

    assert [providers.pick(parse(name)) for name in ("gpt-5", "llama3:8b", "openai:claude-like")] == [
        openai
    ] * 3
    assert [providers.pick(parse(name)) for name in ("claude-opus-5-5", "anthropic:qwen3")] == [anthropic] * 2


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gpt-5", ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HOLDFAST_DEFAULT_MODEL")),
        ("claude-opus-5-5", ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")),
    ],
)
def test_a_provider_nobody_set_up_is_refused_with_what_to_set(name: str, settings: tuple[str, ...]) -> None:
    with pytest.raises(ModelRefused) as caught:
        Providers(openai=None, anthropic=None).pick(parse(name))

    assert all(setting in caught.value.message for setting in settings)
    assert f"`{name}`" in caught.value.message
