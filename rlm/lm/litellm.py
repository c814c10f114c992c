"""Models of every other provider, by litellm."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rlm.errors import ProviderError, ProviderTimeout, RLMError
from rlm.lm._chat import Answer, messages, response_format
from rlm.lm._classify import brief, refusal, retry_after
from rlm.lm._http import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm.lm.base import OnDelta, Reply, Request

__all__ = ["LiteLLM"]

_PRICES = "LITELLM_LOCAL_MODEL_COST_MAP"
_loading = threading.Lock()
_asking: ContextVar[bool] = ContextVar("rlm_asking_litellm", default=False)
"""Whether a request of ours is under way: what we change in litellm holds for these alone."""
_UNSURE = ("APIConnectionError", "InternalServerError", "APIError")
_MEANINGS = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_filter",
    "AuthenticationError": "invalid_api_key",
}


class LiteLLM:
    """A model by litellm's name for it, as in `"anthropic/claude-sonnet-4-5"`.

    The key comes from `api_key` or from the variable that litellm documents for the provider.
    `timeout` is in seconds; `extra` goes with each request. litellm takes two seconds to import:
    that happens at the first request, in a thread, without its network request, and with its own
    retries, caching and callbacks off.
    """

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 600,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._extra = dict(extra or {})
        self._supported: frozenset[str] | None = None
        self._litellm: Any = None

    def __repr__(self) -> str:
        return f"LiteLLM({self._name!r})"

    @property
    def name(self) -> str:
        """The full name, as litellm knows it."""
        return self._name

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Answer the request, streaming pieces to `on_delta` when one is given."""
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(_load)
        litellm = self._litellm
        async with Deadline(self._name, self._timeout):
            answer = Answer(self._name, on_delta, self._secrets)
            mark = _asking.set(True)
            try:
                await self._ask(litellm, self._parameters(litellm, request), answer)
            except RLMError:
                raise
            except Exception as error:
                raise self._classified(error, answer) from error
            finally:
                _asking.reset(mark)
            return answer.reply()

    async def aclose(self) -> None:
        """Leave the connections to litellm: it keeps them for the whole process."""

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self._key,) if self._key else ()

    def _parameters(self, litellm: Any, request: Request) -> dict[str, Any]:
        anthropic = "claude" in self._name or self._name.startswith("anthropic/")
        asked: dict[str, Any] = {
            "model": self._name,
            "messages": messages(request, cache_control=anthropic),
            "max_tokens": request.max_output_tokens,
            "temperature": request.temperature,
            "stop": list(request.stop) or None,
            "api_key": self._key,
            "api_base": self._base_url,
            "reasoning_effort": self._if_known(litellm, "reasoning_effort", request.thinking),
            "response_format": self._if_known(litellm, "response_format", response_format(request)),
        }
        given = {name: value for name, value in asked.items() if value is not None}
        # retries, caching and the hard timeout are made above us, once
        own = {"num_retries": 0, "max_retries": 0, "caching": False, "timeout": self._timeout}
        return {**given, **own, **self._extra, **request.extra}

    def _if_known(self, litellm: Any, parameter: str, value: Any) -> Any:
        """Return the value if the provider has the parameter: these two are wishes."""
        if value is None:
            return None
        if self._supported is None:
            model, provider, *_ = litellm.get_llm_provider(model=self._name)
            found = litellm.get_supported_openai_params(model=model, custom_llm_provider=provider)
            self._supported = frozenset(found or ())
        return value if parameter in self._supported else None

    async def _ask(self, litellm: Any, parameters: dict[str, Any], answer: Answer) -> None:
        if not answer.streams:
            response = await litellm.acompletion(**parameters)
            answer.take(response.model_dump())
            return
        parameters |= {"stream": True, "stream_options": {"include_usage": True}}
        stream = await litellm.acompletion(**parameters)
        async for chunk in stream:
            answer.take(chunk.model_dump())
        # litellm closes a stream that broke off with a "stop" of its own making
        said = getattr(stream, "received_finish_reason", True)
        said = said or getattr(stream, "intermittent_finish_reason", None)
        if not (answer.finished and said):
            raise answer.cut_off("the stream ended without a finish reason")

    def _classified(self, error: Exception, answer: Answer) -> ProviderError:
        """Return the named error for one of litellm's."""
        kind = type(error).__name__
        status = getattr(error, "status_code", None)
        refused = isinstance(status, int) and status >= 400  # 200 is an answer nobody can read
        text = brief(f"{kind}: {getattr(error, 'message', None) or error}", self._secrets)
        if answer.began:
            return answer.cut_off(text)
        if kind == "Timeout":
            return ProviderTimeout(f"{self._name}: {text}", model=self._name)
        headers = getattr(error, "litellm_response_headers", None)
        found = refusal(
            self._name,
            status if refused else None,
            text,
            code=_MEANINGS.get(kind, ""),
            retry_after=retry_after(headers or {}),
            secrets=self._secrets,
        )
        # litellm gives 500 to everything that broke without an answer: work may have been done
        found.may_be_billed = not refused or kind in _UNSURE
        return found


def _load() -> Any:
    """Import litellm, which would ask the network for its price list, and silence it."""
    with _loading:
        before = os.environ.get(_PRICES)
        os.environ[_PRICES] = "True"
        try:
            import litellm
        finally:
            if before is None:
                del os.environ[_PRICES]
            else:
                os.environ[_PRICES] = before
        litellm.suppress_debug_info = True
        litellm.telemetry = False
        litellm.num_retries = None
        litellm.cache = None
        # said once by pydantic of litellm's own types, and of no use to anybody
        warnings.filterwarnings("ignore", ".*is using the `ReadOnly` qualifier", UserWarning)
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
        _send_once()
        return litellm


def _send_once() -> None:
    """Keep litellm from sending a request again by itself when its connection broke.

    There is no setting for it. The first sending may be billed, so that nobody but the run, which
    keeps the accounts, may send a second.
    """
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    again = AsyncHTTPHandler.single_connection_post_request
    if again.__module__ == __name__:
        return

    async def once(self: Any, *args: Any, **options: Any) -> Any:
        broke = sys.exc_info()[1]
        if _asking.get() and broke is not None:
            raise broke
        return await again(self, *args, **options)

    AsyncHTTPHandler.single_connection_post_request = once
