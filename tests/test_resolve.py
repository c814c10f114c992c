from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib import metadata
from typing import Any

import pytest
from runs import CHEAP, scripted

import rlm
from rlm import resolve
from rlm.limits import Limits
from rlm.lm.google import GoogleLM
from rlm.lm.litellm import LiteLLM
from rlm.lm.offline import OfflineLM
from rlm.lm.openai import OpenAILM
from rlm.roster import DEFAULT_WINDOW, RosterModel
from rlm.sandbox.process import ProcessSandbox
from rlm.usage import Price


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "a-key-for-a-test")
    for name in ("RLM_MODEL", "RLM_SUB_MODEL"):
        monkeypatch.delenv(name, raising=False)


def root(model: Any, limits: Limits | None = None, **options: Any) -> RosterModel:
    return resolve.roster({"model": model, **options}, limits or Limits()).root


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("gemini/gemini-2.5-flash", GoogleLM),
        ("openai/gpt-4o-mini", OpenAILM),
        ("offline/needle", OfflineLM),
        ("anthropic/claude-sonnet-4-5", LiteLLM),
        (rlm.Model("anything/at-all", base_url="http://127.0.0.1:9/v1"), OpenAILM),
        (rlm.Model("llama", base_url="http://127.0.0.1:9/v1"), OpenAILM),
    ],
    ids=str,
)
def test_a_name_finds_its_adapter(model: Any, kind: type) -> None:
    found = root(model)
    (lm,) = found.lms
    assert isinstance(lm, kind)
    assert found.name == getattr(model, "name", model)


def test_prices_and_windows_come_from_the_table() -> None:
    found = root("openai/gpt-4o-mini")
    assert found.price is not None
    assert found.price.input * 1_000_000 == Decimal("0.15")
    assert (found.window, found.window_known) == (128_000, True)


def test_a_price_of_the_caller_beats_the_one_of_the_model() -> None:
    own = rlm.Model("openai/gpt-4o-mini", price=Price.per_million(7, 8))
    assert root(own).price == Price.per_million(7, 8)
    assert root(own, prices={"openai/gpt-4o-mini": (1, 2)}).price == CHEAP


@pytest.mark.parametrize("price", [(1, 2), [1, 2], {"input": 1, "output": 2}, CHEAP])
def test_a_price_may_be_written_in_several_ways(price: Any) -> None:
    assert root("openai/gpt-4o-mini", prices={"openai/gpt-4o-mini": price}).price == CHEAP


@pytest.mark.parametrize("price", ["free", (1,), {"in": 1}, 3, ("a", "b")])
def test_a_price_that_is_none_is_named(price: Any) -> None:
    with pytest.raises(rlm.ConfigurationError, match=r"the price of 'openai/gpt-4o-mini' is"):
        root("openai/gpt-4o-mini", prices={"openai/gpt-4o-mini": price})


def test_parameters_of_a_model_reach_its_requests() -> None:
    model = rlm.Model(
        "openai/gpt-4o-mini",
        temperature=0.5,
        thinking="low",
        max_output_tokens=100,
        window=5_000,
        timeout=9,
        extra={"top_p": 0.1},
    )
    found = root(model)
    request = found.request((), 8_000)
    assert (request.temperature, request.thinking, request.max_output_tokens) == (0.5, "low", 100)
    assert request.extra == {"top_p": 0.1}
    assert (found.window, found.timeout) == (5_000, 9)


def test_an_unknown_window_is_assumed_and_said() -> None:
    found = root(scripted())
    assert (found.window, found.window_known) == (DEFAULT_WINDOW, False)


def test_a_list_of_models_has_the_smallest_window_and_the_dearest_price() -> None:
    cheap, dear = scripted(name="a/a"), scripted(name="b/b", price=Price.per_million(5, 6))
    cheap.window, dear.window = 9_000, 7_000
    found = root([cheap, dear])
    assert (found.name, found.window, found.price) == ("a/a", 7_000, Price.per_million(5, 6))
    assert found.price_of("a/a") == CHEAP


@pytest.mark.parametrize(
    ("options", "unpriced"),
    [
        ({"model": "free/model"}, "free/model"),
        ({"sub_model": "free/sub"}, "free/sub"),
        ({"models": ["free/other"]}, "free/other"),
    ],
)
def test_a_money_limit_wants_a_price_for_every_model(
    options: Mapping[str, Any], unpriced: str
) -> None:
    made = {
        name: scripted(name=value, price=None)
        if isinstance(value, str)
        else [scripted(name=each, price=None) for each in value]
        for name, value in options.items()
    }
    given = {"model": scripted(), **made}
    resolve.roster(given, Limits())
    with pytest.raises(rlm.ConfigurationError, match=f"'{unpriced}'.*prices="):
        resolve.roster(given, Limits(max_cost_usd=1))


