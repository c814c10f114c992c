"""Real answers of real providers, read by the real adapters as their providers meant them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from engines import need, recorded_answers
from raw_server import Raw, RawServer

from rlm.errors import ProviderError, RateLimited, ReplyBlocked, ReplyCutOff
from rlm.lm.base import LM, Delta, Message, Reply, Request
from rlm.lm.google import GoogleLM
from rlm.lm.litellm import LiteLLM
from rlm.lm.openai import OpenAILM
from rlm.usage import Usage

# litellm's own types make pydantic warn; the adapter filters that, pytest undoes it
pytestmark = pytest.mark.filterwarnings("ignore:.*ReadOnly. qualifier:UserWarning")
ASK = Request((Message("user", "Hello"),))


def interactions(name: str) -> list[dict[str, Any]]:
    text = (recorded_answers() / f"{name}.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)["interactions"]
    return found


def replay(name: str, number: int = 0, litellm: bool = False) -> tuple[Reply, list[Delta]]:
    """Return what the adapter makes of a recorded answer, and the pieces it told."""
    recorded = interactions(name)[number]
    response = recorded["response"]
    streamed = "event-stream" in response["content_type"]
    raw = Raw(response["body"], response["status"], response["content_type"])
    told: list[Delta] = []

    async def main(url: str) -> Reply:
        lm: LM
        if litellm:
            lm = LiteLLM("hosted_vllm/m", base_url=url, api_key="k")
        elif name.startswith("gemini"):
            lm = GoogleLM("gemini/gemini-2.5-flash", base_url=url, api_key="k")
        else:
            lm = OpenAILM("openai/m", base_url=url, api_key="k")
        try:
            return await lm.complete(ASK, told.append if streamed else None)
        finally:
            await lm.aclose()

    with RawServer(raw) as server:
        return asyncio.run(main(server.url)), told


def failure(name: str, number: int = 0) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        replay(name, number)
    return caught.value


def test_cerebras_reasoning() -> None:
    reply, _ = replay("cerebras-reasoning")
    assert reply.text == "The capital of France is **Paris**."
    assert reply.reasoning.startswith("User asks simple question")
    assert reply.usage == Usage(input_tokens=74, output_tokens=36)
    assert reply.model == "gpt-oss-120b"


def test_openai_text() -> None:
    reply, _ = replay("openai-text")
    assert reply.text == "The capital of France is Paris."
    assert reply.usage == Usage(input_tokens=14, output_tokens=7)


def test_openai_reasoning_tokens_are_output() -> None:
    reply, _ = replay("openai-max-completion-tokens")
    assert reply.usage == Usage(input_tokens=7, output_tokens=87, reasoning_tokens=64)


def test_openai_tool_call_that_nobody_offered_is_an_empty_answer() -> None:
    error = failure("openai-json-schema")
    assert "empty" in str(error) and "tool_calls" in str(error)
    assert error.usage == Usage(input_tokens=71, output_tokens=12)


def test_openai_json_schema() -> None:
    reply, _ = replay("openai-json-schema", 1)
    assert json.loads(reply.text) == {"city": "Mexico City", "country": "Mexico"}


def test_openrouter_cached_tokens() -> None:
    reply, _ = replay("openrouter-cached-tokens")
    assert reply.text == "Hello!"
    assert reply.usage == Usage(input_tokens=17, output_tokens=5)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_openrouter_429_is_a_rate_limit_with_what_the_upstream_said(number: int) -> None:
    there = number < len(interactions("openrouter-errors"))
    need(there, "so many answers in the recording openrouter-errors", "take a whole one")
    error = failure("openrouter-errors", number)
    assert type(error) is RateLimited
    assert error.retryable and not error.may_be_billed
    assert "temporarily rate-limited upstream" in str(error)


def test_openrouter_error_inside_a_stream_after_the_cap_is_a_cut_off() -> None:
    error = failure("openrouter-stream-error")
    assert type(error) is ReplyCutOff
    assert not error.retryable and error.may_be_billed
    assert "Token limit reached" in str(error)
    assert error.usage == Usage(input_tokens=43, output_tokens=10, reasoning_tokens=10)


def test_openrouter_stream() -> None:
    reply, told = replay("openrouter-stream")
    assert reply.text == "Hello!" and told == [Delta("text", "Hello!")]
    assert reply.usage == Usage(input_tokens=254, output_tokens=5)


def test_openrouter_thinking() -> None:
    reply, _ = replay("openrouter-thinking")
    assert reply.text == "ok" and reply.reasoning.startswith("The user is asking")
    assert reply.usage == Usage(input_tokens=43, output_tokens=53, reasoning_tokens=48)


@pytest.mark.parametrize("name", ["openai-text", "openrouter-stream", "cerebras-reasoning"])
def test_litellm_reads_them_as_our_own_adapter_does(name: str) -> None:
    theirs, ours = replay(name, litellm=True)[0], replay(name)[0]
    assert (theirs.text, theirs.usage) == (ours.text, ours.usage)


def test_gemini_text_counts_thoughts_as_output() -> None:
    reply, _ = replay("gemini-text")
    assert reply.text == "Hello! How can I help you today?"
    assert reply.usage == Usage(input_tokens=9, output_tokens=43, reasoning_tokens=34)
    assert reply.model == "gemini-2.5-flash"


def test_gemini_with_a_thought_signature() -> None:
    reply, _ = replay("gemini-3.5-flash")
    assert reply.text == "4"
    assert reply.usage == Usage(input_tokens=15, output_tokens=73, reasoning_tokens=72)


def test_gemini_json_schema() -> None:
    assert json.loads(replay("gemini-json-schema")[0].text)["country"] == "Mexico"


def test_gemini_stream_keeps_the_last_usage() -> None:
    reply, told = replay("gemini-stream")
    assert reply.text == "The capital of France is Paris.\n"
    assert [delta.text for delta in told] == ["The", " capital of France", " is Paris.\n"]
    assert reply.usage == Usage(input_tokens=13, output_tokens=8)


def test_gemini_cut_off_while_thinking_is_no_empty_answer() -> None:
    error = failure("gemini-thinking-cut-off")
    assert type(error) is ReplyCutOff and not error.retryable
    assert error.usage == Usage(input_tokens=15, output_tokens=2, reasoning_tokens=2)


def test_gemini_blocked_is_no_empty_answer() -> None:
    error = failure("gemini-blocked")
    assert type(error) is ReplyBlocked and not error.retryable
    assert "MODEL_ARMOR" in str(error)
    assert error.usage == Usage(input_tokens=19, output_tokens=33, reasoning_tokens=27)


def test_gemini_empty_answers_are_retried_and_others_read() -> None:
    for number, recorded in enumerate(interactions("gemini-empty-then-retry")):
        candidate = recorded["response"]["body"]["candidates"][0]
        if candidate.get("content", {}).get("parts"):
            assert replay("gemini-empty-then-retry", number)[0].text
        else:
            assert failure("gemini-empty-then-retry", number).retryable
