from __future__ import annotations

from typing import Any

import pytest

import rlm


@pytest.mark.parametrize(
    ("option", "value"), [("thinknig", "low"), ("thinking", "much"), ("window", "wide")]
)
def test_an_impossible_option_of_a_model_is_named(option: str, value: Any) -> None:
    with pytest.raises(rlm.ConfigurationError, match=rf"Model\('openai/x'\): {option}: "):
        rlm.Model("openai/x", **{option: value})


def test_a_key_is_in_no_repr_and_in_no_error() -> None:
    assert "sk-secret" not in repr(rlm.Model("openai/x", api_key="sk-secret-0123"))
    with pytest.raises(rlm.ConfigurationError) as caught:
        rlm.Model("openai/x", api_key=["sk-secret-0123"])
    assert "sk-secret" not in str(caught.value)
