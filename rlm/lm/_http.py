"""Connections and clocks: what every adapter that speaks HTTP needs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from rlm.errors import ProviderError, ProviderTimeout

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Connections", "Deadline", "PerLoop", "load_aiohttp", "proxy_for", "unreachable"]

T = TypeVar("T")


async def load_aiohttp() -> Any:
    """Return aiohttp; the first time it is imported in a thread.

    That takes a tenth of a second, half of it for certificates, and a sandbox starts meanwhile.
    """
    if not _aiohttp:  # sys.modules has it before its import has come to an end
        _aiohttp.append(await asyncio.to_thread(import_module, "aiohttp"))
    return _aiohttp[0]


_aiohttp: list[Any] = []


class _Lease(Generic[T]):
    """One opened resource and how many requests are using it."""

    __slots__ = ("resource", "retired", "users")

    def __init__(self, resource: T) -> None:
        self.resource = resource
        self.users = 0
        self.retired = False


class _Use(Generic[T]):
    """One request's use of a resource; the last use of a retired one closes it."""

    __slots__ = ("_close", "_lease")

    def __init__(self, lease: _Lease[T], close: Callable[[T], Awaitable[None]]) -> None:
        self._lease = lease
        self._close = close

    async def __aenter__(self) -> T:
        self._lease.users += 1
        return self._lease.resource

    async def __aexit__(self, *_: object) -> None:
        self._lease.users -= 1
        if self._lease.retired and not self._lease.users:
            await self._close(self._lease.resource)


class PerLoop(Generic[T]):
    """A resource that belongs to an event loop: opened at first use, one for each loop.

    `aclose` retires the one of the running loop. A request in flight keeps it until it is done,
    the next request opens a new one: closing after one run never breaks another.
    """

    def __init__(self, open: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._open = open
        self._close = close
        self._leases: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lease[T]] = WeakKeyDictionary()
        self._lock = threading.Lock()  # loops of several threads share one adapter

    def use(self) -> _Use[T]:
        """Lend the resource of the running loop: `async with resources.use() as resource`."""
        loop = asyncio.get_running_loop()
        lease = self._leases.get(loop)
        if lease is None:
            with self._lock:
                lease = self._leases[loop] = _Lease(self._open())
        return _Use(lease, self._close)

    async def aclose(self) -> None:
        """Retire the resource of the running loop."""
        with self._lock:
            lease = self._leases.pop(asyncio.get_running_loop(), None)
        if lease is None:
            return
        lease.retired = True
        if not lease.users:
            await self._close(lease.resource)


class Connections(PerLoop["ClientSession"]):
    """Kept-alive HTTP connections, shared by all adapters that are given the same object.

    Connections are kept apart by host; the number in flight is the run's business and has no
    limit here. `connect_timeout` is in seconds.
    """

    def __init__(self, connect_timeout: float = 10) -> None:
        self._connect_timeout = connect_timeout
        super().__init__(self._session, _close_session)

    def _session(self) -> ClientSession:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            # the time in all is our own clock's: see Deadline
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )


async def _close_session(session: ClientSession) -> None:
    await session.close()


class Deadline:
    """A number of seconds by our own clock, after which ProviderTimeout is raised.

    A class, where a generator would do, because each request enters two of them.
    """

    __slots__ = ("_model", "_seconds", "_timeout")

    def __init__(self, model: str, seconds: float | None) -> None:
        self._model = model
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise self._named() from late
        if isinstance(error, TimeoutError):  # of a client's own clock
            raise self._named() from error

    def _named(self) -> ProviderTimeout:
        within = f" within {self._seconds:g} seconds" if self._seconds else " in time"
        message = f"{self._model}: no answer{within}; what was sent may be billed"
        return ProviderTimeout(message, model=self._model)


def unreachable(model: str, error: Exception) -> ProviderError:
    """Return the error for a connection that could not be made or that broke."""
    import aiohttp

    connecting = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    reason = "cannot connect" if connecting else "the connection broke"
    message = f"{model}: {reason}: {type(error).__name__}: {error}"
    return ProviderError(message, model=model, retryable=True, may_be_billed=not connecting)


def proxy_for(url: str) -> str | None:
    """Return the proxy that the machine's settings name for this address, if any."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
