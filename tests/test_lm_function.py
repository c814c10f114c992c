from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from rlm.errors import ProviderError, RateLimited
from rlm.lm.base import Delta, Message, Reply, Request
from rlm.lm.function import FunctionLM
from rlm.usage import Usage

ASK = Request((Message("user", "Hello"),))


def ask(function: Any, told: list[Delta] | None = None) -> Reply:
    async def main() -> Reply:
        lm = FunctionLM(function)
        try:
            return await lm.complete(ASK, None if told is None else told.append)
        finally:
            await lm.aclose()

    return asyncio.run(main())


def test_a_sync_function_runs_in_a_thread() -> None:
    def shout(request: Request) -> str:
        assert threading.current_thread() is not threading.main_thread()
        return request.prompt.upper()

    told: list[Delta] = []
    assert ask(shout, told) == Reply("HELLO", usage=Usage(input_tokens=37, output_tokens=5))
    assert told == [Delta("text", "HELLO")]
    assert FunctionLM(shout).name == "function/shout"


def test_an_async_function_runs_on_the_loop() -> None:
    async def shout(request: Request) -> Reply:
        await asyncio.sleep(0)
        assert threading.current_thread() is threading.main_thread()
        return Reply("HI", usage=Usage(input_tokens=1, output_tokens=1))

    assert ask(shout).usage == Usage(input_tokens=1, output_tokens=1)


def test_an_object_that_is_called_and_a_lambda_of_a_coroutine_are_functions() -> None:
    class Shout:
        async def __call__(self, request: Request) -> str:
            return "HI"

    assert ask(Shout()).text == "HI"
    assert ask(lambda request: Shout()(request)).text == "HI"
    assert FunctionLM(Shout()).name == "function/Shout"


def test_lesson_35_sync_functions_do_not_wait_for_each_other() -> None:
    barrier = threading.Barrier(32, timeout=10)

    def meet(request: Request) -> str:
        barrier.wait()
        return "hi"

    async def main() -> list[Reply]:
        lm = FunctionLM(meet)
        replies = await asyncio.gather(*(lm.complete(ASK) for _ in range(32)))
        await lm.aclose()
        return replies

    assert len(asyncio.run(main())) == 32


def test_what_it_raises_is_a_provider_error() -> None:
    def fail(request: Request) -> str:
        raise ValueError("no")

    def busy(request: Request) -> str:
        raise RateLimited("slow")

    with pytest.raises(ProviderError, match="ValueError: no") as caught:
        ask(fail)
    assert not caught.value.retryable
    with pytest.raises(RateLimited):
        ask(busy)


def test_what_is_no_reply_is_refused_by_its_type() -> None:
    with pytest.raises(ProviderError, match="returned int: return a str or a Reply"):
        ask(lambda request: 7)
