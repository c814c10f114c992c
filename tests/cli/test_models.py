from __future__ import annotations

import json

import pytest

from rlm import events
from rlm.cli.app import run_app


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlm.cli.models import KEYS

    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    monkeypatch.setenv("RLM_MODEL", "openai/gpt-5-mini")


def test_models_lists_window_and_price_by_part_of_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["models", "GPT-4o-mini"]) == 0
    found = capsys.readouterr()
    (line,) = [line for line in found.out.splitlines() if line.split()[0] == "gpt-4o-mini"]
    assert line.split() == ["gpt-4o-mini", "128,000", "0.15", "0.6"]


def test_models_names_the_default_and_the_keys_but_never_a_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["models", "gpt-4o-mini"]) == 0
    found = capsys.readouterr()
    assert "default (RLM_MODEL): openai/gpt-5-mini" in found.err
    assert "keys set: OPENAI_API_KEY" in found.err
    assert "secret" not in found.out + found.err


def test_models_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["models", "gpt-4o-mini", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["default"] == "openai/gpt-5-mini"
    assert found["keys"] == ["OPENAI_API_KEY"]
    rows = {row["name"]: row for row in found["models"]}
    assert rows["gpt-4o-mini"]["input"] == "0.15"


def test_models_says_when_no_name_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["models", "no-such-model"]) == 0
    assert "'no-such-model'" in capsys.readouterr().err


def test_schema_names_every_type_of_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    named = {
        definition["properties"]["type"].get("const")
        for definition in schema["$defs"].values()
        if "seq" in definition.get("properties", {})
    }
    assert set(events.EVENT_TYPES) <= named
