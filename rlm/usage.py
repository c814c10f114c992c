"""What a model call used, and what it costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Price", "Usage", "add_costs"]


class Usage(BaseModel):
    """The tokens of one or more model calls, as the providers count them.

    `input_tokens` includes `cached_tokens` (read from the provider's prompt cache) and
    `cache_write_tokens`; `output_tokens` includes `reasoning_tokens`.
    """

    model_config = ConfigDict(frozen=True)

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )


_Dollars = Annotated[Decimal, Field(ge=0)]  # a negative price would refill the purse


class Price(BaseModel):
    """What a model charges, in US dollars a token.

    A part that is `None` is charged like the plain part it belongs to (cached input like input,
    reasoning like output). `tiers` holds dearer prices by the input tokens of one request: the
    pair `(200_000, price)` applies to a whole request of more than 200,000 input tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: _Dollars
    output: _Dollars
    cached_input: _Dollars | None = None
    cache_write: _Dollars | None = None
    reasoning: _Dollars | None = None
    tiers: tuple[tuple[int, Price], ...] = ()

    @classmethod
    def per_million(
        cls, input: Decimal | float | str, output: Decimal | float | str, **parts: Decimal | float
    ) -> Price:
        """Make a price from dollars a million tokens, as price lists print them."""
        million = Decimal(1_000_000)
        return cls(
            input=Decimal(str(input)) / million,
            output=Decimal(str(output)) / million,
            **{name: Decimal(str(value)) / million for name, value in parts.items()},
        )

    def tier(self, input_tokens: int) -> Price:
        """Return the price that a request with so many input tokens is charged at."""
        found = self
        for above, price in sorted(self.tiers, key=lambda pair: pair[0]):
            if input_tokens > above:
                found = price
        return found

    def cost(self, usage: Usage) -> Decimal:
        """Return the dollars that one request with this usage costs."""
        price = self.tier(usage.input_tokens)
        plain_input = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        plain_output = usage.output_tokens - usage.reasoning_tokens
        cached = price.input if price.cached_input is None else price.cached_input
        written = price.input if price.cache_write is None else price.cache_write
        reasoning = price.output if price.reasoning is None else price.reasoning
        return (
            max(plain_input, 0) * price.input
            + usage.cached_tokens * cached
            + usage.cache_write_tokens * written
            + max(plain_output, 0) * price.output
            + usage.reasoning_tokens * reasoning
        )

    def bound(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return the most that a request with at most these tokens can cost."""
        rates = [self, *(price for above, price in self.tiers if input_tokens > above)]
        zero = Decimal(0)
        return max(
            input_tokens * max(rate.input, rate.cached_input or zero, rate.cache_write or zero)
            + output_tokens * max(rate.output, rate.reasoning or zero)
            for rate in rates
        )


def add_costs(costs: list[Decimal | None]) -> Decimal | None:
    """Add costs; one unknown part makes the sum unknown, for `None` is not zero."""
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
