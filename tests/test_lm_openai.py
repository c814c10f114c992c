from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from email.utils import formatdate
from typing import Any

import pytest
from asked import ASK, reply_of
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import Raw, RawServer, chat, events, piece

from rlm.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContextWindowExceeded,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    ReplyBlocked,
    ReplyCutOff,
)
from rlm.lm._chat import EventLines, messages
from rlm.lm._classify import refusal, retry_after
from rlm.lm._http import Connections
from rlm.lm.base import Delta, Message, Reply, Request
from rlm.lm.openai import OpenAILM
from rlm.usage import Usage

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def ask(
    server: RawServer, request: Request = ASK, stream: list[Delta] | None = None, **options: Any
) -> Reply:
    lm = OpenAILM("openai/m-1", base_url=f"{server.url}/v1", api_key=KEY, **options)
    return reply_of(lm, request, stream)


def failure(raw: Raw, stream: list[Delta] | None = None, **options: Any) -> ProviderError:
    with RawServer(raw) as server, pytest.raises(ProviderError) as caught:
        ask(server, stream=stream, **options)
    assert KEY not in str(caught.value)
    return caught.value


def test_an_answer_with_all_that_it_says() -> None:
    body = chat("Paris.", reasoning_content="Easy.")
    body["usage"] |= {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    with RawServer(Raw(body)) as server:
        reply = ask(server)
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=5, reasoning_tokens=3)
    assert reply == Reply("Paris.", "Easy.", usage, "m-1", "stop")
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_what_is_sent() -> None:
    request = Request(
        ASK.messages,
        max_output_tokens=77,
        temperature=0.5,
        thinking="low",
        stop=("END",),
        schema={"type": "object"},
        sample=3,
        extra={"seed": 7},
    )
    with RawServer(Raw(chat("Paris."))) as server:
        ask(server, request)
    assert server.bodies == [
        {
            "model": "m-1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Capital of France?"},
            ],
            "max_tokens": 77,
            "temperature": 0.5,
            "reasoning_effort": "low",
            "stop": ["END"],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": {"type": "object"}, "strict": False},
            },
            "seed": 7,
        }
    ]


def test_a_stream_is_told_piece_by_piece() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}
    last = {"model": "m-1", "choices": [], "usage": usage}
    chunks = [piece("", reasoning="Hm."), piece("Par"), piece("is"), piece(None, "stop"), last]
    told: list[Delta] = []
    with RawServer(events(*chunks)) as server:
        reply = ask(server, stream=told)
    assert told == [Delta("reasoning", "Hm."), Delta("text", "Par"), Delta("text", "is")]
    assert reply.text == "Paris" and reply.reasoning == "Hm."
    assert reply.usage == Usage(input_tokens=9, cached_tokens=8, output_tokens=2)
    assert server.bodies[0]["stream_options"] == {"include_usage": True}


def test_a_server_that_does_not_stream_is_understood() -> None:
    told: list[Delta] = []
    with RawServer(Raw(chat("Paris."))) as server:
        assert ask(server, stream=told).text == "Paris."
    assert told == [Delta("text", "Paris.")]


@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_events_are_the_same_however_the_bytes_arrive(noise: bytes, cuts: list[int]) -> None:
    text = json.dumps({"text": noise.decode("latin-1")}).encode()
    data = b": hello\r\n\r\ndata: " + text + b"\r\n\r\nevent: x\ndata:" + text + b"\n\n"
    lines = EventLines()
    at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [d for a, b in itertools.pairwise(at) for d in lines.feed(data[a:b])]
    assert found == [text, text]


@pytest.mark.parametrize(
    ("body", "kind", "retryable"),
    [
        (chat(None, refusal="I will not."), ReplyBlocked, False),
        (chat("half", "content_filter"), ReplyBlocked, False),
        (chat(None, "length", reasoning_content="Hm"), ReplyCutOff, False),
        (chat("", "stop"), ProviderError, True),
        (chat(None, "tool_calls"), ProviderError, True),
        (chat("x", "error"), ProviderError, True),
        ({"error": {"message": "overloaded", "code": 503}}, ProviderError, True),
        ({"error": {"message": "slow down", "code": 429}}, RateLimited, True),
        ({"error": {"message": "bad field", "code": 400}}, ProviderError, False),
        ({"choices": []}, ProviderError, True),
        ([1, 2], ProviderError, True),
        ("{not json", ProviderError, True),
    ],
)
def test_an_answer_that_is_none_has_a_name(
    body: Any, kind: type[ProviderError], retryable: bool
) -> None:
    error = failure(Raw(body))
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.model == "openai/m-1"


