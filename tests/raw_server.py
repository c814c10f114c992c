"""A loopback server that sends exactly the bytes it is told to: what adapters must understand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web


@dataclass
class Raw:
    """One answer: a body (JSON values are dumped), or a connection that breaks after it."""

    body: Any = ""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False
    hangs_up: bool = False
    stalls: float = 0.0


class RawServer:
    """Answers each POST with the next of `answers`; the last one is repeated."""

    def __init__(self, *answers: Raw) -> None:
        self.answers = deque(answers)
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections: set[Any] = set()
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> RawServer:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = web.Server(self._answer, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.bodies.append(json.loads(await request.read()))
        self.headers.append(dict(request.headers))
        self.paths.append(request.path_qs)
        self.connections.add(request.transport)
        raw = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(raw.stalls)
        if raw.hangs_up and request.transport is not None:
            request.transport.abort()
        data = raw.body if isinstance(raw.body, str) else json.dumps(raw.body)
        response = web.StreamResponse(
            status=raw.status, headers={"Content-Type": raw.content_type, **raw.headers}
        )
        if raw.breaks:
            response.content_length = len(data.encode()) + 10
        await response.prepare(request)
        await response.write(data.encode())
        if raw.breaks and request.transport is not None:
            request.transport.close()
        return response


def chat(text: str | None, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """Return a chat completion as OpenAI writes it."""
    said = {"role": "assistant", "content": text, **message}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "m-1",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def events(*chunks: Any, done: bool = True) -> Raw:
    """Return an event stream of these chunks."""
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    body = ": a comment\n\n" + "".join(lines) + ("data: [DONE]\n\n" if done else "")
    return Raw(body, content_type="text/event-stream")


def piece(text: str | None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return one chunk of a streamed chat completion."""
    said = {"content": text, **delta}
    return {"model": "m-1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}
