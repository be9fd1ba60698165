"""What an attempt that failed has spent: what its provider said, else an estimate, else nothing."""

from __future__ import annotations

import pytest

from domain.budget import size, wasted
from domain.completion import Prompt, ToolCall, Usage

PROMPTS = (
    Prompt(role="system", text="four" * 25),
    Prompt(role="assistant", text="", calls=(("call_1", ToolCall(name="look", arguments='{"n":1234567}')),)),
    Prompt(role="tool", text="ü" * 40, call_id="call_1"),
)
"""100 bytes, 17 and 80: fifty tokens."""


@pytest.mark.parametrize(
    ("streamed", "reported", "tokens"),
    [
        (0, Usage(), 0),
        (0, Usage(input_tokens=7, output_tokens=2), 9),
        (1, Usage(), 51),
        (80, Usage(), 70),
        (80, Usage(input_tokens=7), 27),
        (80, Usage(input_tokens=7, output_tokens=1), 27),
        (80, Usage(input_tokens=7, output_tokens=30), 37),
    ],
)
def test_a_failed_attempt_has_spent_what_was_reported_and_for_the_rest_a_token_for_four_bytes(
    streamed: int, reported: Usage, tokens: int
) -> None:
    assert wasted(size(PROMPTS), streamed, reported) == tokens
