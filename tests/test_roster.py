from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import CHEAP, scripted

import rlm
from rlm.lm.base import Message
from rlm.roster import Roster, RosterModel
from rlm.usage import Price, Usage

PRICES = st.builds(
    Price.per_million,
    st.integers(0, 50),
    st.integers(0, 50),
)


def model(name: str, *prices: Price | None, **options: Any) -> RosterModel:
    lms = tuple(scripted(name=f"{name}{n or ''}") for n in range(len(prices)))
    return RosterModel(name, lms, prices, **options)


def test_the_root_answers_sub_calls_where_nothing_else_is_said() -> None:
    root = model("a/root", CHEAP)
    assert Roster(root).get(None) is root
    assert Roster(root, model("a/sub", CHEAP)).get(None).name == "a/sub"


def test_every_model_of_the_run_may_be_named() -> None:
    roster = Roster(model("a/root", CHEAP), model("a/sub", CHEAP), [model("a/other", CHEAP)])
    assert [roster.get(f"a/{name}").name for name in ("root", "sub", "other")] == [
        "a/root",
        "a/sub",
        "a/other",
    ]
    with pytest.raises(rlm.PolicyViolation, match=r"'a/third' is not allowed.*'a/other'"):
        roster.get("a/third")


@given(st.lists(st.one_of(st.none(), PRICES), min_size=1, max_size=6))
def test_the_cheapest_come_first_and_the_unpriced_last(prices: list[Price | None]) -> None:
    made = [model(f"a/{n}", price) for n, price in enumerate(prices)]
    found = [each.price for each in Roster(made[0], None, made).models]
    sums = [None if price is None else price.input + price.output for price in found]
    known = [each for each in sums if each is not None]
    assert known == sorted(known)
    assert sums[len(known) :] == [None] * (len(sums) - len(known))


@given(st.lists(PRICES, min_size=1, max_size=4), st.integers(0, 9_999), st.integers(0, 9_999))
def test_the_price_of_a_list_of_models_is_exceeded_by_none(
    prices: list[Price], tokens: int, output: int
) -> None:
    together = model("a/list", *prices).price
    assert together is not None
    used = Usage(input_tokens=tokens, output_tokens=output)
    assert all(price.cost(used) <= together.cost(used) for price in prices)
    assert all(price.bound(tokens, output) <= together.bound(tokens, output) for price in prices)


def test_one_unknown_price_in_a_list_makes_the_whole_unknown() -> None:
    mixed = model("a/list", CHEAP, None)
    assert mixed.price is None
    assert mixed.price_of("a/list") == CHEAP
    assert mixed.price_of("nobody") is None


def test_a_request_has_the_model_s_parameters_and_the_lower_cap() -> None:
    made = model("a/a", CHEAP, temperature=0.2, max_output_tokens=50, extra={"seed": 1})
    request = made.request((Message("user", "hi"),), 8_000, sample=2, stable=1)
    assert (request.temperature, request.max_output_tokens) == (0.2, 50)
    assert (request.sample, request.stable_messages, request.extra) == (2, 1, {"seed": 1})
    assert made.request((), 20).max_output_tokens == 20
    assert made.parameters() == {"temperature": 0.2, "seed": 1}


def test_a_model_as_the_prompt_tells_of_it() -> None:
    priced = model("a/a", Price.per_million("0.15", 10), window=9).fact("sub")
    assert (str(priced.input_price), str(priced.output_price)) == ("0.15", "10")
    assert (priced.role, priced.window, priced.window_known) == ("sub", 9, False)
    free = model("a/b", Price(input=Decimal(0), output=Decimal(0))).fact("root")
    assert str(free.input_price) == "0"
    assert model("a/c", None).fact("root").input_price is None


def test_an_adapter_that_two_models_share_is_closed_once() -> None:
    lm = scripted()
    one, two = RosterModel("a", (lm,), (None,)), RosterModel("b", (lm,), (None,))
    asyncio.run(Roster(one, two).aclose())
    assert lm.closed == 1
