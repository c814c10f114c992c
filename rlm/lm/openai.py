"""Models behind OpenAI's chat completions: OpenAI itself and every compatible server."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rlm.errors import ConfigurationError, ProviderError
from rlm.lm._chat import Answer, EventLines, error_in, messages, response_format, unsupported
from rlm.lm._classify import refusal, retry_after
from rlm.lm._http import Connections, Deadline, load_aiohttp, proxy_for, unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse, ClientSession

    from rlm.lm.base import OnDelta, Reply, Request

__all__ = ["OpenAILM"]

OWN_URL = "https://api.openai.com/v1"
OWN_HOST = "api.openai.com"
CAPS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
HINTS = ("stream_options", "response_format", "reasoning_effort")
"""Parameters that a server may lack: they are left out once it says so."""
_JSON = json.JSONEncoder(ensure_ascii=False)


class OpenAILM:
    """A model that is asked by OpenAI's chat completions, on aiohttp and plain JSON.

    `name` may carry the prefix `openai/`, which the wire does not. `base_url` is another
    compatible server (default: the variable OPENAI_BASE_URL, then OpenAI's own), `api_key`
    defaults to the variable OPENAI_API_KEY; only OpenAI's own host insists on one. Times are in
    seconds; `timeout=None` leaves the clock to the caller. Adapters that are given the same
    `connections` share them.

    Raises ConfigurationError for a missing key or an address that is not http.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float | None = 600,
        connect_timeout: float = 10,
        headers: Mapping[str, str] | None = None,
        connections: Connections | None = None,
    ) -> None:
        base = (base_url or os.environ.get("OPENAI_BASE_URL") or OWN_URL).rstrip("/")
        host = _host(base)
        key = api_key or os.environ.get("OPENAI_API_KEY")
        if host == OWN_HOST and not key:
            message = f"{name}: no key for {OWN_HOST}: set OPENAI_API_KEY, or give api_key="
            raise ConfigurationError(message)
        self._name = name
        self._model = name.removeprefix("openai/")
        self._url = f"{base}/chat/completions"
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        if key:
            self._headers.setdefault("Authorization", f"Bearer {key}")
        self._secrets = tuple(filter(None, (key, *(headers or {}).values())))
        self._proxy = proxy_for(base)
        self._cap = "max_completion_tokens" if host == OWN_HOST else "max_tokens"
        self._lacking: set[str] = set()
        self._cache_control = host == "openrouter.ai" and "anthropic/" in self._model
        self._connections = connections or Connections(connect_timeout)

    def __repr__(self) -> str:
        return f"OpenAILM({self._name!r})"

    @property
    def name(self) -> str:
        """The full name, with its prefix."""
        return self._name

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Answer the request, streaming pieces to `on_delta` when one is given."""
        aiohttp = await load_aiohttp()
        async with Deadline(self._name, self._timeout), self._connections.use() as session:
            try:
                return await self._ask(session, self._body(request, on_delta is not None), on_delta)
            except aiohttp.ClientError as error:
                raise unreachable(self._name, error) from error
            except ConnectionError as error:
                raise unreachable(self._name, error) from error

    async def aclose(self) -> None:
        """Release the connections of this loop; requests in flight keep theirs to the end."""
        await self._connections.aclose()

    def _body(self, request: Request, streaming: bool) -> dict[str, Any]:
        """Return the request as the wire wants it."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages(request, cache_control=self._cache_control),
            self._cap: request.max_output_tokens,
        }
        if streaming:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.thinking is not None:
            body["reasoning_effort"] = request.thinking
        if request.stop:
            body["stop"] = list(request.stop)
        if (wanted := response_format(request)) is not None:
            body["response_format"] = wanted
        for name in self._lacking:
            body.pop(name, None)
        body.update(request.extra)
        return body

    async def _ask(
        self, session: ClientSession, body: dict[str, Any], on_delta: OnDelta | None
    ) -> Reply:
        """Send, and send again while the server refuses a parameter that can be done without."""
        tried: set[str] = set()
        while True:
            async with session.post(
                self._url,
                data=_JSON.encode(body).encode("utf-8", "replace"),
                headers=self._headers,
                proxy=self._proxy,
                allow_redirects=False,  # a key goes to nobody but the host that was named
            ) as response:
                if response.status == 200:
                    return await self._read(response, on_delta)
                text = await response.text(errors="replace")
                if not self._do_without(body, response.status, text, tried):
                    raise self._refused(response, text)

    def _do_without(self, body: dict[str, Any], status: int, text: str, tried: set[str]) -> bool:
        """Take out or rename what the server does not know, and remember it for later requests."""
        name = unsupported(body, status, text, (*CAPS, *HINTS))
        if not name or name in tried:  # each is tried once: both caps may be refused
            return False
        value = body.pop(name)
        tried.add(name)
        if name in CAPS:
            self._cap = CAPS[name]
            tried.add(self._cap)
            body[self._cap] = value
        else:
            self._lacking.add(name)
        return True

    def _refused(self, response: ClientResponse, text: str) -> ProviderError:
        wait = retry_after(response.headers)
        facts: dict[str, Any] = {"retry_after": wait, "secrets": self._secrets}
        try:
            said = error_in(json.loads(text), self._name, status=response.status, **facts)
        except ValueError:
            said = None
        return said or refusal(self._name, response.status, text or "", **facts)

    async def _read(self, response: ClientResponse, on_delta: OnDelta | None) -> Reply:
        answer = Answer(self._name, on_delta, self._secrets)
        if response.content_type == "text/event-stream":
            await self._read_events(response, answer)
        else:
            answer.take(self._json(await response.read()))
        return answer.reply()

    async def _read_events(self, response: ClientResponse, answer: Answer) -> None:
        import aiohttp

        lines = EventLines()
        try:
            async for piece in response.content.iter_any():
                for data in lines.feed(piece):
                    if data == b"[DONE]":
                        return
                    answer.take(self._json(data))
        except (aiohttp.ClientError, ConnectionError) as error:
            raise answer.cut_off(f"{type(error).__name__}: {error}") from error
        if not answer.finished:
            raise answer.cut_off("the stream ended without a finish reason")

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            message = f"{self._name}: the answer is not JSON: {error}"
            raise ProviderError(message, model=self._name, retryable=True) from error


def _host(base: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"base_url {base!r} is no address: give one such as 'http://localhost:8000/v1'"
        raise ConfigurationError(message)
    return parts.hostname
