"""A real HTTP server on a loopback port that speaks as OpenAI and Gemini do, by a script."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from rlm.errors import ConfigurationError
from rlm.testing import _gemini_wire, _openai_wire
from rlm.testing._billing import Billed, outcome
from rlm.testing._choice import compiled
from rlm.testing._script import Fault, Script, ServerReply, ServerRequest
from rlm.testing._sending import as_json, refusal, send
from rlm.usage import Price

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

__all__ = ["LoopbackServer", "main"]

_GEMINI = re.compile(r"/models/([^:]+):(generateContent|streamGenerateContent)$")
_SECRET_HEADERS = {"authorization", "x-goog-api-key", "api-key", "x-api-key", "cookie"}
_SECRET_QUERY = re.compile(r"(?<=[?&])(key|api_key|access_token)=[^&]*")
_WIRES: dict[str, ModuleType] = {"openai": _openai_wire, "gemini": _gemini_wire}


class LoopbackServer:
    """A server that answers OpenAI chat completions and Gemini generateContent as scripted.

    `with LoopbackServer(script) as server:` serves from a thread of its own until the block ends.
    The script is a JSON object or list, the path of a JSON file, one string as the reply to
    everything, or a function `(ServerRequest) -> str | ServerReply`, sync or async, which runs on
    the server's loop. `prices` maps models to a Price or to (input, output) in dollars a million
    tokens. Raises ConfigurationError for a script that is not valid.

    `requests` has all requests in order of arrival (none with `keep_requests=False`); `billed` is
    what a provider would charge for them; `errors` what a script function raised, each of which
    was answered with status 500.
    """

    def __init__(
        self,
        script: Script | Mapping[str, Any] | Sequence[Any] | str | Path | Any = "ok",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        prices: Mapping[str, Price | tuple[float, float]] | None = None,
        keep_requests: bool = True,
    ) -> None:
        self._script, self._answer = compiled(script)
        self._host = host
        self._asked_port = port
        self._keep = keep_requests
        self.prices = {
            name: price if isinstance(price, Price) else Price.per_million(*price)
            for name, price in {**self._script.prices, **(prices or {})}.items()
        }
        self.requests: list[ServerRequest] = []
        self.errors: list[Exception] = []
        self.billed = Billed()
        self.count = 0
        self.in_flight = 0
        self.peak_in_flight = 0
        self.port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def openai_url(self) -> str:
        """The `base_url` for OpenAI's clients; it ends in `/v1`."""
        return f"http://{self._host}:{self.port}/v1"

    @property
    def gemini_url(self) -> str:
        """The `base_url` for google-genai, which adds `/v1beta` itself."""
        return f"http://{self._host}:{self.port}"

    def state(self) -> dict[str, Any]:
        """Return the counters as plain JSON values; `GET /state` answers the same."""
        return {
            "requests": self.count,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "billed": {
                "requests": self.billed.requests,
                "usage": self.billed.usage.model_dump(),
                "dollars": str(self.billed.dollars),
            },
        }

    # -- life ------------------------------------------------------------------------------

    def __enter__(self) -> LoopbackServer:
        ready = threading.Event()
        failures: list[OSError] = []

        def run() -> None:
            try:
                asyncio.run(self.serve(on_ready=ready.set))
            except OSError as error:
                failures.append(error)
                ready.set()

        self._thread = threading.Thread(target=run, name="loopback-server", daemon=True)
        self._thread.start()
        ready.wait()
        if failures:
            raise ConfigurationError(
                f"cannot listen on {self._host}:{self._asked_port}: {failures[0]}"
            ) from failures[0]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """End `serve`; may be called from any thread, and more than once."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def serve(self, on_ready: Any = lambda: None) -> None:
        """Serve on the running loop until `stop` is called; open connections are then dropped."""
        from aiohttp import web

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True),
            shutdown_timeout=0.05,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._asked_port, backlog=4096).start()
            self.port = runner.addresses[0][1]
            on_ready()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    # -- one request -----------------------------------------------------------------------

    async def _handle(self, http: BaseRequest) -> StreamResponse:
        gemini = _GEMINI.search(http.path)
        if http.method != "POST" or not (gemini or http.path.endswith("/chat/completions")):
            return self._look_up(http)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            return await self._respond(http, gemini)
        finally:
            self.in_flight -= 1

    async def _respond(self, http: BaseRequest, gemini: re.Match[str] | None) -> StreamResponse:
        wire = _gemini_wire if gemini else _openai_wire
        try:
            asked = self._read(http, gemini, json.loads(await http.content.read()))
        except ValueError as error:
            return as_json(wire.error(400, str(error)), 400)
        if self._keep:
            self.requests.append(asked)
        reply = await self._choose(asked)
        fault = reply.fault
        if fault is not None and fault.kind == "status":
            await asyncio.sleep(reply.delay)
            return refusal(wire, fault)
        out = outcome(asked, reply)
        self.billed.charge(asked.model, out.usage, self.prices)  # before it can get lost
        if reply.delay:
            await asyncio.sleep(reply.delay)
        return await send(http, wire, asked, reply, out)

    def _look_up(self, http: BaseRequest) -> StreamResponse:
        if http.method == "GET" and http.path == "/state":
            return as_json(self.state())
        google = "x-goog-api-key" in http.headers or "/v1beta" in http.path
        api = "gemini" if google else "openai"
        if http.method == "GET" and http.path.endswith("/models"):
            names = list(dict.fromkeys([*self._script.models, *self.prices])) or ["test-model"]
            return as_json(_WIRES[api].model_list(names))
        return as_json(_WIRES[api].error(404, f"no such path: {http.method} {http.path}"), 404)

    def _read(self, http: BaseRequest, gemini: re.Match[str] | None, body: Any) -> ServerRequest:
        if not isinstance(body, dict):
            raise ValueError("the body must be a JSON object")
        api: Literal["gemini", "openai"] = "gemini" if gemini else "openai"
        wire = _WIRES[api]
        model = gemini[1] if gemini else body.get("model")
        if not isinstance(model, str) or not model:
            raise ValueError("you must provide a 'model'")
        self.count += 1
        return ServerRequest(
            number=self.count,
            api=api,
            path=_SECRET_QUERY.sub(r"\1=…", http.path_qs),
            model=model,
            messages=wire.messages(body),
            max_output_tokens=wire.output_cap(body),
            stop=wire.stop(body),
            stream=gemini[2] == "streamGenerateContent" if gemini else bool(body.get("stream")),
            body=body,
            headers={
                name: "…" if name.lower() in _SECRET_HEADERS else value
                for name, value in http.headers.items()
            },
            at=time.time(),
        )

    async def _choose(self, asked: ServerRequest) -> ServerReply:
        try:
            answer = self._answer(asked)
            reply = await answer if inspect.isawaitable(answer) else answer
        except Exception as error:  # a test's own function may raise anything: the test sees it
            self.errors.append(error)
            failed = f"the script raised {type(error).__name__}: {error}"
            return ServerReply(fault=Fault(kind="status", body={"error": {"message": failed}}))
        return ServerReply(reply) if isinstance(reply, str) else reply


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve from this process until SIGTERM or SIGINT; print one JSON line with the addresses."""
    import argparse
    import signal
    import sys

    parser = argparse.ArgumentParser(prog="python -m rlm.testing.server", description=__doc__)
    parser.add_argument("--script", type=Path, help="a JSON script; without one, all is 'ok'")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, help="seconds before each answer")
    chosen = parser.parse_args(arguments)
    script, _ = compiled(chosen.script or "ok")
    if chosen.delay is not None:
        script = script.model_copy(update={"delay": chosen.delay})
    server = LoopbackServer(script, host=chosen.host, port=chosen.port, keep_requests=False)

    def announce() -> None:
        addresses = {"openai_url": server.openai_url, "gemini_url": server.gemini_url}
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()

    async def run() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        await server.serve(announce)

    asyncio.run(run())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
