from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asked import ASK, reply_of
from raw_server import Raw, RawServer

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
from rlm.lm.base import Delta, Message, Reply, Request
from rlm.lm.google import GoogleLM
from rlm.usage import Usage

KEY = "AIza-very-secret-0123456789"


def answer(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    usage = {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g-1", **more}


def refused(code: int, status: str, message: str, *details: dict[str, Any]) -> Raw:
    error = {"code": code, "status": status, "message": message, "details": list(details)}
    return Raw({"error": error}, code)


def ask(
    server: RawServer,
    request: Request = ASK,
    stream: list[Delta] | None = None,
    name: str = "gemini/gemini-3.1-pro-preview",
    **options: Any,
) -> Reply:
    lm = GoogleLM(name, base_url=server.url, api_key=KEY, **options)
    return reply_of(lm, request, stream)


def failure(raw: Raw, stream: list[Delta] | None = None, **options: Any) -> ProviderError:
    with RawServer(raw) as server, pytest.raises(ProviderError) as caught:
        ask(server, stream=stream, **options)
    assert KEY not in str(caught.value)
    assert len(server.bodies) == 1, "the client's own retries are off"
    return caught.value


def test_rr03_an_answer_by_the_real_client() -> None:
    body = answer({"text": "Hm.", "thought": True}, {"text": "Paris."})
    with RawServer(Raw(body)) as server:
        reply = ask(server)
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=5, reasoning_tokens=3)
    assert reply == Reply("Paris.", "Hm.", usage, "g-1", "stop")
    assert server.paths[0].endswith("/models/gemini-3.1-pro-preview:generateContent")
    assert server.headers[0]["x-goog-api-key"] == KEY


def test_what_is_sent() -> None:
    request = Request(
        (*ASK.messages, Message("assistant", "Paris."), Message("user", "Sure?")),
        max_output_tokens=77,
        temperature=0.5,
        stop=("END",),
        schema={"type": "object"},
        thinking="high",
        extra={"seed": 7},
    )
    with RawServer(Raw(answer({"text": "Yes."}))) as server:
        ask(server, request)
    (body,) = server.bodies
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert [c["role"] for c in body["contents"]] == ["user", "model", "user"]
    config = body["generationConfig"]
    assert "HIGH" in config.pop("thinkingConfig").values()
    assert config == {
        "maxOutputTokens": 77,
        "temperature": 0.5,
        "stopSequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "seed": 7,
    }


def test_gemini_25_thinks_within_half_of_the_output() -> None:
    request = Request(ASK.messages, max_output_tokens=1000, thinking="medium")
    with RawServer(Raw(answer({"text": "a"}))) as server:
        ask(server, request, name="gemini/gemini-2.5-flash")
    thinking = server.bodies[0]["generationConfig"]["thinkingConfig"]
    assert 500 in thinking.values()


def test_a_stream_is_told_piece_by_piece() -> None:
    chunks = [answer({"text": "Par"}, finish=None), answer({"text": "is"})]
    body = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
    told: list[Delta] = []
    with RawServer(Raw(body, content_type="text/event-stream")) as server:
        assert ask(server, stream=told).text == "Paris"
    assert told == [Delta("text", "Par"), Delta("text", "is")]


def test_a_stream_that_breaks_off_is_never_a_reply() -> None:
    body = f"data: {json.dumps(answer({'text': 'Par'}, finish=None))}\r\n\r\n"
    for breaks in (False, True):
        error = failure(Raw(body, content_type="text/event-stream", breaks=breaks), stream=[])
        assert isinstance(error, ReplyCutOff)
        assert error.retryable and error.may_be_billed


@pytest.mark.parametrize(
    ("body", "kind", "retryable"),
    [
        (answer(finish="MAX_TOKENS"), ReplyCutOff, False),
        (answer({"text": "x"}, finish="SAFETY"), ReplyBlocked, False),
        (answer(finish="RECITATION"), ReplyBlocked, False),
        (answer(finish="STOP"), ProviderError, True),
        (answer(finish="MALFORMED_FUNCTION_CALL"), ProviderError, True),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, ReplyBlocked, False),
        ({}, ProviderError, True),
        ("{not json", ProviderError, True),
    ],
)
def test_an_answer_that_is_none_has_a_name(
    body: Any, kind: type[ProviderError], retryable: bool
) -> None:
    error = failure(Raw(body))
    assert type(error) is kind
    assert error.retryable is retryable


