from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from asked import ASK, reply_of
from raw_server import Raw, RawServer, chat, events, piece

from rlm.errors import (
    AuthenticationFailed,
    ContextWindowExceeded,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    ReplyBlocked,
    ReplyCutOff,
)
from rlm.lm.base import Delta, Reply, Request
from rlm.lm.litellm import LiteLLM
from rlm.usage import Usage

KEY = "sk-very-secret-0123456789"
# litellm's own types make pydantic warn; the adapter filters it once a process, pytest undoes it
pytestmark = pytest.mark.filterwarnings("ignore:.*ReadOnly. qualifier:UserWarning")


def ask(
    server: RawServer,
    request: Request = ASK,
    stream: list[Delta] | None = None,
    name: str = "hosted_vllm/m-1",
    **options: Any,
) -> Reply:
    lm = LiteLLM(name, base_url=server.url, api_key=KEY, **options)
    return reply_of(lm, request, stream)


def failure(raw: Raw, stream: list[Delta] | None = None, **options: Any) -> ProviderError:
    with RawServer(raw) as server, pytest.raises(ProviderError) as caught:
        ask(server, stream=stream, **options)
    assert KEY not in str(caught.value)
    assert len(server.bodies) == 1, "litellm's own retries are off"
    return caught.value


def test_an_answer_by_the_real_client() -> None:
    body = chat("Paris.", reasoning_content="Easy.")
    body["usage"] |= {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    with RawServer(Raw(body)) as server:
        reply = ask(server)
    assert (reply.text, reply.reasoning, reply.finish) == ("Paris.", "Easy.", "stop")
    assert reply.usage == Usage(
        input_tokens=10, cached_tokens=4, output_tokens=5, reasoning_tokens=3
    )


def test_what_is_sent() -> None:
    request = Request(
        ASK.messages,
        max_output_tokens=77,
        temperature=0.5,
        stop=("END",),
        schema={"type": "object"},
        extra={"seed": 7},
    )
    with RawServer(Raw(chat("a"))) as server:
        ask(server, request, extra={"top_p": 0.5})
    (body,) = server.bodies
    assert body["model"] == "m-1" and body["max_tokens"] == 77
    assert body["messages"][1] == {"role": "user", "content": "Capital of France?"}
    assert (body["temperature"], body["stop"], body["seed"], body["top_p"]) == (
        0.5,
        ["END"],
        7,
        0.5,
    )
    assert body["response_format"]["type"] == "json_schema"


def test_a_stream_is_told_piece_by_piece() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    last = {"model": "m-1", "choices": [], "usage": usage}
    chunks = [
        {"id": "c1", "object": "chat.completion.chunk", "created": 1, **chunk}
        for chunk in (piece("Par"), piece("is"), piece(None, "stop"), last)
    ]
    told: list[Delta] = []
    with RawServer(events(*chunks)) as server:
        reply = ask(server, stream=told)
    assert "".join(delta.text for delta in told) == reply.text == "Paris"
    assert reply.usage == Usage(input_tokens=9, output_tokens=2)


@pytest.mark.parametrize(
    ("body", "kind", "retryable"),
    [
        (chat("", "length"), ReplyCutOff, False),
        (chat("half", "content_filter"), ReplyBlocked, False),
        (chat("", "stop"), ProviderError, True),
        ("{not json", ProviderError, True),
    ],
)
def test_an_answer_that_is_none_has_a_name(
    body: Any, kind: type[ProviderError], retryable: bool
) -> None:
    error = failure(Raw(body))
    assert type(error) is kind
    assert error.retryable is retryable


WINDOW = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."


@pytest.mark.parametrize(
    ("status", "error", "kind", "retryable"),
    [
        (401, {"message": f"bad key {KEY}"}, AuthenticationFailed, False),
        (429, {"message": "slow down"}, RateLimited, True),
        (400, {"message": "bad field"}, ProviderError, False),
        (400, {"message": WINDOW}, ContextWindowExceeded, False),
        (404, {"message": "no such model"}, ProviderError, False),
        (500, {"message": "broken"}, ProviderError, True),
        (503, {"message": "overloaded"}, ProviderError, True),
    ],
)
def test_a_status_has_a_name(
    status: int, error: dict[str, Any], kind: type[ProviderError], retryable: bool
) -> None:
    found = failure(Raw({"error": error}, status, headers={"Retry-After": "3"}))
    assert type(found) is kind
    assert found.retryable is retryable
    if isinstance(found, RateLimited):
        assert found.retry_after == 3
    if isinstance(found, ContextWindowExceeded):
        assert (found.tokens, found.window) == (5000, 4096)


def test_a_stream_that_breaks_off_is_never_a_reply() -> None:
    raw = events(piece("Par"), piece("is"), done=False)
    for breaks in (False, True):
        error = failure(Raw(raw.body, content_type=raw.content_type, breaks=breaks), stream=[])
        assert isinstance(error, ReplyCutOff)
        assert error.retryable and error.may_be_billed


def test_lesson_22_litellm_does_not_send_a_request_again_by_itself() -> None:
    with RawServer(Raw("", hangs_up=True)) as server, pytest.raises(ProviderError) as caught:
        ask(server)
    assert len(server.bodies) == 1
    assert caught.value.retryable and caught.value.may_be_billed


def test_a_stall_ends_by_our_own_clock() -> None:
    error = failure(Raw(chat("late"), stalls=60), timeout=0.3)
    assert isinstance(error, ProviderTimeout) and error.may_be_billed


def test_the_stable_prefix_is_marked_for_anthropic() -> None:
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Paris."}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
        },
    }
    request = Request(ASK.messages, stable_messages=1)
    with RawServer(Raw(body)) as server:
        reply = ask(server, request, name="anthropic/claude-sonnet-4-5")
    (system,) = server.bodies[0]["system"]
    assert system["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in str(server.bodies[0]["messages"])
    assert reply.usage == Usage(
        input_tokens=130, cached_tokens=100, cache_write_tokens=20, output_tokens=5
    )


def test_a_wish_that_a_provider_lacks_is_left_out() -> None:
    request = Request(ASK.messages, thinking="low")
    with RawServer(Raw(chat("a"))) as server:
        ask(server, request, name="openai/gpt-4o")
    assert "reasoning_effort" not in server.bodies[0]


def test_lesson_48_loading_litellm_asks_the_network_for_nothing() -> None:
    code = (
        "import os, socket\n"
        "def no(*a, **k): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = no; socket.getaddrinfo = no\n"
        "from rlm.lm.litellm import _load\n"
        "_load()\n"
        "print(os.environ.get('LITELLM_LOCAL_MODEL_COST_MAP'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(LiteLLM("x/y", api_key=KEY))
