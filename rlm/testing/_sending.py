"""How an outcome, or a fault in place of it, is put on a connection."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

    from rlm.testing._billing import Outcome
    from rlm.testing._script import Fault, ServerReply, ServerRequest

__all__ = ["as_json", "refusal", "send"]

_PIECES = 32  # a streamed text comes in at most so many pieces
_SMALLEST = 12  # characters of a piece


def as_json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> StreamResponse:
    """Return a response with a JSON body; a string is sent as it is."""
    from aiohttp.web import Response

    text = body if isinstance(body, str) else json.dumps(body)
    return Response(
        body=text.encode(), status=status, headers=headers, content_type="application/json"
    )


def refusal(wire: ModuleType, fault: Fault) -> StreamResponse:
    """Return the answer of a provider that refuses a request."""
    after = fault.retry_after
    headers = {"Retry-After": f"{after:g}"} if after is not None else None
    body = fault.body
    if body is None:
        body = wire.error(fault.status, f"scripted fault: HTTP {fault.status}", after)
    return as_json(body, fault.status, headers)


async def send(
    http: BaseRequest, wire: ModuleType, asked: ServerRequest, reply: ServerReply, out: Outcome
) -> StreamResponse:
    """Send the outcome as the request wants it, streamed or whole, spoilt by the reply's fault."""
    kind = reply.fault.kind if reply.fault else None
    if kind == "stall" and reply.fault:
        await asyncio.sleep(reply.fault.seconds)
    if kind in ("stall", "reset"):
        return _reset(http)
    if asked.stream:
        events = wire.events(out, _pieces(out), asked.body)
        return await _stream(http, _spoilt_events(events, kind, wire), reply.pause, kind == "cut")
    if kind == "stream_error":
        return as_json(wire.error(502, "scripted fault: the provider failed while it answered"))
    body = json.dumps(wire.whole(out)).encode()
    if kind == "cut":
        return await _cut(http, body)
    return as_json(body[: len(body) // 2].decode() if kind == "malformed" else body.decode())


def _pieces(out: Outcome) -> list[tuple[str, str]]:
    found = []
    for kind, text in (("reasoning", out.reasoning), ("text", out.text)):
        size = max(_SMALLEST, -(-len(text) // _PIECES))
        found += [(kind, text[at : at + size]) for at in range(0, len(text), size)]
    return found


def _spoilt_events(events: list[bytes], kind: str | None, wire: ModuleType) -> list[bytes]:
    half = events[: max(1, len(events) // 2)]
    if kind == "cut":
        return half
    if kind == "malformed":
        return [*half, events[0][: len(events[0]) // 2] + b"\n\n"]
    if kind == "stream_error":
        failed = wire.error(502, "scripted fault: the provider failed while it answered")
        return [*half, f"data: {json.dumps(failed)}\n\n".encode()]
    return events


async def _stream(
    http: BaseRequest, events: list[bytes], pause: float, cut: bool
) -> StreamResponse:
    from aiohttp.web import StreamResponse

    response = StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(http)
    for event in events:
        await response.write(event)
        await asyncio.sleep(pause)
    if cut:
        _hang_up(http)
    else:
        await response.write_eof()
    return response


async def _cut(http: BaseRequest, body: bytes) -> StreamResponse:
    """Announce the whole body and send half of it."""
    from aiohttp.web import StreamResponse

    response = StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(http)
    await response.write(body[: len(body) // 2])
    _hang_up(http)
    return response


def _hang_up(http: BaseRequest) -> None:
    if http.transport is not None:
        http.transport.close()  # sends what is buffered, then ends the connection


def _reset(http: BaseRequest) -> StreamResponse:
    """End the connection with a TCP reset; what is returned goes nowhere."""
    transport = http.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return as_json("")