def test_visible_text_that_is_cut_off_is_a_reply() -> None:
    with RawServer(Raw(answer({"text": "Par"}, finish="MAX_TOKENS"))) as server:
        assert ask(server).finish == "length"


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
DAILY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
}


@pytest.mark.parametrize(
    ("raw", "kind", "retryable"),
    [
        (refused(400, "INVALID_ARGUMENT", "API key not valid."), AuthenticationFailed, False),
        (refused(403, "PERMISSION_DENIED", f"no: {KEY}"), AuthenticationFailed, False),
        (refused(429, "RESOURCE_EXHAUSTED", "Quota", RETRY), RateLimited, True),
        (refused(429, "RESOURCE_EXHAUSTED", "Quota", RETRY, DAILY), RateLimited, False),
        (refused(400, "INVALID_ARGUMENT", "bad schema"), ProviderError, False),
        (refused(404, "NOT_FOUND", "no such model"), ProviderError, False),
        (refused(503, "UNAVAILABLE", "overloaded"), ProviderError, True),
        (Raw("<html>", 502, "text/html"), ProviderError, True),
    ],
)
def test_a_status_has_a_name(raw: Raw, kind: type[ProviderError], retryable: bool) -> None:
    error = failure(raw)
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.http_status == raw.status
    assert not error.may_be_billed


def test_the_retry_delay_of_the_body_is_read() -> None:
    assert failure(refused(429, "RESOURCE_EXHAUSTED", "Quota", RETRY)).retry_after == 34.5


def test_lesson_17_an_overlong_request_names_both_numbers() -> None:
    text = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    error = failure(refused(400, "INVALID_ARGUMENT", text))
    assert isinstance(error, ContextWindowExceeded)
    assert (error.tokens, error.window) == (1_200_000, 1_048_576)


def test_a_connection_that_breaks_is_not_asked_again_by_the_client() -> None:
    error = failure(Raw('{"candidates"', breaks=True))
    assert error.retryable and error.may_be_billed


def test_nobody_there_is_retried_and_cannot_be_billed() -> None:
    async def main() -> None:
        lm = GoogleLM("gemini/g", base_url="http://127.0.0.1:9")
        try:
            await lm.complete(ASK)
        finally:
            await lm.aclose()

    with pytest.raises(ProviderError) as caught:
        asyncio.run(main())
    assert caught.value.retryable and not caught.value.may_be_billed


def test_a_stall_ends_by_our_own_clock() -> None:
    error = failure(Raw(answer({"text": "late"}), stalls=30), timeout=0.3)
    assert isinstance(error, ProviderTimeout)
    assert error.retryable and error.may_be_billed


def test_one_adapter_serves_several_loops() -> None:
    with RawServer(Raw(answer({"text": "a"}))) as server:
        lm = GoogleLM("gemini/g", base_url=server.url)

        async def main() -> str:
            reply = await lm.complete(ASK)
            await lm.aclose()
            return reply.text

        assert [asyncio.run(main()) for _ in range(3)] == ["a"] * 3


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        GoogleLM("gemini/g")
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    assert KEY not in repr(GoogleLM("gemini/g"))


def test_both_prefixes_are_ours() -> None:
    for name in ("gemini/g-1", "google/g-1", "g-1"):
        with RawServer(Raw(answer({"text": "a"}))) as server:
            ask(server, name=name)
        assert server.paths[0].endswith("/models/g-1:generateContent")
