from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm import catalog
from rlm.catalog import ModelFacts, facts, models
from rlm.usage import Usage

TABLE: dict[str, Any] = {
    "plain": {
        "mode": "chat",
        "litellm_provider": "openai",
        "max_input_tokens": 272_000,
        "max_output_tokens": 128_000,
        "input_cost_per_token": 2.5e-07,
        "output_cost_per_token": 2e-06,
        "cache_read_input_token_cost": 2.5e-08,
    },
    "gemini/tiered": {
        "mode": "chat",
        "litellm_provider": "gemini",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "cache_read_input_token_cost": 1e-07,
        "input_cost_per_token_above_200k_tokens": 3e-06,
        "output_cost_per_token_above_200k_tokens": 4e-06,
        "input_cost_per_token_above_200k_tokens_batches": 9e-06,
    },
    "d/ranges": {
        "mode": "responses",
        "litellm_provider": "d",
        "tiered_pricing": [
            {"range": [0, 256e3], "input_cost_per_token": 1e-07, "output_cost_per_token": 2e-07},
            {"range": [256e3, 1e6], "input_cost_per_token": 5e-07, "output_cost_per_token": 6e-07},
        ],
    },
    "half": {"mode": "chat", "litellm_provider": "x", "input_cost_per_token": 1e-06},
    "null": {
        "mode": "chat",
        "litellm_provider": "x",
        "input_cost_per_token": None,
        "output_cost_per_token": None,
        "max_input_tokens": None,
    },
    "ollama/local": {
        "mode": "chat",
        "litellm_provider": "ollama",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
        "max_input_tokens": 8192,
    },
    "by-request": {
        "mode": "chat",
        "litellm_provider": "x",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
        "input_cost_per_request": 0.005,
    },
    "embedding": {"mode": "embedding", "input_cost_per_token": 1e-06},
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog, "_loaded", {})
    facts.cache_clear()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / catalog.TABLE
    path.write_text(json.dumps(TABLE), encoding="utf-8")
    monkeypatch.setattr(catalog, "_table_path", lambda: path)
    return path


def test_a_price_and_a_window(table: Path) -> None:
    found = facts("plain")
    assert (found.known, found.window, found.max_output) == (True, 272_000, 128_000)
    assert found.price is not None
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=1_000)
    assert found.price.cost(Usage(input_tokens=1000, output_tokens=10)) == Decimal("0.00027")
    assert found.price.cost(usage) == Decimal("0.162")


def test_a_name_with_its_provider_is_the_bare_name_of_the_same_provider(table: Path) -> None:
    assert facts("openai/plain") == facts("plain")
    assert facts("groq/plain") == ModelFacts()
    assert facts("tiered") == ModelFacts()
    assert facts("plai") == ModelFacts()


@given(st.integers(0, 1_000_000))
def test_a_tier_is_chosen_by_one_request(tokens: int) -> None:
    row = catalog._compact(TABLE["gemini/tiered"])
    price = catalog._price(row)
    assert price is not None
    dear = tokens > 200_000
    assert price.tier(tokens).input == Decimal("0.000003" if dear else "0.000001")
    assert price.tier(tokens).output == Decimal("0.000004" if dear else "0.000002")
    assert price.tier(tokens).cached_input == Decimal("1E-7")


def test_tiers_as_ranges(table: Path) -> None:
    price = facts("d/ranges").price
    assert price is not None
    assert price.tier(256_000).input == Decimal("1E-7")
    assert price.tier(256_001).input == Decimal("5E-7")


@pytest.mark.parametrize("name", ["half", "null", "ollama/local", "by-request"])
def test_lesson_21_rb10_what_is_not_known_is_none_and_never_zero(table: Path, name: str) -> None:
    assert facts(name).price is None
    assert facts(name).known


def test_only_models_that_chat_are_ours(table: Path) -> None:
    assert facts("embedding") == ModelFacts()
    assert "embedding" not in models()
    assert models("gemini") == ["gemini/tiered"]


def test_the_cache_file_is_used_and_made_anew_for_another_table(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = facts("plain")
    monkeypatch.setattr(catalog, "_loaded", {})
    facts.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "_compact", None)  # the table itself is not read again
        assert facts("plain") == first
    table.write_text(json.dumps({"new": TABLE["plain"]}), encoding="utf-8")
    monkeypatch.setattr(catalog, "_loaded", {})
    facts.cache_clear()
    assert models() == ["new"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stamp": 1}', "null"])
def test_a_damaged_cache_file_does_no_harm(table: Path, content: str) -> None:
    path = catalog._cache_path()
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    assert facts("plain").known


def test_an_unwritable_cache_does_no_harm(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert facts("plain").known


def test_without_litellm_everything_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_table_path", lambda: None)
    assert facts("openai/gpt-5-mini") == ModelFacts()
    assert models() == []


def test_the_real_table_has_the_names_that_people_use() -> None:
    for name in ("openai/gpt-5-mini", "gpt-4o", "anthropic/claude-sonnet-4-5"):
        found = facts(name)
        assert found.price is not None and found.window is not None, name
    gemini = facts("gemini/gemini-2.5-pro")
    assert gemini.price is not None and gemini.price.tiers
    assert len(models()) > 1000


def test_lesson_48_litellm_is_not_imported() -> None:
    code = (
        "import sys; from rlm.catalog import facts; assert facts('gpt-4o').known;"
        "print([m for m in sys.modules if m.startswith('litellm')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
