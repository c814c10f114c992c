"""Gemini models, by Google's own async client."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlm.errors import ConfigurationError, ProviderError, ReplyBlocked, ReplyCutOff, RLMError
from rlm.lm._classify import brief, refusal, retry_after
from rlm.lm._http import Deadline, PerLoop, unreachable
from rlm.lm.base import Delta, OnDelta, Reply, Request
from rlm.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["GoogleLM"]

KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
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


class GoogleLM:
    """A Gemini model, asked by google-genai's async client.

    `name` may carry the prefix `gemini/` or `google/`, which the wire does not. `api_key` defaults
    to the variable GEMINI_API_KEY, then GOOGLE_API_KEY; with a `base_url` of one's own none is
    needed.
    `timeout` is in seconds. The client is loaded at the first request, in a thread.

    Raises ConfigurationError for a missing key.
    """

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 600,
    ) -> None:
        key = api_key or next(filter(None, map(os.environ.get, KEYS)), None)
        if not key and base_url is None:
            message = f"{name}: no key for Gemini: set {' or '.join(KEYS)}, or give api_key="
            raise ConfigurationError(message)
        self._name = name
        self._model = name.removeprefix("gemini/").removeprefix("google/")
        self._key = key or "none"
        self._base_url = base_url
        self._timeout = timeout
        self._loading = threading.Lock()
        self._loaded = False
        self._spare: Any = None
        self._clients: PerLoop[Any] = PerLoop(self._client, _close_client)

    def __repr__(self) -> str:
        return f"GoogleLM({self._name!r})"

    @property
    def name(self) -> str:
        """The full name, with its prefix."""
        return self._name

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Answer the request, streaming pieces to `on_delta` when one is given."""
        asked = {
            "model": self._model,
            "contents": _contents(request),
            "config": _config(self._model, request),
        }
        if not self._loaded:
            await asyncio.to_thread(self._load)
        async with Deadline(self._name, self._timeout), self._clients.use() as client:
            answer = _Answer(self._name, on_delta, (self._key,))
            await self._classified(self._ask(client.aio.models, asked, answer), answer)
            return answer.reply()

    async def aclose(self) -> None:
        """Release the client of this loop; requests in flight keep it to the end."""
        await self._clients.aclose()

    def _load(self) -> None:
        """Import the library and make a first client off the loop: both take a while."""
        with self._loading:
            if not self._loaded:
                self._spare = self._new_client()
                self._loaded = True

    def _client(self) -> Any:
        spare, self._spare = self._spare, None
        return spare or self._new_client()

    def _new_client(self) -> Any:
        from google import genai

        options: dict[str, Any] = {"retry_options": {"attempts": 1}}  # retries are made above us
        if self._base_url is not None:
            options["base_url"] = self._base_url
        return genai.Client(api_key=self._key, vertexai=False, http_options=options)

    async def _ask(self, models: Any, asked: dict[str, Any], answer: _Answer) -> None:
        if answer.streams:
            async for chunk in await models.generate_content_stream(**asked):
                answer.take(chunk)
        else:
            answer.take(await models.generate_content(**asked))

    async def _classified(self, asking: Awaitable[None], answer: _Answer) -> None:
        """Wait for the client, and give each of its errors its name."""
        import aiohttp
        from google.genai import errors

        try:
            await asking
        except (RLMError, TimeoutError):
            raise
        except errors.APIError as error:
            raise self._refused(error, answer) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            if answer.began:
                raise answer.cut_off(f"{type(error).__name__}: {error}") from error
            raise unreachable(self._name, error) from error
        except Exception as error:  # whatever the client makes of a body that it cannot read
            why = brief(f"{type(error).__name__}: {error}", (self._key,))
            if answer.began:
                raise answer.cut_off(why) from error
            message = f"{self._name}: the client failed: {why}"
            raise ProviderError(message, model=self._name, retryable=_is_garbled(error)) from error

    def _refused(self, error: Any, answer: _Answer) -> ProviderError:
        details = _details(error.details)
        found = refusal(
            self._name,
            error.code if isinstance(error.code, int) else None,
            str(error.message or error.details),
            code=str(error.status or ""),
            retry_after=_wish(error.response, details),
            hopeless="PerDay" in str(details),  # a daily quota does not come back in a minute
            secrets=(self._key,),
        )
        found.usage = answer.usage
        found.may_be_billed = answer.began
        return found


async def _close_client(client: Any) -> None:
    await client.aio.aclose()
    client.close()


def _contents(request: Request) -> list[dict[str, Any]]:
    """Return the transcript without its system messages."""
    roles = {"user": "user", "assistant": "model"}
    return [
        {"role": roles[m.role], "parts": [{"text": m.content}]}
        for m in request.messages
        if m.role != "system"
    ]


def _config(model: str, request: Request) -> dict[str, Any]:
    config: dict[str, Any] = {
        "max_output_tokens": request.max_output_tokens,
        "automatic_function_calling": {"disable": True},
    }
    system = "\n\n".join(m.content for m in request.messages if m.role == "system")
    if system:
        config["system_instruction"] = system
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.stop:
        config["stop_sequences"] = list(request.stop)
    if request.schema is not None or request.json_mode:
        config["response_mime_type"] = "application/json"
    if request.schema is not None:
        config["response_json_schema"] = dict(request.schema)
    if (thinking := _thinking(model, request)) is not None:
        config["thinking_config"] = thinking
    return {**config, **request.extra}


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


class _Answer:
    """One answer while it is put together, from one response or from the chunks of a stream."""

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
        return self._on_delta is not None

    def take(self, response: Any) -> None:
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


def _details(body: Any) -> list[Mapping[str, Any]]:
    """Return the typed details of an error body, `[]` when it has none."""
    error = body.get("error", body) if isinstance(body, Mapping) else {}
    found = error.get("details") if isinstance(error, Mapping) else None
    return [d for d in found if isinstance(d, Mapping)] if isinstance(found, list) else []


def _wish(response: Any, details: list[Mapping[str, Any]]) -> float | None:
    """Return the seconds to wait: google.rpc.RetryInfo in the body, else the header."""
    for detail in details:
        if str(detail.get("@type", "")).endswith("RetryInfo"):
            seconds = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", "")))
            if seconds:
                return float(seconds[1])
    headers = getattr(response, "headers", None)
    return retry_after(headers) if isinstance(headers, Mapping) else None


def _is_garbled(error: Exception) -> bool:
    """Tell a body that was spoilt on its way from a request that the client itself refuses."""
    return isinstance(error, ValueError) or type(error).__name__ == "UnknownApiResponseError"
