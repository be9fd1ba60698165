"""What a run may spend, and what an attempt that failed has spent of it."""

from __future__ import annotations

from collections.abc import Sequence

from domain.completion import Prompt, Usage

BYTES_A_TOKEN = 4
"""An estimate, for attempts whose provider gave no figure: about right for English, low for most else."""


def wasted(size: int, streamed: int, reported: Usage) -> int:
    """Tokens of a model call with prompts of `size` bytes that failed after `streamed` bytes of its answer.

    What the provider reported counts. Once something came, what it did not report is estimated; a call that
    was refused at once has spent nothing.
    """
    if not streamed:
        return reported.input_tokens + reported.output_tokens
    given = reported.input_tokens or tokens(size)
    return given + max(reported.output_tokens, tokens(streamed))


def tokens(size: int) -> int:
    """As many as so many bytes of text are, rounded up."""
    return -(-size // BYTES_A_TOKEN)


def size(prompts: Sequence[Prompt]) -> int:
    """Bytes of what is asked of a model."""
    return sum(_size(prompt) for prompt in prompts)


def _size(prompt: Prompt) -> int:
    calls = (f"{call.name}{call.arguments}" for _, call in prompt.calls)
    return sum(len(text.encode()) for text in (prompt.text, *calls))
