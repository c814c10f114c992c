from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import types
from typing import Any

import pytest

import rlm
import rlm.testing

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(rlm.__path__, "rlm.")
    if not found.name.endswith("__main__")
)


def public(module: types.ModuleType) -> set[str]:
    return {name for name in dir(module) if not name.startswith("_")}


def test_all_is_what_is_importable() -> None:
    assert len(set(rlm.__all__)) == len(rlm.__all__)
    for name in rlm.__all__:
        assert getattr(rlm, name) is not None
    assert set(rlm.__all__) <= set(dir(rlm))


def test_dir_holds_nothing_that_cannot_be_had() -> None:
    for name in dir(rlm):
        getattr(rlm, name)
    extra = {
        name
        for name in public(rlm) - set(rlm.__all__)
        if not isinstance(getattr(rlm, name), types.ModuleType)
    }
    assert extra <= {"import_module", "annotations", "TYPE_CHECKING", "Any"}


@pytest.mark.parametrize("name", rlm.__all__)
def test_each_name_is_at_home_where_it_is_defined(name: str) -> None:
    value: Any = getattr(rlm, name)
    assert value.__module__.startswith("rlm.")
    home = importlib.import_module(value.__module__)
    assert getattr(home, name) is value
    assert name in home.__all__


@pytest.mark.parametrize("name", rlm.__all__)
def test_each_public_name_has_documentation(name: str) -> None:
    value: Any = getattr(rlm, name)
    assert value.__doc__
    assert "\n\n" in value.__doc__ or len(value.__doc__.splitlines()) <= 3


def test_what_the_issue_names_is_there() -> None:
    wanted = (
        "predict apredict completion acompletion stream astream configure RLM Model Signature "
        "Limits File Result tool"
    )
    assert set(wanted.split()) <= set(rlm.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'rlm' has no attribute 'predikt'"):
        _ = rlm.predikt


@pytest.mark.parametrize("name", rlm.testing.__all__)
def test_the_doubles_are_importable(name: str) -> None:
    assert getattr(rlm.testing, name).__doc__


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    if not hasattr(module, "__path__"):
        assert isinstance(module.__all__, list), name
        assert all(hasattr(module, each) for each in module.__all__)


_LIGHT = """
import sys
import rlm
heavy = {"aiohttp", "litellm", "google.genai", "docker", "tiktoken", "RestrictedPython", "rich",
         "typer", "asyncio", "pydantic"}
print(sorted(heavy & set(sys.modules)))
import threading
print(threading.active_count())
"""


def test_importing_it_imports_nothing_heavy_and_starts_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIGHT], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "1"]
