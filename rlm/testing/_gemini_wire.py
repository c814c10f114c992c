"""Gemini's `generateContent` on the wire: requests in, whole answers and event streams out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rlm.lm.base import Message
from rlm.testing._billing import Outcome
from rlm.usage import Usage

__all__ = ["error", "events", "messages", "model_list", "output_cap", "stop", "whole"]

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "blocked": "SAFETY"}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the transcript; raises ValueError when it has not the shape that Gemini takes."""
    raw = body.get("contents")
    if not isinstance(raw, list) or not raw:
        raise ValueError("'contents' must be a list of at least one content")
    found = []
    system = body.get("systemInstruction") or body.get("system_instruction")
    if system:
        found.append(Message("system", _text(system)))
    for content in raw:
        role = content.get("role", "user") if isinstance(content, dict) else None
        if role not in ("user", "model"):
            raise ValueError("please use a valid role: user, model")
        found.append(Message("user" if role == "user" else "assistant", _text(content)))
    return tuple(found)


def _text(content: Any) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list | dict):
        raise ValueError("a content must be an object with 'parts'")
    listed = parts if isinstance(parts, list) else [parts]
    return "".join(str(part.get("text", "")) for part in listed if isinstance(part, dict))


def _config(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body.get("generationConfig") or body.get("generation_config") or {}


def output_cap(body: Mapping[str, Any]) -> int | None:
    """Return the most tokens that the request allows for the answer, thoughts included."""
    config = _config(body)
    cap = config.get("maxOutputTokens", config.get("max_output_tokens"))
    return cap if isinstance(cap, int) else None


def stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the stop sequences."""
    config = _config(body)
    return tuple(config.get("stopSequences") or config.get("stop_sequences") or ())


def whole(out: Outcome) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    pieces = [("reasoning", out.reasoning), ("text", out.text)]
    return _body(out, [piece for piece in pieces if piece[1]], last=True)


def events(out: Outcome, pieces: Sequence[tuple[str, str]], body: Mapping[str, Any]) -> list[bytes]:
    """Return the events of a stream; the last one has the whole usage."""
    cut = [[piece] for piece in pieces] or [[]]
    last = len(cut) - 1
    bodies = [_body(out, some, last=index == last) for index, some in enumerate(cut)]
    return [f"data: {json.dumps(one)}\r\n\r\n".encode() for one in bodies]


def _body(out: Outcome, pieces: Sequence[tuple[str, str]], *, last: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"role": "model"}
    if pieces:
        content["parts"] = [
            {"text": text, "thought": True} if kind == "reasoning" else {"text": text}
            for kind, text in pieces
        ]
    candidate: dict[str, Any] = {"content": content, "index": 0}
    if last:
        candidate["finishReason"] = _FINISH[out.end]
    body: dict[str, Any] = {"candidates": [candidate]}
    if out.show_usage:
        body["usageMetadata"] = _usage(out.usage, last=last)
    return {**body, "modelVersion": out.model, "responseId": f"response-{out.number}"}


def _usage(usage: Usage, *, last: bool) -> dict[str, Any]:
    if not last:
        return {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens}
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
    }
    return {name: count for name, count in counts.items() if count}


def error(status: int, message: str, retry_after: float | None = None) -> dict[str, Any]:
    """Return the body of an error; Gemini says here how long to wait."""
    body = {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}
    if retry_after is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        body["details"] = [{"@type": kind, "retryDelay": f"{retry_after:g}s"}]
    return {"error": body}


def model_list(names: Sequence[str]) -> dict[str, Any]:
    """Return the answer of `/v1beta/models`."""
    methods = ["generateContent", "streamGenerateContent"]
    return {
        "models": [
            {"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names
        ]
    }
