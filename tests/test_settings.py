from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import final, run, scripted

import rlm
from rlm import settings
from rlm.limits import Limits


@pytest.fixture(autouse=True)
def no_defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RLM_MODEL", raising=False)
    settings.reset()
    yield
    settings.reset()


def test_configure_adds_to_what_was_configured() -> None:
    rlm.configure(model="offline/needle")
    rlm.configure(dialect="json")
    assert settings.defaults() == {"model": "offline/needle", "dialect": "json"}


def test_the_defaults_that_are_told_are_a_copy() -> None:
    settings.defaults()["model"] = "x"
    assert settings.defaults() == {}


def test_the_later_layer_wins_and_all_win_over_configure() -> None:
    rlm.configure(seed=1, dialect="json", tags=["configured"])
    assert settings.merged({"seed": 2, "dialect": "tags"}, {"seed": 3}) == {
        "seed": 3,
        "dialect": "tags",
        "tags": ("configured",),
    }


@pytest.mark.parametrize("name", ["modell", "temperature", "backend", ""])
def test_an_unknown_option_is_named_with_those_that_exist(name: str) -> None:
    with pytest.raises(rlm.ConfigurationError) as caught:
        settings.merged({name: 1})
    assert f"unknown option {name!r}" in str(caught.value)
    assert all(option in str(caught.value) for option in settings.Options.__annotations__)


def test_configure_refuses_everything_when_one_name_is_wrong() -> None:
    with pytest.raises(rlm.ConfigurationError):
        rlm.configure(model="offline/needle", modle="x")
    assert settings.defaults() == {}


def test_the_environment_names_a_model_where_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RLM_MODEL", "offline/needle")
    text = "Some words. The magic number is 1234. More words."
    assert rlm.completion("What is the magic number?", context=text).value == "1234"
    assert run(final("given")).value == "given"


def test_one_client_s_options_are_no_other_s(tmp_path: Path) -> None:
    first = rlm.RLM(model=scripted(final("first")), log_dir=tmp_path)
    second = rlm.RLM(model=scripted(final("second")))
    assert [client.completion("x").value for client in (first, second)] == ["first", "second"]
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    assert "scripted" in repr(first)


def test_a_client_may_be_used_twice_whatever_its_options_are() -> None:
    @rlm.tool
    def ping() -> str:
        """Answer."""
        return "pong"

    seen: list[Any] = []
    client = rlm.RLM(
        model=scripted(final("a"), final("b")),
        models=iter([scripted(name="scripted/other")]),
        tools=iter([ping]),
        tags=iter(["t"]),
        on_event=[seen.append],
        limits=Limits(max_iterations=2),
    )
    results = [client.completion("x"), client.completion("x")]
    assert [result.value for result in results] == ["a", "b"]
    starts = [event for event in seen if event.type == "run_started"]
    assert [len(start.tools) for start in starts] == [1, 1]
    assert [start.tags for start in starts] == [("t",), ("t",)]
    assert [len(start.models) for start in starts] == [2, 2]


@pytest.mark.parametrize("name", ["models", "tools", "validators", "tags", "on_event"])
@pytest.mark.parametrize("value", ["openai/gpt-5", 3])
def test_one_thing_where_a_list_belongs_is_named(name: str, value: Any) -> None:
    with pytest.raises(rlm.ConfigurationError, match=f"{name}={value!r} is no list"):
        settings.merged({name: value})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("seed", "abc", "seed='abc' is no whole number"),
        ("validators", ["short"], "'short' is no validator"),
        ("secrets", ["a-secret"], "a mapping of names to texts"),
        ("secrets", {"UNSET": None}, "a mapping of names to texts"),
    ],
)
def test_a_value_that_no_run_could_use_is_refused_at_once(
    option: str, value: Any, message: str
) -> None:
    with pytest.raises(rlm.ConfigurationError, match=message) as caught:
        rlm.configure(**{option: value})
    assert "a-secret" not in str(caught.value)