def test_visible_text_that_is_cut_off_is_a_reply() -> None:
    with RawServer(Raw(chat("Par", "length"))) as server:
        assert ask(server).finish == "length"


def test_an_error_keeps_what_the_answer_used() -> None:
    error = failure(Raw(chat(None, "length")))
    assert error.may_be_billed
    assert error.usage == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (401, {"error": {"message": f"Incorrect API key: {KEY}"}}, AuthenticationFailed, False),
        (403, {"error": {"message": "not in your country"}}, AuthenticationFailed, False),
        (403, {"error": {"message": "your input was flagged"}}, ReplyBlocked, False),
        (429, {"error": {"message": "slow down"}}, RateLimited, True),
        (429, {"error": {"message": "x", "code": "insufficient_quota"}}, RateLimited, False),
        (429, {"error": {"message": "Request too large for m-1"}}, RateLimited, False),
        (400, {"error": {"message": "x", "code": "content_filter"}}, ReplyBlocked, False),
        (400, {"error": {"message": "temperature: too high"}}, ProviderError, False),
        (402, {"error": {"message": "no credits"}}, ProviderError, False),
        (404, {"error": "model 'm-1' not found"}, ProviderError, False),
        (408, {}, ProviderError, True),
        (409, {}, ProviderError, True),
        (422, {"detail": [{"msg": "field required"}]}, ProviderError, False),
        (500, "<html>" + "x" * 10_000, ProviderError, True),
        (503, {"message": "loading"}, ProviderError, True),
        (529, {"error": {"message": "overloaded"}}, ProviderError, True),
        (302, "", ProviderError, False),
    ],
)
def test_a_status_has_a_name(
    status: int, body: Any, kind: type[ProviderError], retryable: bool
) -> None:
    error = failure(Raw(body, status))
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.http_status == status
    assert not error.may_be_billed
    assert len(str(error)) < 1000


OVERLONG = [
    (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in "
        "130000 tokens.",
        130_000,
        128_000,
    ),
    (
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
        "300,000 tokens.",
        300_000,
        272_000,
    ),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
        "(4000 in the messages, 1000 in the completion).",
        5000,
        4096,
    ),
    (
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        5000,
        4096,
    ),
    ("request (5000 tokens) exceeds the available context size (4096 tokens)", 5000, 4096),
    ("prompt is too long: 210000 tokens > 200000 maximum", 210_000, 200_000),
    (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        1_200_000,
        1_048_576,
    ),
    (
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        5000,
        4096,
    ),
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length",
        40_000,
        32_768,
    ),
    ("the input length exceeds the context length", 0, 0),
]


@pytest.mark.parametrize(("text", "tokens", "window"), OVERLONG)
def test_lesson_17_an_overlong_request_names_both_numbers(
    text: str, tokens: int, window: int
) -> None:
    error = refusal("m", 400, text)
    assert isinstance(error, ContextWindowExceeded)
    assert (error.tokens, error.window) == (tokens, window)
    assert not error.retryable


def test_lesson_17_llama_cpp_states_the_numbers_beside_the_message() -> None:
    said = {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 5000,
        "n_ctx": 4096,
    }
    error = failure(Raw({"error": said}, 400))
    assert isinstance(error, ContextWindowExceeded)
    assert "5000" in str(error) and "4096" in str(error)


def test_an_error_of_the_server_that_mentions_the_context_is_retried() -> None:
    assert type(refusal("m", 500, "out of memory for this context size")) is ProviderError


