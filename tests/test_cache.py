"""The cache: one request for equal prompts, whoever asks and however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from rlm.cache import Cache, reply_key
from rlm.errors import ProviderError
from rlm.lm.base import Message, Reply, Request

REQUEST = Request(messages=(Message("user", "q"),), max_output_tokens=10)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("system", "q"),)},
        {"messages": (Message("user", "q"), Message("user", "r"))},
        {"max_output_tokens": 11},
        {"temperature": 0.5},
        {"thinking": "low"},
        {"stop": ("x",)},
        {"schema": {"type": "object"}},
        {"json_mode": True},
        {"sample": 1},
        {"extra": {"top_p": 1}},
    ],
)
def test_everything_that_decides_a_reply_is_in_the_key(change: dict[str, Any]) -> None:
    assert reply_key("m", REQUEST) != reply_key("m", replace(REQUEST, **change))
    assert reply_key("m", REQUEST) != reply_key("n", REQUEST)
    assert reply_key("m", REQUEST) == reply_key("m", replace(REQUEST, stable_messages=1))


def test_equal_requests_under_way_are_one() -> None:
    async def main() -> None:
        cache, sent = Cache(), 0

        async def ask() -> Reply:
            nonlocal sent
            sent += 1
            await asyncio.sleep(0)
            return Reply("a")

        found = await asyncio.gather(*(cache.get("k", ask) for _ in range(50)))
        assert sent == 1 and [reply.text for reply, _ in found] == ["a"] * 50
        assert sum(was_there for _, was_there in found) == 49
        assert (cache.hits, cache.misses) == (49, 1)

    asyncio.run(main())


def test_all_who_wait_share_an_error_and_the_next_asks_anew() -> None:
    async def main() -> None:
        cache, sent = Cache(), 0

        async def ask() -> Reply:
            nonlocal sent
            sent += 1
            await asyncio.sleep(0)
            if sent == 1:
                raise ProviderError("down")
            return Reply("up")

        found = await asyncio.gather(
            *(cache.get("k", ask) for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(each, ProviderError) for each in found) and sent == 1
        assert (await cache.get("k", ask))[0].text == "up"

    asyncio.run(main())


def test_when_the_one_who_asked_is_cancelled_another_asks() -> None:
    async def main() -> None:
        cache, sent = Cache(), 0

        async def ask() -> Reply:
            nonlocal sent
            sent += 1
            await asyncio.sleep(0.01)
            return Reply(f"reply {sent}")

        tasks = [asyncio.create_task(cache.get("k", ask)) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [each[0].text for each in found[1:] if isinstance(each, tuple)] == ["reply 2"] * 3
        assert sent == 2

    asyncio.run(main())


def test_one_who_only_waits_can_be_cancelled_without_harm_to_the_others() -> None:
    async def main() -> None:
        cache = Cache()

        async def ask() -> Reply:
            await asyncio.sleep(0.01)
            return Reply("a")

        tasks = [asyncio.create_task(cache.get("k", ask)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[1], asyncio.CancelledError)
        assert isinstance(found[0], tuple) and isinstance(found[2], tuple)

    asyncio.run(main())
