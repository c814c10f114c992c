from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    ConfigurationError,
    ProviderError,
    ProviderTimeout,
    RateLimited,
)
from rlm.lm.base import LM, Message, OnDelta, Reply, Request
from rlm.lm.resilient import Retries, ask

ASK = Request((Message("user", "Hello"),))
BUSY = ProviderError("busy", retryable=True, may_be_billed=False)


class Script:
    """A model that plays a list of errors and texts, the last one for ever."""

    def __init__(self, name: str, *steps: Exception | str) -> None:
        self._name = name
        self.steps = list(steps)
        self.asked = 0

    @property
    def name(self) -> str:
        return self._name

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        self.asked += 1
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if step == "…":
            await asyncio.sleep(60)
        return Reply(step)

    async def aclose(self) -> None:
        return None


@dataclass
class Notes:
    told: list[tuple[Any, ...]] = field(default_factory=list)

    def lost(self, model: str, error: ProviderError, may_be_billed: bool) -> None:
        self.told.append(("lost", model, may_be_billed))

    def retrying(self, model: str, error: ProviderError, wait: float, following: str) -> None:
        self.told.append(("retrying", model, wait, following))


def run(
    *lms: LM, draw: Callable[[], float] = lambda: 1.0, **options: Any
) -> tuple[str, Notes, list[float]]:
    notes, slept = Notes(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def main() -> Reply:
        retries = Retries(draw=draw, sleep=sleep, **options)
        return await ask(lms, ASK, retries=retries, observer=notes)

    try:
        return asyncio.run(main()).text, notes, slept
    except ProviderError as error:
        return f"{type(error).__name__}: {error}", notes, slept


def test_an_answer_at_once_tells_nobody_anything() -> None:
    assert run(Script("a", "hi")) == ("hi", Notes(), [])


def test_what_is_retryable_is_retried_with_growing_waits() -> None:
    text, notes, slept = run(Script("a", BUSY, BUSY, BUSY, "hi"))
    assert text == "hi"
    assert slept == [0.5, 1.0, 2.0]
    assert notes.told[:2] == [("lost", "a", False), ("retrying", "a", 0.5, "a")]


def test_what_is_not_retryable_is_not_retried() -> None:
    lm = Script("a", AuthenticationFailed("no"))
    assert run(lm)[0] == "AuthenticationFailed: no"
    assert lm.asked == 1


def test_attempts_have_an_end() -> None:
    lm = Script("a", BUSY)
    text, notes, _ = run(lm, attempts=3)
    assert text == "ProviderError: busy"
    assert lm.asked == 3
    assert [told[0] for told in notes.told].count("lost") == 3


@given(st.integers(1, 30), st.floats(0, 1, exclude_max=True), st.floats(0, 100))
def test_waits_stay_between_what_is_asked_and_the_cap(n: int, drawn: float, wish: float) -> None:
    retries = Retries(attempts=99, draw=lambda: drawn)
    plain = retries.wait(n, BUSY)
    assert plain is not None and 0 <= plain <= min(30, 0.5 * 2 ** (n - 1))
    wished = retries.wait(n, RateLimited("slow", retry_after=wish))
    if wish > 30:
        assert wished is None
    else:
        assert wished is not None and wish <= wished <= wish + 0.5


def test_callers_who_failed_together_do_not_return_together() -> None:
    retries = Retries(draw=random.Random(1).random)
    waits = {retries.wait(1, RateLimited("slow", retry_after=2)) for _ in range(64)}
    assert len(waits) == 64


def test_retry_after_is_honoured() -> None:
    slept = run(Script("a", RateLimited("slow", retry_after=7), "hi"), draw=lambda: 0.0)[2]
    assert slept == [7.0]


def test_a_pause_longer_than_the_cap_goes_to_the_fallback() -> None:
    text, notes, slept = run(Script("a", RateLimited("slow", retry_after=99)), Script("b", "hi"))
    assert (text, slept) == ("hi", [])
    assert notes.told == [("lost", "a", True), ("retrying", "a", 0.0, "b")]


def test_the_fallback_is_asked_at_once_after_a_final_error() -> None:
    text, notes, _ = run(Script("a", AuthenticationFailed("no")), Script("b", BUSY, "hi"))
    assert text == "hi"
    assert [told[1] for told in notes.told if told[0] == "lost"] == ["a", "b"]


def test_when_all_fail_the_last_error_names_the_earlier_ones() -> None:
    async def main() -> None:
        lms = [Script("a", AuthenticationFailed("no key")), Script("b", ProviderError("gone"))]
        await ask(lms, ASK, retries=Retries(), observer=Notes())

    with pytest.raises(ProviderError, match="gone") as caught:
        asyncio.run(main())
    assert caught.value.__notes__ == ["before it: no key"]


def test_lesson_22_a_stall_ends_by_our_own_clock_and_may_be_billed() -> None:
    async def sleep(seconds: float) -> None:
        return None

    async def main() -> None:
        retries = Retries(attempts=1, timeout=0.05, sleep=sleep)
        await ask([Script("a", "…")], ASK, retries=retries, observer=notes)

    notes = Notes()
    with pytest.raises(ProviderTimeout):
        asyncio.run(main())
    assert notes.told == [("lost", "a", True)]


def test_a_foreign_exception_is_a_provider_error_and_goes_to_the_fallback() -> None:
    assert run(Script("a", KeyError("x")), Script("b", "hi"))[0] == "hi"
    assert run(Script("a", KeyError("x")))[0].startswith("ProviderError: a: KeyError")


def test_what_is_no_fault_of_the_provider_passes() -> None:
    lm = Script("a", BudgetExceeded("max_tokens", 2, 1))
    with pytest.raises(BudgetExceeded):
        run(lm, Script("b", "hi"))


def test_a_cancelled_ask_is_cancelled_at_once() -> None:
    async def main() -> Notes:
        notes = Notes()
        asked = asyncio.create_task(ask([Script("a", "…")], ASK, retries=Retries(), observer=notes))
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return notes

    assert asyncio.run(main()).told == []


def test_no_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no model"):
        run()
