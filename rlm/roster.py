"""The models of a run: how each is asked, what it costs, how much it can read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from rlm.errors import PolicyViolation
from rlm.events import ModelFact
from rlm.lm.base import LM, Message, Request
from rlm.usage import Price

__all__ = ["DEFAULT_WINDOW", "Roster", "RosterModel"]

DEFAULT_WINDOW = 128_000
"""Tokens that an unknown window is taken for."""

_MILLION = Decimal(1_000_000)

ModelRole = Literal["root", "sub", "allowed"]


@dataclass(frozen=True)
class RosterModel:
    """A model of a run: the LM that answers and those that stand in for it, in order.

    `prices` has one price for each LM, `None` where it is unknown.
    """

    name: str
    lms: tuple[LM, ...]
    prices: tuple[Price | None, ...]
    window: int = DEFAULT_WINDOW
    window_known: bool = False
    max_output_tokens: int | None = None
    temperature: float | None = None
    thinking: Literal["low", "medium", "high"] | None = None
    timeout: float | None = 600.0
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def price(self) -> Price | None:
        """The price that no LM of it exceeds, or `None` when one is unknown."""
        known = [price for price in self.prices if price is not None]
        if len(known) < len(self.prices):
            return None
        return known[0] if len(known) == 1 else _dearest(known)

    def price_of(self, name: str) -> Price | None:
        """Return the price of the LM with this name."""
        return next(
            (p for lm, p in zip(self.lms, self.prices, strict=True) if lm.name == name), None
        )

    def request(
        self, messages: tuple[Message, ...], cap: int, *, sample: int = 0, stable: int = 0
    ) -> Request:
        """Return a request with this model's parameters and an output cap of at most `cap`."""
        return Request(
            messages=messages,
            max_output_tokens=min(cap, self.max_output_tokens or cap),
            temperature=self.temperature,
            thinking=self.thinking,
            sample=sample,
            stable_messages=stable,
            extra=self.extra,
        )

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that were set, for the trace."""
        found = {"temperature": self.temperature, "thinking": self.thinking, **self.extra}
        return {name: value for name, value in found.items() if value is not None}

    def fact(self, role: ModelRole) -> ModelFact:
        """Return the model as the trace and the prompt tell of it."""
        price = self.price
        return ModelFact(
            name=self.name,
            role=role,
            input_price=_per_million(price.input) if price else None,
            output_price=_per_million(price.output) if price else None,
            window=self.window,
            window_known=self.window_known,
        )


class Roster:
    """The models that a run may ask: the root's, the default for sub-calls, and others."""

    def __init__(
        self, root: RosterModel, sub: RosterModel | None = None, allowed: Iterable[RosterModel] = ()
    ) -> None:
        self.root = root
        self.sub = sub or root
        self._by_name = {model.name: model for model in (*allowed, self.sub, root)}

    @property
    def models(self) -> list[RosterModel]:
        """All models, cheapest first; those of unknown price come last."""
        return sorted(self._by_name.values(), key=_expense)

    def get(self, name: str | None) -> RosterModel:
        """Return the model a cell asks for; without a name the default for sub-calls.

        Raises PolicyViolation for a name that the run does not allow.
        """
        if name is None:
            return self.sub
        if name not in self._by_name:
            allowed = ", ".join(repr(model.name) for model in self.models)
            raise PolicyViolation(f"the model {name!r} is not allowed here; allowed are: {allowed}")
        return self._by_name[name]

    def facts(self) -> list[ModelFact]:
        """Return all models as the trace and the prompt tell of them, cheapest first."""
        return [model.fact(self._role(model)) for model in self.models]

    def _role(self, model: RosterModel) -> ModelRole:
        if model.name == self.root.name:
            return "root"
        return "sub" if model.name == self.sub.name else "allowed"

    async def aclose(self) -> None:
        """Release what the models hold."""
        for lm in {id(lm): lm for model in (*self.models, self.sub) for lm in model.lms}.values():
            await lm.aclose()


def _per_million(price: Decimal) -> Decimal:
    """Return dollars a million tokens, without the zeros that multiplying leaves at the end."""
    dollars = price * _MILLION
    whole = dollars.to_integral_value()
    return whole if whole == dollars else dollars.normalize()


def _expense(model: RosterModel) -> tuple[bool, Decimal]:
    price = model.price
    return (price is None, price.input + price.output if price else Decimal(0))


def _dearest(prices: list[Price]) -> Price:
    def most(part: str) -> Decimal | None:
        return max((value for p in prices if (value := getattr(p, part)) is not None), default=None)

    return Price(
        input=max(p.input for p in prices),
        output=max(p.output for p in prices),
        cached_input=most("cached_input"),
        cache_write=most("cache_write"),
        reasoning=most("reasoning"),
        tiers=tuple(tier for p in prices for tier in p.tiers),
    )
