"""Work in threads that is never left half done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["whole"]

T = TypeVar("T")


async def whole(function: Callable[..., T], *args: Any) -> T:
    """Run a function in a thread to its end, also when this is cancelled meanwhile.

    What it then returns to nobody is closed.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):  # it is raised below
                await asyncio.wait([running])
        if not running.cancelled() and running.exception() is None:
            close = getattr(running.result(), "close", None)
            if close is not None:
                close()
        raise
