from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

import rlm
from rlm.usage import add_costs


def test_each_part_is_charged_at_its_own_price() -> None:
    price = rlm.Price.per_million(1, 4, cached_input=0.1, cache_write=1.25, reasoning=8)
    used = rlm.Usage(
        input_tokens=1_000,
        cached_tokens=600,
        cache_write_tokens=100,
        output_tokens=50,
        reasoning_tokens=30,
    )
    millionths = 300 * 1 + 600 * Decimal("0.1") + 100 * Decimal("1.25") + 20 * 4 + 30 * 8
    assert price.cost(used) == millionths / 1_000_000


def test_a_part_without_a_price_is_charged_like_the_plain_part() -> None:
    used = rlm.Usage(input_tokens=10, cached_tokens=4, output_tokens=6, reasoning_tokens=5)
    assert rlm.Price.per_million(1, 2).cost(used) == Decimal(10 + 12) / 1_000_000


def test_a_dearer_tier_holds_for_the_whole_request_and_bounds_it() -> None:
    dear = rlm.Price.per_million(2, 4)
    price = rlm.Price(input=Decimal("1e-6"), output=Decimal("2e-6"), tiers=((100, dear),))
    small, large = rlm.Usage(input_tokens=100), rlm.Usage(input_tokens=101)
    assert (price.cost(small), price.cost(large)) == (Decimal("0.0001"), Decimal("0.000202"))
    assert price.bound(101, 10) == dear.bound(101, 10)


def test_an_unknown_cost_is_not_zero() -> None:
    assert add_costs([Decimal(1), None]) is None
    assert add_costs([]) == 0


def test_a_negative_price_is_refused_for_it_would_refill_the_purse() -> None:
    with pytest.raises(ValidationError):
        rlm.Price.per_million(-1, 1)
    with pytest.raises(rlm.ConfigurationError, match="the price of 'offline/needle'"):
        rlm.completion("x", model="offline/needle", prices={"offline/needle": (1, -1)})