def test_retry_after_is_read_in_all_its_forms() -> None:
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    in_a_minute = retry_after({"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert in_a_minute is not None and 50 < in_a_minute <= 60
    assert retry_after({"Retry-After": formatdate(0, usegmt=True)}) == 0
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None
    assert failure(Raw({}, 429, headers={"Retry-After": "2"})).retry_after == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_breaks_may_be_billed_and_is_retried(stream: bool) -> None:
    half = json.dumps(chat("Paris."))[:60]
    told: list[Delta] | None = [] if stream else None
    error = failure(Raw(half, breaks=True), stream=told)
    assert error.retryable and error.may_be_billed


def test_a_stream_that_breaks_off_is_never_a_reply() -> None:
    whole = events(piece("Par"), piece("is"), done=False)
    told: list[Delta] = []
    for raw in (whole, Raw(whole.body, content_type=whole.content_type, breaks=True)):
        error = failure(raw, stream=told)
        assert isinstance(error, ReplyCutOff)
        assert error.retryable and error.may_be_billed


def test_an_error_inside_a_stream_has_a_name() -> None:
    broken = {"error": {"code": 502, "message": "upstream died"}}
    error = failure(events(piece("Par"), broken), stream=[])
    assert error.retryable and error.may_be_billed
    assert "upstream died" in str(error)


def test_garbage_inside_a_stream_has_a_name() -> None:
    raw = Raw('data: {"choices": [\n\n', content_type="text/event-stream")
    assert failure(raw, stream=[]).retryable


def test_nobody_there_is_retried_and_cannot_be_billed() -> None:
    async def main() -> None:
        lm = OpenAILM("m", base_url="http://127.0.0.1:9/v1")
        try:
            await lm.complete(ASK)
        finally:
            await lm.aclose()

    with pytest.raises(ProviderError) as caught:
        asyncio.run(main())
    assert caught.value.retryable and not caught.value.may_be_billed


def test_a_stall_ends_by_our_own_clock() -> None:
    error = failure(Raw(chat("late"), stalls=30), timeout=0.1)
    assert isinstance(error, ProviderTimeout)
    assert error.retryable and error.may_be_billed


def test_an_unsupported_cap_is_renamed_once_and_remembered() -> None:
    refused = {
        "error": {
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "code": "unsupported_parameter",
        }
    }

    async def main(url: str) -> None:
        lm = OpenAILM("m", base_url=url)
        await lm.complete(ASK)
        await lm.complete(ASK)
        await lm.aclose()

    with RawServer(Raw(refused, 400), Raw(chat("a"))) as server:
        asyncio.run(main(server.url))
    caps = [[name for name in body if name.startswith("max")] for body in server.bodies]
    assert caps == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]


def test_a_wish_that_a_server_lacks_is_left_out() -> None:
    refused = {"detail": "Unrecognized request argument supplied: response_format"}
    request = Request(ASK.messages, json_mode=True)
    with RawServer(Raw(refused, 400), Raw(chat("a"))) as server:
        assert ask(server, request).text == "a"
    assert ["response_format" in body for body in server.bodies] == [True, False]


def test_a_server_that_refuses_both_spellings_is_not_asked_for_ever() -> None:
    refused = {"error": {"message": "unsupported: max_tokens, max_completion_tokens"}}
    with RawServer(Raw(refused, 400)) as server, pytest.raises(ProviderError):
        ask(server)
    assert len(server.bodies) <= 3


def test_openai_itself_is_asked_with_its_own_cap_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        OpenAILM("openai/gpt-5-mini")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lm = OpenAILM("openai/gpt-5-mini")
    assert lm.name == "openai/gpt-5-mini"
    body = lm._body(ASK, False)
    assert body["model"] == "gpt-5-mini" and "max_completion_tokens" in body
    assert KEY not in repr(lm)


def test_another_server_needs_no_key() -> None:
    with RawServer(Raw(chat("a"))) as server:

        async def main() -> None:
            lm = OpenAILM("m", base_url=server.url)
            await lm.complete(ASK)
            await lm.aclose()

        asyncio.run(main())
    assert "Authorization" not in server.headers[0]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="localhost:8000"):
        OpenAILM("m", base_url="localhost:8000")


