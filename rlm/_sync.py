"""The whole sync story: run a coroutine to its end, from wherever the caller stands."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_sync"]

T = TypeVar("T")


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and return its result, also in a notebook or under a running loop.

    Where a loop already runs in this thread the coroutine gets a thread and a loop of its own,
    and this thread waits. Ctrl-C cancels the coroutine, which ends in good order.
    """
    outcome: list[T] = []

    async def body() -> None:  # its own result would be written out by asyncio, in a repr
        outcome.append(await work)

    if _is_running():
        _in_a_thread(body())
    else:
        asyncio.run(body())
    return outcome[0]


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_a_thread(work: Coroutine[Any, Any, None]) -> None:
    failure: list[BaseException] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []
    stopped, ended = threading.Event(), threading.Event()
    context = contextvars.copy_context()

    async def main() -> None:
        task = asyncio.current_task()
        running.append((asyncio.get_running_loop(), task))
        if stopped.is_set() and task is not None:
            task.cancel()
        await work

    def body() -> None:
        try:
            context.run(asyncio.run, main())
        except BaseException as error:
            failure.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=body, name="rlm", daemon=True)
    thread.start()
    try:
        ended.wait()  # a join that was interrupted takes the thread for ended
    except BaseException:  # Ctrl-C in a notebook: what nobody waits for must not go on spending
        stopped.set()
        for loop, task in running:
            if task is not None:
                with contextlib.suppress(RuntimeError):  # it has ended by itself
                    loop.call_soon_threadsafe(task.cancel)
        ended.wait()
        raise
    thread.join()
    if failure:
        raise failure[0]
