"""The purse: holds, settlements, waiting, refusals, the reserve."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rlm.budget import Ask, Budget, Hold
from rlm.errors import BudgetExceeded
from rlm.limits import Limits
from rlm.usage import Price, Usage

CENT = Price(input=Decimal(0), output=Decimal("0.01"))
FREE: Price | None = None


def purse(**limits: Any) -> Budget:
    return Budget(Limits(**limits))


def ask(output: int = 10, input: int = 0, price: Price | None = CENT, model: str = "m") -> Ask:
    return Ask(model, input, output, price)


async def settled(times: int = 20) -> None:
    """Let every task that can go on go on."""
    for _ in range(times):
        await asyncio.sleep(0)


def test_a_hold_counts_at_once_and_is_replaced_by_what_was_used() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd=1)
        hold = await budget.hold(ask(10, input=5))
        assert (budget.held_cost, budget.held_tokens) == (Decimal("0.1"), 15) and not budget.cost
        assert hold.settle(Usage(input_tokens=5, output_tokens=3)) == Decimal("0.03")
        assert not budget.held_cost and not budget.held_tokens
        assert (budget.cost, budget.tokens) == (Decimal("0.03"), 8)

    asyncio.run(main())


def test_an_unknown_usage_keeps_all_that_was_held() -> None:
    async def main() -> None:
        budget = purse()
        hold = await budget.hold(ask(10, input=5))
        assert hold.settle(None) == Decimal("0.1")
        assert (budget.cost, budget.tokens) == (Decimal("0.1"), 15)

    asyncio.run(main())


def test_an_unpriced_request_costs_none_and_counts_its_tokens() -> None:
    async def main() -> None:
        budget = purse(max_tokens=100)
        hold = await budget.hold(ask(10, price=FREE))
        assert hold.settle(Usage(output_tokens=4)) is None
        assert not budget.cost and budget.tokens == 4

    asyncio.run(main())


def test_what_is_released_costs_nothing_and_releasing_again_changes_nothing() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd=1)
        hold = await budget.hold(ask(10))
        hold.release()
        hold.release()
        assert hold.settle(Usage(output_tokens=9)) is not None  # too late to be counted
        assert not (budget.cost or budget.held_cost or budget.held_tokens)

    asyncio.run(main())


def test_a_request_waits_while_holds_under_way_could_make_room() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.15")
        first = await budget.hold(ask(10))
        second = asyncio.create_task(budget.hold(ask(10)))
        await settled()
        assert not second.done()
        first.settle(Usage(output_tokens=1))
        assert (await second).output_tokens == 10

    asyncio.run(main())


def test_a_request_that_nothing_can_cover_is_refused_with_the_limit() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.15")
        (await budget.hold(ask(10))).settle(Usage(output_tokens=10))
        with pytest.raises(BudgetExceeded) as refused:
            await budget.hold(ask(10))
        assert (refused.value.limit, refused.value.used) == ("max_cost_usd", Decimal("0.10"))

    asyncio.run(main())


def test_the_cap_is_lowered_when_replies_so_far_were_short_enough() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.15")
        (await budget.hold(ask(10))).settle(Usage(output_tokens=4))
        hold = await budget.hold(ask(20))
        assert hold.output_tokens == 11 and hold.cost == Decimal("0.11")

    asyncio.run(main())


def test_a_cap_is_never_lowered_below_the_longest_reply_seen() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.15")
        (await budget.hold(ask(10))).settle(Usage(output_tokens=8))
        with pytest.raises(BudgetExceeded):
            await budget.hold(ask(10))

    asyncio.run(main())


def test_first_come_first_served() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.10")
        order: list[int] = []

        async def one(number: int) -> None:
            hold = await budget.hold(ask(10))
            order.append(number)
            await settled(3)
            hold.settle(Usage(output_tokens=0))

        await asyncio.gather(*(one(n) for n in range(6)))
        assert order == list(range(6))

    asyncio.run(main())


def test_one_who_waits_and_is_cancelled_hands_the_turn_on() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.10")
        first = await budget.hold(ask(10))
        waiting = [asyncio.create_task(budget.hold(ask(10))) for _ in range(3)]
        await settled()
        first.release()
        waiting[0].cancel()  # it has been woken, and is cancelled before it runs
        done = await asyncio.wait_for(waiting[1], 5)
        done.release()
        (await asyncio.wait_for(waiting[2], 5)).release()
        assert budget.held_cost == 0

    asyncio.run(main())


def test_the_reserve_is_for_the_last_request_only() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="1.00")
        budget.reserve(ask(20))
        (await budget.hold(ask(75))).settle(Usage(output_tokens=75))
        with pytest.raises(BudgetExceeded):
            await budget.hold(ask(10, model="short"))
        last = await budget.hold(ask(20), last=True)
        assert last.output_tokens == 20
        last.check_again()  # its own reserve does not stand in its way
        last.settle(Usage(output_tokens=20))
        assert budget.cost == Decimal("0.95")

    asyncio.run(main())


def test_the_reserve_takes_a_quarter_of_a_limit_at_most_and_one_call() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="1.00", max_llm_calls=2)
        budget.reserve(ask(100_000))
        hold = await budget.hold(ask(75))
        hold.settle(Usage(output_tokens=1))
        with pytest.raises(BudgetExceeded) as refused:
            await budget.hold(ask(1))
        assert refused.value.limit == "max_llm_calls"
        (await budget.hold(ask(10), last=True)).release()

    asyncio.run(main())


def test_an_attempt_that_failed_is_charged_beside_the_hold() -> None:
    async def main() -> None:
        budget = purse(max_cost_usd="0.25")
        hold = await budget.hold(ask(10))
        assert hold.charge_attempt(None) == Decimal("0.10")
        hold.check_again()
        assert hold.charge_attempt(Usage(output_tokens=6)) == Decimal("0.06")
        with pytest.raises(BudgetExceeded):
            hold.check_again()
        hold.release()
        assert budget.cost == Decimal("0.16") and budget.held_cost == 0

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["sub_call", "tool_call"])
def test_counted_limits_refuse_the_one_too_many(kind: str) -> None:
    budget = purse(**{f"max_{kind}s": 2})
    count = getattr(budget, f"count_{kind}")
    count()
    count()
    with pytest.raises(BudgetExceeded) as refused:
        count()
    assert (refused.value.limit, refused.value.used, refused.value.cap) == (f"max_{kind}s", 2, 2)


def test_the_report_says_what_is_left_and_what_a_call_costs() -> None:
    async def main() -> None:
        budget = Budget(Limits(max_cost_usd=1, max_seconds=60), clock=iter([0.0, 5.0] * 9).__next__)
        (await budget.hold(ask(10))).settle(Usage(output_tokens=10))
        report = budget.report()
        assert report["spent_usd"] == Decimal("0.10") and report["left_usd"] == Decimal("0.90")
        assert report["usd_per_call"] == Decimal("0.10") and report["calls_affordable"] == 9
        assert report["limits"] == {"max_cost_usd": 1.0, "max_seconds": 60.0}

    asyncio.run(main())


# Whatever is asked, in whatever order ----------------------------------------------------------

MODELS = {
    "free": None,
    "cheap": Price.per_million(1_000, 2_000),
    "dear": Price.per_million(30_000, 50_000),
}


class Purse(RuleBasedStateMachine):
    """One budget, asked, settled, retried, cancelled and reserved in any order."""

    @initialize(
        cost=st.one_of(st.none(), st.decimals("0.01", "3", places=2)),
        tokens=st.one_of(st.none(), st.integers(1, 300)),
        calls=st.one_of(st.none(), st.integers(1, 12)),
    )
    def begin(self, cost: Decimal | None, tokens: int | None, calls: int | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.budget = purse(max_cost_usd=cost, max_tokens=tokens, max_llm_calls=calls)
        self.waiting: list[tuple[Ask, asyncio.Task[Hold]]] = []
        self.open: list[Hold] = []
        self.spent_tokens, self.spent_cost = 0, Decimal(0)

    def go_on(self) -> None:
        """Let the loop run until nobody can go on, and look at who was served or refused."""
        self.loop.run_until_complete(settled(60))
        still = []
        for wanted, task in self.waiting:
            if not task.done():
                still.append((wanted, task))
            elif not task.cancelled() and (refusal := task.exception()) is not None:
                assert isinstance(refusal, BudgetExceeded)
                assert self.would_exceed(wanted, refusal.limit)
            elif not task.cancelled():
                hold = task.result()
                assert 1 <= hold.output_tokens <= wanted.output_tokens
                self.open.append(hold)
        self.waiting = still

    def would_exceed(self, wanted: Ask, limit: str) -> bool:
        """Nobody is refused what the purse would have covered in full."""
        budget, limits = self.budget, self.budget.limits
        reserved_tokens, reserved_cost = budget._reserved
        if limit == "max_tokens":
            committed = budget.tokens + budget.held_tokens + reserved_tokens
            return committed + wanted.tokens(wanted.output_tokens) > (limits.max_tokens or 0)
        if limit == "max_cost_usd":
            spent = budget.cost + budget.held_cost + reserved_cost
            return spent + wanted.cost(wanted.output_tokens) > (limits.max_cost_usd or 0)
        return budget.llm_calls + budget._reserved_calls >= (limits.max_llm_calls or 0)

    @rule(
        model=st.sampled_from(sorted(MODELS)),
        into=st.integers(0, 40),
        out=st.integers(1, 40),
        last=st.booleans(),
    )
    def request(self, model: str, into: int, out: int, last: bool) -> None:
        wanted = Ask(model, into, out, MODELS[model])
        task = self.loop.create_task(self.budget.hold(wanted, last=last))
        self.waiting.append((wanted, task))
        self.go_on()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        hold = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.count(hold, data, hold.settle)
        self.go_on()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.open.pop(data.draw(st.integers(0, len(self.open) - 1))).release()
        self.go_on()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def try_again(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.open) - 1))
        hold = self.open[place]
        self.count(hold, data, hold.charge_attempt)
        try:
            hold.check_again()
        except BudgetExceeded:
            self.open.pop(place).release()
        self.go_on()

    def count(self, hold: Hold, data: st.DataObject, end: Any) -> None:
        """End an attempt with some of what was held, or all of it when nobody says."""
        usage: Usage | None = Usage(
            input_tokens=data.draw(st.integers(0, hold.ask.input_tokens)),
            output_tokens=data.draw(st.integers(0, hold.output_tokens)),
        )
        if data.draw(st.integers(0, 4)) == 0:
            usage = None
        price = hold.ask.price
        if usage is None:
            expected = hold.cost if price else None
            self.spent_tokens += hold.tokens
        else:
            expected = price.cost(usage) if price else None
            self.spent_tokens += usage.total_tokens
        assert end(usage) == expected
        self.spent_cost += expected or Decimal(0)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.waiting[data.draw(st.integers(0, len(self.waiting) - 1))][1].cancel()
        self.go_on()

    @rule(out=st.one_of(st.none(), st.integers(1, 5_000)), model=st.sampled_from(sorted(MODELS)))
    def reserve(self, out: int | None, model: str) -> None:
        self.budget.reserve(None if out is None else Ask(model, 10, out, MODELS[model]))
        self.go_on()

    @invariant()
    def never_above_the_cap(self) -> None:
        if not hasattr(self, "budget"):
            return
        budget, limits = self.budget, self.budget.limits
        if limits.max_tokens is not None:
            assert budget.tokens + budget.held_tokens <= limits.max_tokens
        if limits.max_cost_usd is not None:
            assert budget.cost + budget.held_cost <= limits.max_cost_usd
        if limits.max_llm_calls is not None:
            assert budget.llm_calls <= limits.max_llm_calls

    @invariant()
    def sums_agree(self) -> None:
        if not hasattr(self, "budget"):
            return
        assert self.budget.held_tokens == sum(hold.tokens for hold in self.open)
        assert self.budget.held_cost == sum((hold.cost for hold in self.open), Decimal(0))
        assert self.budget.tokens == self.spent_tokens
        assert self.budget.cost == self.spent_cost

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if hasattr(self, "open") and not self.open:
            assert self.waiting == []

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        while self.open:
            self.open.pop().release()
            self.go_on()
        assert self.waiting == []
        self.loop.close()


Purse.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestPurse = Purse.TestCase
