"""What every model adapter keeps to, each by its real client against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rlm.errors import ProviderError, ProviderTimeout, RateLimited, ReplyBlocked, ReplyCutOff
from rlm.lm.base import LM, Delta, Message, Reply, Request
from rlm.lm.google import GoogleLM
from rlm.lm.litellm import LiteLLM
from rlm.lm.openai import OpenAILM
from rlm.testing import LoopbackServer
from rlm.usage import Usage

KEY = "sk-very-secret-0123456789"
Make = Callable[..., LM]
# litellm's own types make pydantic warn; the adapter filters it once a process, pytest undoes it
pytestmark = pytest.mark.filterwarnings("ignore:.*ReadOnly. qualifier:UserWarning")


def openai(server: LoopbackServer, **options: Any) -> LM:
    return OpenAILM("openai/m-1", base_url=server.openai_url, api_key=KEY, **options)


def google(server: LoopbackServer, **options: Any) -> LM:
    return GoogleLM("gemini/m-1", base_url=server.gemini_url, api_key=KEY, **options)


def litellm(server: LoopbackServer, **options: Any) -> LM:
    return LiteLLM("hosted_vllm/m-1", base_url=server.openai_url, api_key=KEY, **options)


@pytest.fixture(params=[openai, google, litellm], ids=["openai", "google", "litellm"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    yield request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streamed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def ask(
    make: Make, script: Any, streamed: bool = False, **options: Any
) -> tuple[Reply, list[Delta], LoopbackServer]:
    told: list[Delta] = []

    async def main(server: LoopbackServer) -> Reply:
        lm = make(server, **options)
        assert isinstance(lm, LM)
        assert KEY not in repr(lm)
        try:
            request = Request((Message("system", "Be brief."), Message("user", "Hello")), 99)
            return await lm.complete(request, told.append if streamed else None)
        finally:
            await lm.aclose()

    with LoopbackServer(script) as server:
        return asyncio.run(main(server)), told, server


def failure(make: Make, fault: Any, streamed: bool, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(
            make, [{"reply": "A whole answer of some length.", "fault": fault}], streamed, **options
        )
    assert KEY not in str(caught.value)
    assert caught.value.model
    return caught.value


def test_a_reply_with_its_usage(make: Make, streamed: bool) -> None:
    usage = {"input_tokens": 20, "cached_tokens": 8, "output_tokens": 7, "reasoning_tokens": 3}
    script = [{"reply": "Hello to you.", "reasoning": "A greeting.", "usage": usage}]
    reply, told, server = ask(make, script, streamed)
    assert (reply.text, reply.reasoning) == ("Hello to you.", "A greeting.")
    assert reply.usage == Usage(**usage)
    assert reply.finish == "stop"
    if streamed:
        assert "".join(d.text for d in told if d.kind == "text") == reply.text
        assert "".join(d.text for d in told if d.kind == "reasoning") == reply.reasoning
    else:
        assert told == []
    (asked,) = server.requests
    assert asked.model == "m-1"
    assert asked.max_output_tokens == 99
    assert asked.messages == (Message("system", "Be brief."), Message("user", "Hello"))


def test_a_provider_that_does_not_count(make: Make) -> None:
    reply, _, _ = ask(make, [{"reply": "Hi", "usage": False}])
    assert reply.text == "Hi"


def test_a_rate_limit_with_its_pause(make: Make, streamed: bool) -> None:
    error = failure(make, {"status": 429, "retry_after": 2}, streamed)
    assert type(error) is RateLimited
    assert error.retryable and not error.may_be_billed
    assert error.retry_after == 2


def test_a_server_error_is_retryable(make: Make, streamed: bool) -> None:
    error = failure(make, {"status": 500}, streamed)
    assert type(error) is ProviderError and error.retryable


def test_a_reset_connection_is_retryable_and_may_be_billed(make: Make, streamed: bool) -> None:
    error = failure(make, "reset", streamed)
    assert error.retryable and error.may_be_billed


def test_a_stall_ends_by_our_own_clock(make: Make, streamed: bool) -> None:
    error = failure(make, {"kind": "stall", "seconds": 30}, streamed, timeout=0.3)
    assert type(error) is ProviderTimeout
    assert error.retryable and error.may_be_billed


def test_a_malformed_answer_is_retryable(make: Make, streamed: bool) -> None:
    error = failure(make, "malformed", streamed)
    assert error.retryable and error.may_be_billed


def test_half_an_answer_is_never_a_reply(make: Make, streamed: bool) -> None:
    error = failure(make, "cut", streamed)
    assert error.retryable and error.may_be_billed
    if streamed:
        assert type(error) is ReplyCutOff


def test_an_error_in_place_of_an_answer_or_inside_a_stream(make: Make, streamed: bool) -> None:
    error = failure(make, "stream_error", streamed)
    assert isinstance(error, ProviderError) and error.retryable


def test_an_empty_answer_is_retryable(make: Make, streamed: bool) -> None:
    error = failure(make, "empty", streamed)
    assert error.retryable and error.may_be_billed


def test_a_blocked_answer_is_final(make: Make, streamed: bool) -> None:
    error = failure(make, "blocked", streamed)
    assert type(error) is ReplyBlocked and not error.retryable


def test_an_answer_cut_off_while_thinking_is_no_empty_answer(make: Make, streamed: bool) -> None:
    error = failure(make, "cut_off_thinking", streamed)
    assert type(error) is ReplyCutOff and not error.retryable


def test_many_at_once_do_not_mix(make: Make) -> None:
    async def main(server: LoopbackServer) -> list[str]:
        lm = make(server)
        asked = [lm.complete(Request((Message("user", f"n{n}"),))) for n in range(40)]
        replies = await asyncio.gather(*asked)
        await lm.aclose()
        return [reply.text for reply in replies]

    script = {"default": {"template": "{echo}", "repeat": True}, "delay": 0.02}
    with LoopbackServer(script) as server:
        assert asyncio.run(main(server)) == [f"n{n}" for n in range(40)]
        assert server.peak_in_flight > 10


def test_a_cancelled_request_is_cancelled(make: Make) -> None:
    async def main(server: LoopbackServer) -> None:
        lm = make(server)
        asked = asyncio.create_task(lm.complete(Request((Message("user", "x"),))))
        while not server.requests:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await lm.aclose()

    with LoopbackServer([{"reply": "late", "delay": 20}]) as server:
        asyncio.run(main(server))
