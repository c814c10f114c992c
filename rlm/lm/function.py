"""A plain function as a model."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from rlm import tokens
from rlm.errors import ProviderError, boundary
from rlm.lm.base import Delta, Reply
from rlm.usage import Usage

if TYPE_CHECKING:
    from rlm.lm.base import LMFunction, OnDelta, Request

__all__ = ["FunctionLM"]

MOST_THREADS = 64


class FunctionLM:
    """A function of the request that returns a string or a Reply.

    An async one runs on the loop, a sync one in a thread. A string counts as many tokens as it
    can have at most; a Reply says itself what was used. What it raises is a ProviderError that
    is not retried, unless the function raises a ProviderError of its own.
    """

    def __init__(self, function: LMFunction, name: str | None = None) -> None:
        self._function = function
        called = getattr(function, "__name__", type(function).__name__)
        self._name = name or f"function/{called}"
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - not whether, but what it is
        )
        self._threads: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"FunctionLM({self._name!r})"

    @property
    def name(self) -> str:
        """`function/` and the name of the function, or the name that was given."""
        return self._name

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Call the function; the whole text is one delta."""
        with boundary(ProviderError, self._name):
            said: Any = self._function(request) if self._is_async else await self._run(request)
            if inspect.isawaitable(said):
                said = await said
        reply = _worded(request, said) if isinstance(said, str) else said
        if not isinstance(reply, Reply):
            message = f"{self._name} returned {type(said).__name__}: return a str or a Reply"
            raise ProviderError(message, model=self._name)
        if on_delta is not None:
            on_delta(Delta("text", reply.text))
        return reply

    async def _run(self, request: Request) -> Any:
        """Call a sync function in a thread of our own: the loop's default pool has a handful."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="rlm-lm")
        call = partial(contextvars.copy_context().run, self._function, request)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def aclose(self) -> None:
        """Let the threads go; calls that are running end by themselves."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)


def _worded(request: Request, text: str) -> Reply:
    usage = Usage(
        input_tokens=tokens.bound_messages(request.messages), output_tokens=tokens.bound(text)
    )
    return Reply(text=text, usage=usage)
