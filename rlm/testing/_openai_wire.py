"""OpenAI's chat completions on the wire: requests in, whole answers and event streams out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rlm.lm.base import Message, Role
from rlm.testing._billing import Outcome
from rlm.usage import Usage

__all__ = ["error", "events", "messages", "model_list", "output_cap", "stop", "whole"]

_CREATED = 1_750_000_000  # a fixed time: the same script gives the same bytes
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "user",
    "assistant": "assistant",
}
_FINISH = {"stop": "stop", "length": "length", "blocked": "content_filter"}


def messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the transcript; raises ValueError when it has not the shape that OpenAI takes."""
    raw = body.get("messages")
    if not isinstance(raw, list) or not raw:
        raise ValueError("'messages' must be a list of at least one message")
    return tuple(_message(item) for item in raw)


def _message(item: Any) -> Message:
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise ValueError("each message must be an object with a 'role'")
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if content is not None and not isinstance(content, str):
        raise ValueError("the 'content' of a message must be a text or a list of parts")
    role = _ROLES.get(item["role"])
    if role is None:
        raise ValueError(f"there is no role {item['role']!r}")
    return Message(role, content or "")


def output_cap(body: Mapping[str, Any]) -> int | None:
    """Return the most tokens that the request allows for the answer."""
    cap = body.get("max_completion_tokens", body.get("max_tokens"))
    return cap if isinstance(cap, int) else None


def stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the stop sequences."""
    marks = body.get("stop") or ()
    return (marks,) if isinstance(marks, str) else tuple(marks)


def whole(out: Outcome) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": out.text, "refusal": None}
    if out.reasoning:
        message["reasoning_content"] = out.reasoning
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[out.end]}
    answer = {
        "id": f"chatcmpl-{out.number}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": out.model,
        "choices": [choice],
    }
    return answer | ({"usage": _usage(out.usage)} if out.show_usage else {})


def events(out: Outcome, pieces: Sequence[tuple[str, str]], body: Mapping[str, Any]) -> list[bytes]:
    """Return the events of a stream; usage comes only when the request asks for it."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    names = {"text": "content", "reasoning": "reasoning_content"}
    deltas += [{names[kind]: text} for kind, text in pieces]
    chunks = [_chunk(out, delta, None) for delta in deltas]
    chunks.append(_chunk(out, {}, _FINISH[out.end]))
    if out.show_usage and (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**_chunk(out, {}, None), "choices": [], "usage": _usage(out.usage)})
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def _chunk(out: Outcome, delta: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{out.number}",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": out.model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def error(status: int, message: str, retry_after: float | None = None) -> dict[str, Any]:
    """Return the body of an error; the wish to wait is a header only."""
    kinds = {401: "authentication_error", 429: "rate_limit_exceeded"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def model_list(names: Sequence[str]) -> dict[str, Any]:
    """Return the answer of `/v1/models`."""
    models = [
        {"id": name, "object": "model", "created": _CREATED, "owned_by": "test"} for name in names
    ]
    return {"object": "list", "data": models}
