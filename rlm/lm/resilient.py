"""Asking until there is an answer: retries, hard timeouts and fallbacks, in one place."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rlm.errors import ConfigurationError, ProviderError, boundary
from rlm.lm._http import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm.lm.base import LM, OnDelta, Reply, Request

__all__ = ["AskObserver", "Retries", "ask"]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a model is asked; times are in seconds.

    `attempts` are those at one model. The n-th wait is drawn between 0 and `base * 2**n`, never
    above `cap` ("full jitter"), so that callers who failed together do not return together. A
    provider that asks for a longer pause than `cap` is not waited for. `timeout` bounds each
    attempt by our own clock. `draw` gives numbers in [0, 1).
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 30.0
    timeout: float | None = 600.0
    draw: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait(self, failures: int, error: ProviderError) -> float | None:
        """Return the seconds before the next attempt at the same model, None if there is none."""
        if not error.retryable or failures >= self.attempts:
            return None
        pause = self.draw() * min(self.cap, self.base * 2.0 ** (failures - 1))
        if error.retry_after is None:
            return pause
        if error.retry_after > self.cap:
            return None
        # Never earlier than asked; a little later, each at another time.
        return error.retry_after + self.draw() * self.base


class AskObserver(Protocol):
    """Who is told about what goes wrong on the way to an answer."""

    def lost(self, model: str, error: ProviderError, may_be_billed: bool) -> None:
        """Note that an attempt gave no reply; `error.usage` has what it used, where it said so."""
        ...

    def retrying(self, model: str, error: ProviderError, wait: float, following: str) -> None:
        """Note that `following` (perhaps the same model) is asked after `wait` seconds."""
        ...


async def ask(
    lms: Sequence[LM],
    request: Request,
    *,
    retries: Retries,
    observer: AskObserver,
    on_delta: OnDelta | None = None,
) -> Reply:
    """Return the first reply that one of the models gives, asked in this order.

    A retryable error is tried again, any other goes to the next model at once; when no model is
    left the last error is raised, with the earlier models' errors as notes. Each attempt that
    fails is told to `observer.lost`; the reply and a cancellation are the caller's to account
    for. Deltas of an attempt that failed have been shown: they are live only.
    """
    if not lms:
        raise ConfigurationError("there is no model to ask: give at least one")
    errors: list[ProviderError] = []
    for position, lm in enumerate(lms):
        failures = 0
        while True:
            try:
                with boundary(ProviderError, lm.name):
                    async with Deadline(lm.name, retries.timeout):
                        return await lm.complete(request, on_delta)
            except ProviderError as error:
                failures += 1
                last = error
            observer.lost(lm.name, last, last.may_be_billed)
            wait = retries.wait(failures, last)
            if wait is None:
                break
            observer.retrying(lm.name, last, wait, lm.name)
            await retries.sleep(wait)
        errors.append(last)
        if position + 1 < len(lms):
            observer.retrying(lm.name, last, 0.0, lms[position + 1].name)
    raise _noted(errors)


def _noted(errors: list[ProviderError]) -> ProviderError:
    *earlier, last = errors
    for error in earlier:
        last.add_note(f"before it: {error}")
    return last
