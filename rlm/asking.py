"""One request to a model, from its hold to its settlement, as the trace tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from rlm import events
from rlm.budget import Hold
from rlm.errors import ProviderError
from rlm.lm.base import Reply, Request
from rlm.roster import RosterModel
from rlm.trace import Trace
from rlm.usage import Price, Usage

__all__ = ["Answer", "Asked", "Attempts", "Purpose", "Ranges"]

Purpose = Literal["turn", "query", "last"]
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with the number of the request that got it, and what it cost."""

    ask: int
    reply: Reply
    cost: Decimal | None


@dataclass(slots=True)
class Asked:
    """One request to a model, as the trace tells of it; `key` is set where replies are shared."""

    trace: Trace
    clock: Callable[[], float]
    call: str
    model: RosterModel
    request: Request
    purpose: Purpose
    ranges: Ranges
    notice: str = ""
    last: bool = False
    key: str = ""
    number: int = 0
    began: float = 0.0

    def emit_asked(self, number: int, hold: Hold | None) -> None:
        """Tell that the request is on its way, and what is held for it."""
        self.number = number
        self.began = self.clock()
        held = (
            {
                "max_output_tokens": hold.output_tokens,
                "held_tokens": hold.tokens,
                "held_cost": hold.cost,
            }
            if hold
            else {}
        )
        self.trace.emit(
            events.ModelAsked,
            self.call,
            ask=number,
            model=self.model.name,
            purpose=self.purpose,
            messages=self.ranges,
            notice=self.notice,
            parameters=self.model.parameters(),
            key=self.key,
            **held,
        )

    def emit_replied(
        self, reply: Reply, model: str, usage: Usage, cost: Decimal | None, **more: Any
    ) -> Answer:
        """Tell of the reply, and return it as it was recorded."""
        fact = self.trace.emit(
            events.ModelReplied,
            self.call,
            ask=self.number,
            model=model,
            text=reply.text,
            reasoning=reply.reasoning,
            usage=usage,
            cost=cost,
            finish=reply.finish,
            seconds=round(self.clock() - self.began, 6),
            **more,
        )
        if fact.text != reply.text:  # a secret that was taken out must not be acted on either
            reply = replace(reply, text=fact.text, reasoning=fact.reasoning)
        return Answer(self.number, reply, cost)

    def from_cache(self, reply: Reply, number: int) -> Answer:
        """Tell of a reply that another request got; it costs nothing."""
        self.emit_asked(number, None)
        return self.emit_replied(reply, self.model.name, Usage(), Decimal(0), cached=True)


class Attempts:
    """The attempts of one request: each that fails is charged and told."""

    def __init__(self, asked: Asked, hold: Hold) -> None:
        self._asked = asked
        self._hold = hold
        self._model = asked.model.lms[0].name
        self._lost_cost: Decimal | None = Decimal(0)
        self._lost_usage = Usage()

    def lost(self, model: str, error: ProviderError, may_be_billed: bool) -> None:
        """Charge an attempt that failed but may be billed."""
        self._lost_cost, self._lost_usage = Decimal(0), Usage()
        if may_be_billed:
            self._lost_cost = self._hold.charge_attempt(error.usage, self._price(model))
            self._lost_usage = error.usage or self._hold.usage

    def retrying(self, model: str, error: ProviderError, wait: float, following: str) -> None:
        """Tell of the next attempt, or raise BudgetExceeded when it is not covered."""
        self._asked.trace.emit(
            events.ModelRetried,
            self._asked.call,
            ask=self._asked.number,
            model=model,
            error=events.ErrorFact(
                type=type(error).__name__, message=str(error), details=error.details()
            ),
            wait=round(wait, 3),
            next_model=following,
            cost=self._lost_cost,
            usage=self._lost_usage,
        )
        self._lost_cost, self._lost_usage = Decimal(0), Usage()
        self._model = following
        self._hold.check_again()

    def replied(self, reply: Reply) -> Answer:
        """Settle the hold with what was used."""
        cost = self._hold.settle(reply.usage, self._price(self._model))
        usage = reply.usage or self._hold.usage
        estimated = reply.usage is None
        return self._asked.emit_replied(reply, self._model, usage, cost, estimated=estimated)

    def emit_lost(self, error: ProviderError) -> None:
        """Tell that the request ended without a reply; its last attempt is charged already."""
        self._emit(error, error.details(), self._lost_cost, self._lost_usage)

    def emit_broken(self, error: BaseException) -> None:
        """Tell that the request was broken off; what it may be billed is what was held."""
        out_of_money = not isinstance(error, asyncio.CancelledError)
        cost = Decimal(0) if out_of_money else self._hold.settle(None)
        self._emit(error, {}, cost, Usage() if out_of_money else self._hold.usage)

    def _emit(
        self, error: BaseException, details: dict[str, Any], cost: Decimal | None, usage: Usage
    ) -> None:
        self._asked.trace.emit(
            events.ModelLost,
            self._asked.call,
            ask=self._asked.number,
            model=self._model,
            error=events.ErrorFact(type=type(error).__name__, message=str(error), details=details),
            cost=cost,
            usage=usage,
        )

    def _price(self, model: str) -> Price | None:
        return self._asked.model.price_of(model)