def test_rb07_each_request_is_fresh_and_nothing_leaks_into_the_next() -> None:
    with RawServer(Raw(chat("a"))) as server:

        async def main() -> None:
            lm = OpenAILM("m", base_url=server.url)
            for word in ("one", "two"):
                await lm.complete(Request((Message("user", word),)))
            await lm.aclose()

        asyncio.run(main())
    sent = [[m["content"] for m in body["messages"]] for body in server.bodies]
    assert sent == [["one"], ["two"]]


def test_rb09_rb10_a_server_that_does_not_count_leaves_the_usage_unknown() -> None:
    body = chat("a")
    del body["usage"]
    with RawServer(Raw(body)) as server:
        assert ask(server).usage is None


@pytest.mark.parametrize(
    ("told", "understood"),
    [
        (
            {"prompt_tokens": 10.0, "completion_tokens": 4.5},
            Usage(input_tokens=10, output_tokens=5),
        ),
        (
            {"prompt_tokens": "10", "completion_tokens": "5"},
            Usage(input_tokens=10, output_tokens=5),
        ),
        ({"prompt_tokens": 10, "total_tokens": 15}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 10, "completion_tokens": None}, None),
        ({"prompt_tokens": -10, "completion_tokens": 5}, None),
        ({"prompt_tokens": "many", "completion_tokens": 5}, None),
        ({"prompt_tokens": 10**30, "completion_tokens": 5}, None),
        ({"prompt_tokens": 10, "completion_tokens": True}, None),
    ],
)
def test_a_count_that_cannot_be_read_is_unknown_and_not_zero(
    told: dict[str, Any], understood: Usage | None
) -> None:
    with RawServer(Raw(chat("a") | {"usage": told})) as server:
        assert ask(server).usage == understood


def test_text_that_is_no_unicode_is_sent_all_the_same() -> None:
    with RawServer(Raw(chat("a"))) as server:
        ask(server, Request((Message("user", "a\udc80b é"),)))
    assert server.bodies[0]["messages"][0]["content"] == "a?b é"


def test_the_stable_prefix_is_marked_for_anthropic_behind_openrouter() -> None:
    request = Request(ASK.messages, stable_messages=1)
    marked = messages(request, cache_control=True)
    assert marked[0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert marked[1]["content"] == "Capital of France?"
    assert messages(request)[0]["content"] == "Be brief."


def test_lr35_adapters_share_connections_and_reuse_them() -> None:
    async def main(url: str) -> None:
        shared = Connections()
        lms = [OpenAILM(name, base_url=url, connections=shared) for name in ("a", "b")]
        for lm in lms * 3:
            await lm.complete(ASK)
        for lm in lms:
            await lm.aclose()

    with RawServer(Raw(chat("a"))) as server:
        asyncio.run(main(server.url))
    assert len(server.connections) == 1


def test_closing_does_not_break_a_request_in_flight() -> None:
    async def main(url: str) -> str:
        lm = OpenAILM("m", base_url=url)
        asked = asyncio.create_task(lm.complete(ASK))
        while not server.bodies:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)
        await lm.aclose()
        return (await asked).text

    with RawServer(Raw(chat("a"), stalls=0.2)) as server:
        assert asyncio.run(main(server.url)) == "a"


def test_one_adapter_serves_several_loops() -> None:
    with RawServer(Raw(chat("a"))) as server:
        lm = OpenAILM("m", base_url=server.url)

        async def main() -> str:
            reply = await lm.complete(ASK)
            await lm.aclose()
            return reply.text

        assert [asyncio.run(main()) for _ in range(3)] == ["a"] * 3


def test_lesson_48_importing_and_making_an_adapter_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rlm.lm.openai import OpenAILM; from rlm.lm.google import GoogleLM;"
        "from rlm.lm.litellm import LiteLLM; import rlm.catalog, rlm.tokens, rlm.lm.resilient;"
        "OpenAILM('m', base_url='http://x'); GoogleLM('g', api_key='k'); LiteLLM('l');"
        "heavy = {'aiohttp', 'litellm', 'google.genai', 'tiktoken', 'openai', 'httpx'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
