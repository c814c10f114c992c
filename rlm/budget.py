"""The one purse of a run: what was spent, what is held, what is kept back for the last request.

A request holds the most that it can cost before it is sent, and is settled with what it did cost.
Between the check and the hold nothing is awaited, so on one event loop no lock is needed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from rlm.errors import BudgetExceeded
from rlm.limits import Limits
from rlm.usage import Price, Usage

__all__ = ["Ask", "Budget", "Hold"]

_ZERO = Decimal(0)
_SHORT_REPLY = 1024  # tokens; a cap is not lowered below this while no reply was seen
_RESERVED_REPLY = 2048  # tokens kept back for the last reply
_RESERVED_SHARE = 4  # at most a quarter of a limit is kept back


@dataclass(frozen=True, slots=True)
class Ask:
    """What one request can use at most: an upper bound of its input, its output cap, its price.

    An unknown price counts as nothing here; a run with a money limit refuses such models at the
    start.
    """

    model: str
    input_tokens: int
    output_tokens: int
    price: Price | None = None

    def tokens(self, cap: int) -> int:
        """The most tokens that it can use when its reply is capped at `cap`."""
        return self.input_tokens + cap

    def cost(self, cap: int) -> Decimal:
        """The most dollars that it can cost when its reply is capped at `cap`."""
        return self.price.bound(self.input_tokens, cap) if self.price else _ZERO


class Hold:
    """A reservation: what a request may cost, until it is settled.

    `output_tokens` is the cap to send, which is lower than what was asked when only a lower one
    is still covered.
    """

    __slots__ = ("_budget", "_last", "_open", "ask", "cost", "output_tokens", "tokens")

    def __init__(self, budget: Budget, ask: Ask, output_tokens: int, last: bool) -> None:
        self._budget = budget
        self._last = last
        self._open = True
        self.ask = ask
        self.output_tokens = output_tokens
        self.tokens = ask.tokens(output_tokens)
        self.cost = ask.cost(output_tokens)

    @property
    def usage(self) -> Usage:
        """The most that the request can use."""
        return Usage(input_tokens=self.ask.input_tokens, output_tokens=self.output_tokens)

    def settle(self, usage: Usage | None, price: Price | None = None) -> Decimal | None:
        """Replace the hold by what was used and return its cost, `None` when it has no price.

        `price` is that of the model that replied, where another stood in; unknown usage counts
        all that was held.
        """
        if usage is not None:
            self._budget.saw_reply(self.ask, usage)
        tokens, cost = self._actual(usage, price)
        self._close(tokens, cost or _ZERO)
        return cost

    def charge_attempt(self, usage: Usage | None, price: Price | None = None) -> Decimal | None:
        """Count an attempt that failed but may be billed, and keep the hold for the next one."""
        tokens, cost = self._actual(usage, price)
        self._budget.charge(tokens, cost or _ZERO)
        return cost

    def check_again(self) -> None:
        """Raise BudgetExceeded when the hold is no longer covered, after attempts were charged."""
        short = self._budget.shortage(self.ask, self.output_tokens, last=self._last, held=self)
        if short is not None:
            raise short

    def release(self) -> None:
        """Give back what was held; may be called again, and after a settlement."""
        self._close(0, _ZERO)

    def _actual(self, usage: Usage | None, price: Price | None) -> tuple[int, Decimal | None]:
        price = price or self.ask.price
        if usage is None:
            return self.tokens, self.cost if price else None
        return usage.total_tokens, price.cost(usage) if price else None

    def _close(self, tokens: int, cost: Decimal) -> None:
        if self._open:
            self._open = False
            self._budget.close(self, tokens, cost)


@dataclass(frozen=True, slots=True)
class _Waiter:
    """One who waits in the queue, and the future of what it waits for."""

    ask: Ask
    last: bool
    hold: asyncio.Future[Hold]

    def leave(self) -> None:
        """Give back what was handed over too late to be taken."""
        if self.hold.done() and not self.hold.cancelled() and self.hold.exception() is None:
            self.hold.result().release()


class Budget:
    """The one purse of a run.

    All totals include what is held for requests under way. `reserve` sets aside what the last
    request of the root needs; only `hold(…, last=True)` may use it.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.llm_calls = 0
        self.sub_calls = 0
        self.tool_calls = 0
        self.tokens = 0
        self.cost = _ZERO
        self.held_tokens = 0
        self.held_cost = _ZERO
        self._clock = clock
        self._began = clock()
        self._reserved: tuple[int, Decimal] = (0, _ZERO)
        self._reserved_calls = 0
        self._longest: dict[str, int] = {}
        self._added: dict[str, int] = {}
        self._open = 0
        self._waiting: deque[_Waiter] = deque()

    # Requests ---------------------------------------------------------------------------------

    async def hold(self, ask: Ask, *, last: bool = False) -> Hold:
        """Reserve what a request can cost.

        Waits while holds under way could still make room. When nothing is under way and the full
        output cap is not covered, the cap is lowered as far as replies seen so far allow. Raises
        BudgetExceeded when even that is not covered.
        """
        if last or not self._waiting:
            found = self._try(ask, last)
            if found is not None:
                return found
        waiter = _Waiter(ask, last, asyncio.get_running_loop().create_future())
        self._waiting.insert(0 if last else len(self._waiting), waiter)
        try:
            return await waiter.hold
        except asyncio.CancelledError:
            waiter.leave()
            raise

    def _try(self, ask: Ask, last: bool) -> Hold | None:
        """Return a hold, or `None` when waiting may help; raise when it cannot."""
        self._check_calls(last)
        if added := self._added.get(ask.model, 0):
            ask = replace(ask, input_tokens=ask.input_tokens + added)
        short = self.shortage(ask, ask.output_tokens, last=last)
        if short is None:
            return self._take(ask, ask.output_tokens, last)
        if self._open:
            return None
        cap = self._lower(ask, last)
        if cap is None:
            raise short
        return self._take(ask, cap, last)

    def _take(self, ask: Ask, cap: int, last: bool) -> Hold:
        hold = Hold(self, ask, cap, last)
        self._open += 1
        self.llm_calls += 1
        self.held_tokens += hold.tokens
        self.held_cost += hold.cost
        return hold

    def _check_calls(self, last: bool) -> None:
        cap = self.limits.max_llm_calls
        reserved = 0 if last else self._reserved_calls
        if cap is not None and self.llm_calls + reserved >= cap:
            raise BudgetExceeded("max_llm_calls", self.llm_calls, cap)

    def shortage(
        self, ask: Ask, cap: int, *, last: bool = False, held: Hold | None = None
    ) -> BudgetExceeded | None:
        """Return the limit that such a request would break, or `None`; `held` is its own hold."""
        tokens, cost = self._committed(last)
        if held is not None:
            tokens, cost = tokens - held.tokens, cost - held.cost
        limits = self.limits
        if limits.max_tokens is not None and tokens + ask.tokens(cap) > limits.max_tokens:
            return BudgetExceeded("max_tokens", tokens, limits.max_tokens)
        if limits.max_cost_usd is not None and cost + ask.cost(cap) > limits.max_cost_usd:
            return BudgetExceeded("max_cost_usd", cost, limits.max_cost_usd)
        return None

    def _lower(self, ask: Ask, last: bool) -> int | None:
        """Return the largest cap that is covered and promises a whole reply, or `None`."""
        least = self._longest.get(ask.model) or min(ask.output_tokens, _SHORT_REPLY)
        low, high = (1 if last else least), ask.output_tokens
        if low > high or self.shortage(ask, low, last=last) is not None:
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if self.shortage(ask, middle, last=last) is None:
                low = middle
            else:
                high = middle - 1
        return low

    def _committed(self, last: bool) -> tuple[int, Decimal]:
        reserved_tokens, reserved_cost = (0, _ZERO) if last else self._reserved
        return (
            self.tokens + self.held_tokens + reserved_tokens,
            self.cost + self.held_cost + reserved_cost,
        )

    def close(self, hold: Hold, tokens: int, cost: Decimal) -> None:
        """End a hold and count what was used."""
        self._open -= 1
        self.held_tokens -= hold.tokens
        self.held_cost -= hold.cost
        self.charge(tokens, cost)
        self._serve()

    def charge(self, tokens: int, cost: Decimal) -> None:
        """Count what was used."""
        self.tokens += tokens
        self.cost += cost

    def saw_reply(self, ask: Ask, usage: Usage) -> None:
        """Learn from a reply: how long they get (a lower cap would cut one like it off), and how
        many input tokens the provider adds to those that were sent."""
        model, added = ask.model, usage.input_tokens - ask.input_tokens
        self._longest[model] = max(self._longest.get(model, 0), usage.output_tokens)
        self._added[model] = max(self._added.get(model, 0), added)

    def reserve(self, ask: Ask | None) -> None:
        """Set aside what the root's last request needs, at most a quarter of a limit."""
        if ask is None:
            self._reserved, self._reserved_calls = (0, _ZERO), 0
        else:
            cap = min(ask.output_tokens, _RESERVED_REPLY)
            tokens, cost = ask.tokens(cap), ask.cost(cap)
            if self.limits.max_tokens is not None:
                tokens = min(tokens, self.limits.max_tokens // _RESERVED_SHARE)
            if self.limits.max_cost_usd is not None:
                cost = min(cost, self.limits.max_cost_usd / _RESERVED_SHARE)
            self._reserved, self._reserved_calls = (tokens, cost), 1
        self._serve()

    def _serve(self) -> None:
        """Serve or refuse those who wait, first come first, until one has to wait on."""
        while self._waiting:
            waiter = self._waiting[0]
            if not waiter.hold.done():  # it is when the one who waited was cancelled
                try:
                    found = self._try(waiter.ask, waiter.last)
                except BudgetExceeded as refusal:
                    waiter.hold.set_exception(refusal)
                else:
                    if found is None:
                        return
                    waiter.hold.set_result(found)
            self._waiting.popleft()

    # Counts and time --------------------------------------------------------------------------

    def count_sub_call(self) -> None:
        """Count a sub-call, or raise BudgetExceeded."""
        self._count("sub_calls", "max_sub_calls")

    def count_tool_call(self) -> None:
        """Count a tool call, or raise BudgetExceeded."""
        self._count("tool_calls", "max_tool_calls")

    def _count(self, name: str, limit: str) -> None:
        used, cap = getattr(self, name), getattr(self.limits, limit)
        if cap is not None and used >= cap:
            raise BudgetExceeded(limit, used, cap)
        setattr(self, name, used + 1)

    @property
    def seconds(self) -> float:
        """Active time so far."""
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float | None:
        """Time that is left, or `None` without a limit."""
        cap = self.limits.max_seconds
        return None if cap is None else cap - self.seconds

    # What is left -----------------------------------------------------------------------------

    def left(self) -> dict[str, tuple[float, float]]:
        """Return used and cap of each limit of the whole tree that is set."""
        used = {
            "max_llm_calls": self.llm_calls,
            "max_sub_calls": self.sub_calls,
            "max_tool_calls": self.tool_calls,
            "max_tokens": self.tokens + self.held_tokens,
            "max_cost_usd": float(self.cost + self.held_cost),
            "max_seconds": self.seconds,
        }
        caps = {name: getattr(self.limits, name) for name in used}
        return {name: (used[name], float(cap)) for name, cap in caps.items() if cap is not None}

    def report(self) -> dict[str, Any]:
        """Return what was spent, what is left and a forecast, for the cells of a run."""
        money = self.limits.max_cost_usd
        left = None if money is None else max(money - self._committed(False)[1], _ZERO)
        mean = self.cost / self.llm_calls if self.llm_calls and self.cost else None
        return {
            "spent_usd": self.cost,
            "left_usd": left,
            "tokens": self.tokens,
            "llm_calls": self.llm_calls,
            "sub_calls": self.sub_calls,
            "tool_calls": self.tool_calls,
            "seconds": round(self.seconds, 1),
            "limits": {name: cap for name, (_, cap) in self.left().items()},
            "usd_per_call": mean,
            "calls_affordable": int(left / mean) if left is not None and mean else None,
        }
