from __future__ import annotations

from decimal import Decimal

import pytest

from rlm.cli.asking import choose_models, limits_of
from rlm.errors import ConfigurationError
from rlm.limits import Limits
from rlm.lm.base import Model


def test_a_base_url_is_for_the_models_of_the_roots_provider() -> None:
    found = choose_models(
        "openai/a", "openai/b", ["gemini/c", "openai/d"], base_url="http://127.0.0.1:9/v1"
    )
    assert found["model"] == Model("openai/a", base_url="http://127.0.0.1:9/v1")
    assert found["sub_model"].base_url == "http://127.0.0.1:9/v1"
    assert found["models"] == ("gemini/c", Model("openai/d", base_url="http://127.0.0.1:9/v1"))


def test_names_without_a_provider_are_of_one_server() -> None:
    found = choose_models("a", "b", [], base_url="http://127.0.0.1:9/v1")
    assert found["sub_model"] == Model("b", base_url="http://127.0.0.1:9/v1")


def test_thinking_and_temperature_are_the_root_models() -> None:
    found = choose_models("openai/a", "openai/b", [], thinking="low", temperature=0.0)
    assert found["model"] == Model("openai/a", thinking="low", temperature=0.0)
    assert found["sub_model"] == "openai/b"


def test_a_price_is_dollars_per_million_tokens() -> None:
    price = choose_models("m/a", None, [], prices=["m/a=0.25/2"])["prices"]["m/a"]
    assert (price.input, price.output) == (Decimal("2.5e-7"), Decimal("2e-6"))


@pytest.mark.parametrize("price", ["m/a=1", "m/a=x/1", "m/a=", "m/a"])
def test_a_price_that_is_none_is_named(price: str) -> None:
    with pytest.raises(ConfigurationError, match=price):
        choose_models("m/a", None, [], prices=[price])


def test_limits_that_are_not_given_keep_their_defaults() -> None:
    assert limits_of(max_tokens=9, max_depth=None) == Limits(max_tokens=9)
    assert limits_of(max_depth=0).max_depth == 0
