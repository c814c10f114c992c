"""Gemini models, by Google's own async client."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlm.errors import ConfigurationError, ProviderError, RLMError
from rlm.lm._classify import brief, refusal, retry_after
from rlm.lm._gemini import Answer, config, contents
from rlm.lm._http import Deadline, PerLoop, unreachable
from rlm.lm.base import OnDelta, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["GoogleLM"]

KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


class GoogleLM:
    """A Gemini model, asked by google-genai's async client.

    `name` may carry the prefix `gemini/` or `google/`, which the wire does not. `api_key` defaults
    to the variable GEMINI_API_KEY, then GOOGLE_API_KEY; with a `base_url` of one's own none is
    needed. `timeout` is in seconds. The client is loaded at the first request, in a thread.

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
            "contents": contents(request),
            "config": config(self._model, request),
        }
        if not self._loaded:
            await asyncio.to_thread(self._load)
        async with Deadline(self._name, self._timeout), self._clients.use() as client:
            answer = Answer(self._name, on_delta, (self._key,))
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

    async def _ask(self, models: Any, asked: dict[str, Any], answer: Answer) -> None:
        if answer.streams:
            async for chunk in await models.generate_content_stream(**asked):
                answer.take(chunk)
        else:
            answer.take(await models.generate_content(**asked))

    async def _classified(self, asking: Awaitable[None], answer: Answer) -> None:
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

    def _refused(self, error: Any, answer: Answer) -> ProviderError:
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
