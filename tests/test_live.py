from __future__ import annotations

import asyncio
import gc
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from runs import cell, final, scripted

import rlm
from rlm import events


@asynccontextmanager
async def endless() -> AsyncIterator[tuple[rlm.AsyncStream, asyncio.Event]]:
    asked = asyncio.Event()

    async def reply(request: rlm.Request) -> str:
        asked.set()
        await asyncio.sleep(3600)
        return ""

    handle = rlm.astream("-> answer", model=scripted(reply))
    await asyncio.wait_for(asked.wait(), 10)
    try:
        yield handle, asked
    finally:
        handle.cancel()
        await handle.result()


def test_an_async_stream_gives_every_event_and_its_result() -> None:
    async def main() -> None:
        handle = rlm.astream("-> answer", model=scripted(cell("x = 1"), final("a")))
        seen = [item async for item in handle if isinstance(item, events.Event)]
        result = await handle.result()
        assert result.value == "a"
        assert seen == result.trace.events
        assert await handle.result() == result

    asyncio.run(main())


def test_a_result_can_be_awaited_without_iterating() -> None:
    async def main() -> Any:
        return (await rlm.astream("-> answer", model=scripted(final("a"))).result()).value

    assert asyncio.run(main()) == "a"


def test_an_async_stream_is_cancelled_at_once_and_told_so() -> None:
    async def main() -> rlm.Result[Any]:
        async with endless() as (handle, _):
            handle.cancel()
            return await asyncio.wait_for(handle.result(), 10)

    result = asyncio.run(main())
    assert (result.status, result.ended_by) == ("aborted", "cancelled")


def test_who_waits_may_be_cancelled_without_the_run() -> None:
    async def main() -> str:
        async with endless() as (handle, _):
            waiting = asyncio.create_task(handle.result())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(handle.result(), 0.01)
            handle.cancel()
            return (await handle.result()).status

    assert asyncio.run(main()) == "aborted"


def test_cancelling_the_task_that_awaits_apredict_ends_the_run() -> None:
    seen: list[Any] = []

    async def main() -> None:
        asked = asyncio.Event()

        async def reply(request: rlm.Request) -> str:
            asked.set()
            await asyncio.sleep(3600)
            return ""

        task = asyncio.create_task(
            rlm.apredict("-> answer", model=scripted(reply), on_event=seen.append)
        )
        await asyncio.wait_for(asked.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen[-1].type == "run_finished"
    assert (seen[-1].status, seen[-1].ended_by) == ("aborted", "cancelled")


def test_a_timeout_around_a_run_ends_it() -> None:
    async def main() -> None:
        async def reply(request: rlm.Request) -> str:
            await asyncio.sleep(3600)
            return ""

        async with asyncio.timeout(0.2):
            await rlm.apredict("-> answer", model=scripted(reply))

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_a_stream_that_is_cancelled_before_it_began_has_a_result() -> None:
    async def main() -> rlm.Result[Any]:
        handle = rlm.astream("-> answer", model=scripted(final("a")))
        handle.cancel()
        assert [item async for item in handle] == []
        return await handle.result()

    assert asyncio.run(main()).status == "aborted"


def test_a_sync_stream_times_out_who_waits_and_not_the_run() -> None:
    go = threading.Event()

    async def reply(request: rlm.Request) -> str:
        await asyncio.to_thread(go.wait, 10)
        return final("late")

    handle = rlm.stream("-> answer", model=scripted(reply))
    with pytest.raises(TimeoutError, match=r"has not ended within 0.01 s"):
        handle.result(timeout=0.01)
    go.set()
    assert handle.result(timeout=20).value == "late"


def test_a_sync_stream_is_cancelled_from_any_thread() -> None:
    asked = threading.Event()

    async def reply(request: rlm.Request) -> str:
        asked.set()
        await asyncio.sleep(3600)
        return ""

    handle = rlm.stream("-> answer", model=scripted(reply))
    asked.wait(10)
    threads = [threading.Thread(target=handle.cancel) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert handle.result(timeout=20).status == "aborted"
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("how", ["handle", "task"])
def test_cancelling_again_and_again_leaves_nothing_behind(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where a sandbox has its folder

    async def reply(request: rlm.Request) -> str:
        await asyncio.sleep(3600)
        return ""

    async def main(after: int) -> None:
        options: Any = {"model": scripted(reply)}
        if how == "handle":
            cancel: Callable[[], Any] = rlm.astream("-> answer", **options).cancel
        else:
            cancel = asyncio.create_task(rlm.apredict("-> answer", **options)).cancel
        for _ in range(after):
            await asyncio.sleep(0)
        for _ in range(20):
            cancel()
            await asyncio.sleep(0)

    for after in (1, 2, 5, 20):
        asyncio.run(main(after))
    gc.collect()  # a process that nobody waited for is a warning, and that an error here
    assert not list(tmp_path.iterdir())


def test_a_sync_stream_works_under_a_running_loop() -> None:
    async def main() -> Any:
        return rlm.stream("-> answer", model=scripted(final("a"))).result().value

    assert asyncio.run(main()) == "a"


def test_the_iteration_ends_and_can_be_begun_again() -> None:
    handle = rlm.stream("-> answer", model=scripted(final("a")))
    first = list(handle)
    assert isinstance(first[-1], events.RunFinished)
    assert list(handle) == []
