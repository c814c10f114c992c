"""What a provider's refusal means: one place that turns statuses and texts into named errors."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from rlm.errors import (
    AuthenticationFailed,
    ContextWindowExceeded,
    ProviderError,
    RateLimited,
    ReplyBlocked,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["brief", "refusal", "retry_after"]

LONGEST_TEXT = 600
SHORTEST_SECRET = 8
"""Shorter keys are placeholders such as "none", which would blot out ordinary words."""

_WINDOW_CODES = {
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size_error",
    "model_max_prompt_tokens_exceeded",
    "string_above_max_length",
}
# The sentences of OpenAI, Azure, vLLM, SGLang, TGI, llama.cpp, Ollama, LM Studio, Anthropic,
# Bedrock, Mistral, OpenRouter and Gemini.
_WINDOW_TEXT = re.compile(
    r"maximum context length|maximum model length|context[ _](?:length|size|window)"
    r"|input tokens exceed|input token count|prompt is too long|input is too long"
    r"|prompt too long|exceeds? the (?:model'?s )?max(?:imum)? (?:input|prompt|sequence) length"
    r"|max_new_tokens` must be <=|too large for model with",
    re.IGNORECASE,
)
_WINDOW_NUMBER = re.compile(
    r"(?:maximum context length (?:is|of)|maximum model length of|context (?:length|size|window)"
    r"(?: (?:is|of|limit of))?|limit (?:of|is)|tokens allowed|>|must be <=)[^\d\w]{0,3}(\d[\d,]*)"
    r"|(\d[\d,]*) maximum context length",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?![\w-])")

_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_BLOCKED_CODES = {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
_BLOCKED_TEXT = re.compile(
    r"flagged|content management policy|content policy|moderation|safety system", re.IGNORECASE
)
_BAD_KEY = re.compile(r"api[ _]key (?:not valid|invalid|expired)|invalid api[ _]key", re.IGNORECASE)
# The same request fails again however long one waits.
_HOPELESS = re.compile(
    r"request too large|exceeded your current quota, please check", re.IGNORECASE
)


def refusal(
    model: str,
    status: int | None,
    text: str,
    *,
    code: str = "",
    retry_after: float | None = None,
    hopeless: bool = False,
    secrets: Iterable[str] = (),
) -> ProviderError:
    """Return the error that a provider's refusal means.

    `status` is the HTTP status or the number inside an error object, `code` the provider's own
    word for it. `hopeless` says that waiting will not help although the status suggests it.
    """
    said = brief(text, secrets)
    where = f"HTTP {status}" if status else "the provider"
    message = f"{model}: {where} says: {said or code or 'nothing'}"
    facts: dict[str, Any] = {
        "model": model,
        "http_status": status,
        "retry_after": retry_after,
        "may_be_billed": False,
    }
    code = code.lower()
    if status == 429 or code == "rate_limit_exceeded":
        waiting_helps = not (hopeless or code in _NO_MONEY or _HOPELESS.search(text))
        return RateLimited(message, retryable=waiting_helps, **facts)
    if _is_window(status, code, text):
        tokens, window = _window_numbers(text)
        return ContextWindowExceeded(message, tokens=tokens, window=window, **facts)
    if code in _BLOCKED_CODES or (status in (400, 403) and _BLOCKED_TEXT.search(text)):
        return ReplyBlocked(message, **facts)
    if status in (401, 403) or code == "invalid_api_key" or _BAD_KEY.search(text):
        return AuthenticationFailed(message, **facts)
    retryable = status is None or status >= 500 or status in (408, 409, 425)
    return ProviderError(message, retryable=retryable and code not in _NO_MONEY, **facts)


def brief(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a provider's text on one line, without secrets and not longer than needed."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "…")
    text = " ".join(text[: 8 * LONGEST_TEXT].split())
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a provider asks to wait, from seconds, milliseconds or a date."""
    found = {name.lower(): value.strip() for name, value in headers.items()}
    try:
        if "retry-after-ms" in found:
            return max(0.0, float(found["retry-after-ms"]) / 1000)
        value = found.get("retry-after", "")
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time()) if value else None
    except ValueError:  # a wish that nobody can read is no wish
        return None


def _is_window(status: int | None, code: str, text: str) -> bool:
    if code in _WINDOW_CODES:
        return True
    # A server error that mentions the context (out of memory, say) is not the request's fault;
    # llama.cpp and Ollama are the exception: they answer an overlong prompt with 500.
    exceeded = status in (None, 400, 413, 422) or "exceed" in text.lower()
    return exceeded and _WINDOW_TEXT.search(text) is not None


def _window_numbers(text: str) -> tuple[int, int]:
    """Return the tokens asked for and the window that a message states; 0 where it does not."""
    found = _WINDOW_NUMBER.search(text)
    if found is None:
        return 0, 0
    window = _whole(found[1] or found[2])
    larger = [n for n in map(_whole, _NUMBER.findall(text)) if n > window]
    return (larger[0] if larger else 0), window


def _whole(digits: str) -> int:
    return int(digits.replace(",", ""))