@pytest.mark.parametrize(
    ("variable", "model"),
    [
        ("GEMINI_API_KEY", "gemini/gemini-2.5-flash"),
        ("OPENAI_API_KEY", "openai/gpt-4o-mini"),
    ],
)
def test_a_missing_key_is_named_by_its_variable(
    variable: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    with pytest.raises(rlm.ConfigurationError, match=variable):
        root(model)


def test_a_function_is_a_model_with_its_name() -> None:
    def echo(request: rlm.Request) -> str:
        return request.prompt

    assert "echo" in root(echo).name


@pytest.mark.parametrize("given", [3, object(), {"model": "x"}, [[]]])
def test_what_is_no_model_is_named(given: Any) -> None:
    with pytest.raises(rlm.ConfigurationError, match="no model"):
        root(given)


# Registered by other packages -----------------------------------------------------------------


class Entry:
    def __init__(self, name: str, made: Any) -> None:
        self.name = name
        self._made = made

    def load(self) -> Any:
        return self._made


def test_other_packages_register_models_and_sandboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ProcessSandbox(hash_seed=3)
    groups = {
        "rlm.lms": [Entry("acme", lambda name: scripted(name=name))],
        "rlm.sandboxes": [Entry("cellar", lambda: place)],
    }
    monkeypatch.setattr(resolve, "entry_points", lambda group: groups[group])
    assert root("acme/one").name == "acme/one"
    assert resolve.sandbox("cellar") is place
    groups["rlm.lms"] = [Entry("acme", lambda name: "no model")]
    with pytest.raises(rlm.ConfigurationError, match="registered for 'acme/one' is no LM"):
        root("acme/one")


def test_the_groups_are_those_of_the_installed_packages() -> None:
    assert not [entry for entry in metadata.entry_points(group="rlm.lms") if not entry.name]


# Sandboxes, dialects, sinks -------------------------------------------------------------------


def test_sandboxes_by_name_and_as_objects() -> None:
    assert resolve.sandbox(None) == resolve.sandbox("process") == ProcessSandbox()
    own = ProcessSandbox(processes=2)
    assert resolve.sandbox(own) is own
    with pytest.raises(rlm.ConfigurationError, match=r"'jail' is not known; there are: .*process"):
        resolve.sandbox("jail")


@pytest.mark.parametrize("given", [3, ProcessSandbox, {"image": "x"}])
def test_what_is_no_sandbox_is_named(given: Any) -> None:
    with pytest.raises(rlm.ConfigurationError, match="no sandbox"):
        resolve.sandbox(given)


def test_limits_from_a_mapping() -> None:
    assert resolve.limits({"max_depth": 1}) == Limits(max_depth=1)
    assert resolve.limits(None) == Limits()
    with pytest.raises(rlm.ConfigurationError, match="'much'"):
        resolve.limits("much")  # type: ignore[arg-type] # what a caller may try


@pytest.mark.parametrize("name", ["max_seconds", "cell_seconds", "max_cost_usd"])
@pytest.mark.parametrize("endless", [float("inf"), float("nan")])
def test_no_limit_is_none_and_never_a_number_without_end(name: str, endless: float) -> None:
    assert getattr(Limits(**{name: None}), name) is None
    with pytest.raises(rlm.ConfigurationError, match=name):
        Limits(**{name: endless})


def test_sinks_are_none_one_or_several() -> None:
    seen: list[Any] = []
    assert resolve.sinks(None) == ()
    assert resolve.sinks(seen.append) == (seen.append,)
    assert len(resolve.sinks([seen.append, print])) == 2
    with pytest.raises(rlm.ConfigurationError, match="'loud' is no plain function"):
        resolve.sinks(["loud"])


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"max_output_tokens": 0},
        {"timeout": 0},
        {"window": 0},
        {"temprature": 1},
        {"thinking": "much"},
    ],
    ids=str,
)
def test_an_impossible_option_of_a_model_is_named(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(rlm.ConfigurationError, match=rf"Model\('openai/x'\): {name}: "):
        rlm.Model("openai/x", **options)
