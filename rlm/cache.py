"""Replies of a run by what decides them, each asked for once even when many ask at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from rlm.lm.base import Reply, Request

__all__ = ["Cache", "reply_key"]


def reply_key(model: str, request: Request) -> str:
    """Return the SHA-256 of everything that decides a reply, and of `sample`, which separates
    replies that are wanted more than once."""
    decides: list[Any] = [
        model,
        [(m.role, m.content) for m in request.messages],
        request.max_output_tokens,
        request.temperature,
        request.thinking,
        request.stop,
        request.schema,
        request.json_mode,
        request.sample,
        request.extra,
    ]
    text = _CANONICAL.encode(decides)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, default=str, ensure_ascii=False)


class Cache:
    """The replies of one run; equal requests under way at the same time become one.

    `hits` counts replies that cost nothing, those that waited for an equal request included.
    """

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._replies: dict[str, Reply] = {}
        self._under_way: dict[str, asyncio.Future[Reply]] = {}

    async def get(self, key: str, ask: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        """Return the reply under a key and whether it was there; else ask for it, once.

        All who wait for one request share its reply and its error; when the one who asked is
        cancelled, the next of them asks.
        """
        while True:
            if key in self._replies:
                self.hits += 1
                return self._replies[key], True
            under_way = self._under_way.get(key)
            if under_way is None:
                return await self._ask(key, ask), False
            try:
                reply = await asyncio.shield(under_way)
            except asyncio.CancelledError:
                if under_way.cancelled() and not _being_cancelled():
                    continue
                raise
            self.hits += 1
            return reply, True

    async def _ask(self, key: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        self.misses += 1
        promise = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            reply = await ask()
        except asyncio.CancelledError:
            promise.cancel()
            raise
        except BaseException as error:
            promise.set_exception(error)
            promise.exception()  # it is raised here as well: nobody else need have looked
            raise
        else:
            if reply.finish == "stop":  # one that was cut off may come whole with more room
                self._replies[key] = reply
            promise.set_result(reply)
            return reply
        finally:
            del self._under_way[key]


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
