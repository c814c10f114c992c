"""A model that says what a test wrote down, and complains when it is asked anything else."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from types import TracebackType

from rlm.errors import ProviderError
from rlm.lm.base import Delta, OnDelta, Reply, Request
from rlm.usage import Price, Usage

__all__ = ["ScriptedLM", "ScriptedReply"]

ScriptedReply = str | Reply | Exception | Callable[[Request], str | Reply | Awaitable[str | Reply]]
"""One reply: a text, a whole Reply, an error to raise, or a function of the request."""

_ANY = ""  # the route that every request takes


class ScriptedLM:
    """A model with replies in order, for tests without a provider.

    `replies` is a list, or routes: a mapping from a text that the transcript must contain to the
    list of replies for such requests (the first route that fits and has replies left is taken;
    `""` fits all). A reply that is an exception is raised. `usage` is what a reply without its
    own reports, `price` makes `costs`, `window` is how many tokens it reads. Raises ProviderError,
    not retryable, for a request that has no reply. As a context manager it checks at the end that
    all replies were asked for. Tasks and threads may share one.
    """

    def __init__(
        self,
        replies: Sequence[ScriptedReply] | Mapping[str, Sequence[ScriptedReply]],
        *,
        name: str = "scripted/model",
        usage: Usage | None = None,
        price: Price | None = None,
        window: int | None = None,
        delay: float = 0,
    ) -> None:
        routes = replies if isinstance(replies, Mapping) else {_ANY: replies}
        self._routes = {route: list(listed) for route, listed in routes.items()}
        self._next = dict.fromkeys(self._routes, 0)
        self._lock = threading.Lock()
        self._name = name
        self._usage = usage
        self._delay = delay
        self.price = price
        self.window = window
        self.requests: list[Request] = []
        self.usages: list[Usage | None] = []
        self.closed = 0

    @property
    def name(self) -> str:
        """The full name, as in `"scripted/model"`."""
        return self._name

    @property
    def prompts(self) -> list[str]:
        """The last user message of each request, in the order in which they came."""
        return [request.prompt for request in self.requests]

    @property
    def costs(self) -> list[Decimal | None]:
        """What each answered request cost, in dollars; None where usage or price is unknown."""
        return [self.price.cost(used) if self.price and used else None for used in self.usages]

    @property
    def left(self) -> int:
        """How many replies were not asked for yet."""
        return sum(len(listed) - self._next[route] for route, listed in self._routes.items())

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Give the next reply that is scripted for such a request, after `delay` seconds."""
        scripted = self._take(request)
        if self._delay:
            await asyncio.sleep(self._delay)
        if isinstance(scripted, Exception):
            raise scripted
        if callable(scripted):
            answer = scripted(request)
            scripted = await answer if inspect.isawaitable(answer) else answer
        reply = scripted if isinstance(scripted, Reply) else self._reply(scripted)
        self.usages.append(reply.usage)
        if on_delta is not None:
            _stream(reply, on_delta)
        return reply

    async def aclose(self) -> None:
        """Count the closing; there is nothing to release."""
        self.closed += 1

    def assert_done(self) -> None:
        """Raise AssertionError when replies are left that nobody asked for."""
        if self.left:
            rests = [
                f"{route!r}: " * (route != _ANY) + repr(listed[self._next[route]])[:200]
                for route, listed in self._routes.items()
                if self._next[route] < len(listed)
            ]
            raise AssertionError(
                f"{self._name} was asked {len(self.requests)} times and has {self.left} replies "
                f"left; the next: {'; '.join(rests)}"
            )

    def __enter__(self) -> ScriptedLM:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.assert_done()

    def _take(self, request: Request) -> ScriptedReply:
        with self._lock:
            self.requests.append(request)
            for route, listed in self._routes.items():
                at = self._next[route]
                if at < len(listed) and any(route in m.content for m in request.messages):
                    self._next[route] = at + 1
                    return listed[at]
        total = sum(map(len, self._routes.values()))
        raise ProviderError(
            f"{self._name} has no reply for request {len(self.requests)}: it had {total}, "
            f"{self.left} are left for other requests; the last message is "
            f"{request.prompt[-500:]!r}",
            model=self._name,
        )

    def _reply(self, text: str) -> Reply:
        return Reply(text, usage=self._usage, model=self._name)


def _stream(reply: Reply, on_delta: OnDelta) -> None:
    if reply.reasoning:
        on_delta(Delta("reasoning", reply.reasoning))
    for at in range(0, len(reply.text), 40):
        on_delta(Delta("text", reply.text[at : at + 40]))
