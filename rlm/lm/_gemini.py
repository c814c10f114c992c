"""What Gemini is asked and what it answers, as google-genai spells them."""

from __future__ import annotations

import re
from typing import Any

from rlm.errors import ProviderError, ReplyBlocked, ReplyCutOff
from rlm.lm._classify import brief
from rlm.lm.base import Delta, OnDelta, Reply, Request
from rlm.usage import Usage

__all__ = ["Answer", "config", "contents"]

BLOCKED = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
}
THINKING_TOKENS = {"low": 1024, "medium": 8192, "high": 24_576}
"""Budgets for Gemini 2.5, which counts thinking in tokens; those of OpenAI-compatible Gemini."""


def contents(request: Request) -> list[dict[str, Any]]:
    """Return the transcript without its system messages."""
    roles = {"user": "user", "assistant": "model"}
    return [
        {"role": roles[m.role], "parts": [{"text": m.content}]}
        for m in request.messages
        if m.role != "system"
    ]


def config(model: str, request: Request) -> dict[str, Any]:
    """Return the parameters, and the system messages, which are one of them."""
    asked: dict[str, Any] = {
        "max_output_tokens": request.max_output_tokens,
        "automatic_function_calling": {"disable": True},
    }
    system = "\n\n".join(m.content for m in request.messages if m.role == "system")
    if system:
        asked["system_instruction"] = system
    if request.temperature is not None:
        asked["temperature"] = request.temperature
    if request.stop:
        asked["stop_sequences"] = list(request.stop)
    if request.schema is not None or request.json_mode:
        asked["response_mime_type"] = "application/json"
    if request.schema is not None:
        asked["response_json_schema"] = dict(request.schema)
    if (thinking := _thinking(model, request)) is not None:
        asked["thinking_config"] = thinking
    return {**asked, **request.extra}


def _thinking(model: str, request: Request) -> dict[str, Any] | None:
    """Return how to ask this generation of Gemini to think: 3 has levels, 2.5 a budget."""
    found = re.search(r"gemini-(\d+)(?:\.(\d+))?", model)
    if request.thinking is None or found is None:
        return None
    generation = (int(found[1]), int(found[2] or 0))
    if generation >= (3, 0):
        return {"thinking_level": request.thinking.upper(), "include_thoughts": True}
    if generation >= (2, 5):
        # thoughts count against the output cap: leave at least half of it for the answer
        tokens = min(THINKING_TOKENS[request.thinking], request.max_output_tokens // 2)
        return {"thinking_budget": tokens, "include_thoughts": True}
    return None


class Answer:
    """One answer while it is put together, from one response or from the chunks of a stream.

    `began` says whether anything has come, which is then billed; `usage` is what was said so far.
    """

    def __init__(self, model: str, on_delta: OnDelta | None, secrets: tuple[str, ...]) -> None:
        self.began = False
        self.usage: Usage | None = None
        self._model = model
        self._on_delta = on_delta
        self._secrets = secrets
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish = ""
        self._why = ""
        self._named = ""

    @property
    def streams(self) -> bool:
        """Whether somebody wants its pieces."""
        return self._on_delta is not None

    def take(self, response: Any) -> None:
        """Take the response, or the next chunk; raises ReplyBlocked for a blocked prompt."""
        self.began = True
        self.usage = _usage(response.usage_metadata) or self.usage
        self._named = response.model_version or self._named
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            raise self._blocked(f"the prompt was blocked ({feedback.block_reason.name})")
        for candidate in (response.candidates or [])[:1]:
            if candidate.finish_reason is not None:
                self._finish = candidate.finish_reason.name
                self._why = candidate.finish_message or ""
            for part in (candidate.content and candidate.content.parts) or ():
                if part.text:
                    self._add("reasoning" if part.thought else "text", part.text)

    def _add(self, kind: Any, text: str) -> None:
        (self._text if kind == "text" else self._reasoning).append(text)
        if self._on_delta is not None:
            self._on_delta(Delta(kind, text))

    def reply(self) -> Reply:
        """Return the whole, or raise the error under ProviderError that says why it is none."""
        text = "".join(self._text)
        if self._finish in BLOCKED or self._finish.startswith("IMAGE_"):
            why = f": {self._why}" if self._why else ""
            raise self._blocked(f"the answer was withheld ({self._finish}){why}")
        if not self._finish and self.streams:
            raise self.cut_off("the stream ended without a finish reason")
        if not text.strip() and self._finish == "MAX_TOKENS":
            message = f"{self._model}: the output cap was reached before any text was written"
            raise ReplyCutOff(message, **self._facts)
        if not text.strip() or self._finish not in ("", "STOP", "MAX_TOKENS"):
            what = "empty" if not text.strip() else "not usable"
            message = f"{self._model}: the answer is {what} ({self._finish or 'no reason given'})"
            raise ProviderError(message, retryable=True, **self._facts)
        finish: Any = "length" if self._finish == "MAX_TOKENS" else "stop"
        return Reply(text, "".join(self._reasoning), self.usage, self._named, finish)

    def cut_off(self, why: str) -> ReplyCutOff:
        """Return the error for an answer that broke off half-way."""
        message = f"{self._model}: the answer broke off half-way: {brief(why, self._secrets)}"
        return ReplyCutOff(message, retryable=True, **self._facts)

    def _blocked(self, why: str) -> ReplyBlocked:
        return ReplyBlocked(f"{self._model}: {brief(why, self._secrets)}", **self._facts)

    @property
    def _facts(self) -> dict[str, Any]:
        return {"model": self._model, "usage": self.usage}


def _usage(said: Any) -> Usage | None:
    if said is None or said.prompt_token_count is None:
        return None
    thoughts = said.thoughts_token_count or 0
    return Usage(
        input_tokens=said.prompt_token_count + (said.tool_use_prompt_token_count or 0),
        cached_tokens=said.cached_content_token_count or 0,
        output_tokens=(said.candidates_token_count or 0) + thoughts,
        reasoning_tokens=thoughts,
    )
