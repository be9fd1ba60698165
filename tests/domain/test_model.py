"""Model strings and the catalogue."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.completion import ModelRef
from domain.errors import BadRequest
from domain.model import LONGEST, MODELS, family, known, parse, snake


def parameters(text: str) -> dict[str, object]:
    return {parameter.key: parameter.value for parameter in parse(text).parameters}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gpt-5", "gpt-5"),
        ("gpt-5/temperature=0.2/maxTokens=100", "gpt-5"),
        ("openai:gpt-5", "gpt-5"),
        ("openai:claude-like", "claude-like"),
        ("meta-llama/Llama-3-8b", "meta-llama/Llama-3-8b"),
        ("meta-llama/Llama-3-8b/temperature=0.2", "meta-llama/Llama-3-8b"),
        ("llama3:8b", "llama3:8b"),
        ("anthropic/claude-sonnet", "anthropic/claude-sonnet"),
        ("模型-7b", "模型-7b"),
    ],
)
def test_the_parts_without_an_equals_sign_are_the_name(text: str, name: str) -> None:
    assert parse(text).name == name
    assert parse(text).provider == "openai"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-of-tomorrow/temperature=1", "claude-of-tomorrow"),
        ("anthropic:claude-opus-5-5", "claude-opus-5-5"),
        ("anthropic:Qwen/Qwen3-8B/maxTokens=5", "Qwen/Qwen3-8B"),
        ("anthropic:openai:odd", "openai:odd"),
    ],
)
def test_names_that_begin_with_claude_and_any_with_the_prefix_are_anthropics(text: str, name: str) -> None:
    assert parse(text).name == name
    assert parse(text).provider == "anthropic"


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("0.2", 0.2),
        ("-1", -1),
        ("100", 100),
        ("1e-3", 0.001),
        ("true", True),
        ("false", False),
        ("high", "high"),
        ("a=b", "a=b"),
        ("1.2.3", "1.2.3"),
        ("+7", 7),
    ],
)
def test_values_become_numbers_and_booleans_where_they_look_like_them(value: str, parsed: object) -> None:
    found = parameters(f"gpt-5/some={value}")["some"]
    assert found == parsed
    assert type(found) is type(parsed)


@pytest.mark.parametrize("key", ["stop", "user", "reasoningEffort", "reasoning_effort"])
def test_parameters_that_are_texts_stay_texts(key: str) -> None:
    assert parameters(f"gpt-5/{key}=5") == {key: "5"}


def test_keys_are_kept_as_written_and_spelled_with_underscores_on_demand() -> None:
    assert parameters("m/topP=1/max_tokens=2") == {"topP": 1, "max_tokens": 2}
    assert [snake(key) for key in ("maxTokens", "topP", "seed", "max_tokens")] == [
        "max_tokens",
        "top_p",
        "seed",
        "max_tokens",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("openai:", "names no model"),
        ("anthropic:", "names no model"),
        ("anthropic:temperature=0.2", "no name"),
        ("temperature=0.2", "no name"),
        ("gpt-5/", "empty part"),
        ("gpt-5//temperature=0.2", "empty part"),
        ("gpt-5/=0.2", "no proper key"),
        ("gpt-5/9=0.2", "no proper key"),
        ("gpt-5/tempe rature=0.2", "no proper key"),
        ("gpt-5/temperature=", "has no value"),
        ("gpt-5/temperature=NaN", "finite number"),
        ("gpt-5/temperature=-Infinity", "finite number"),
        ("gpt-5/temperature=1e999", "finite number"),
        ("gpt-5/seed=99999999999999999999", "finite number"),
        ("gpt-5/temperature=0.2/mini", "follows a parameter"),
        ("gpt-5/maxTokens=1/max_tokens=2", "given twice"),
        ("gpt-5/stream=false", "set by this server"),
        ("gpt-5/streamOptions=x", "set by this server"),
        ("gpt-5/n=2", "set by this server"),
        ("claude-opus-5-5/system=x", "set by this server"),
        ("gpt 5", "contains a space"),
        ("gpt-5\n", "control characters"),
        ("gpt-5\x00", "control characters"),
        ("gpt-5\u202e", "control characters"),
        ("gpt-\ud800", "control characters"),
        ("x" * (LONGEST + 1), "longer than 300"),
    ],
)
def test_what_cannot_be_a_model_is_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        parse(text)


@given(
    st.text(max_size=LONGEST + 10)
    | st.lists(
        st.sampled_from(
            ["a", "/", "=", ".", "-", "0", "9", "e", "nan", "openai:", "anthropic:", "claude-", "x=1"]
        )
    ).map("".join)
)
def test_any_text_is_a_model_or_a_plain_refusal(text: str) -> None:
    try:
        found = parse(text)
    except BadRequest:
        return
    assert found.name
    assert not any(isinstance(p.value, float) and not math.isfinite(p.value) for p in found.parameters)
    assert ModelRef.model_validate_json(found.model_dump_json()) == found


def test_the_catalogue_names_each_model_once_with_sizes_that_add_up() -> None:
    assert len({model.id for model in MODELS}) == len(MODELS) == 14
    for model in MODELS:
        assert (parse(model.id).name, parse(model.id).provider) == (model.id, model.provider)
        assert model.max_input_tokens + model.max_output_tokens == model.max_tokens


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-5", "gpt-5"),
        ("gpt-5-mini", "gpt-5"),
        ("gpt-5-mini-2025-08-07", "gpt-5"),
        ("gpt-4.1-mini", "gpt-4.1"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-50", "other"),
        ("made-up", "other"),
    ],
)
def test_a_dated_version_is_of_its_models_family_and_a_made_up_name_of_none(name: str, expected: str) -> None:
    assert family(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-5", "gpt-5"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5-words of a caller", "gpt-5"),
        ("gpt-50", "other"),
        ("made-up", "other"),
    ],
)
def test_the_model_that_is_shown_is_one_of_the_catalogue_or_other(name: str, expected: str) -> None:
    assert known(name) == expected
