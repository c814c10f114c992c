"""The defaults of runs: what `configure` sets, and what the environment says."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from rlm.errors import ConfigurationError
from rlm.limits import Limits
from rlm.tools.base import Tool
from rlm.trace import Sink

__all__ = ["Options", "configure", "defaults", "merged", "reset"]


class Options(TypedDict, total=False):
    """Everything that a run can be told beside its signature and its inputs.

    `model` answers at the root, `sub_model` in sub-calls, `models` may also be asked for by name;
    each is a name, a Model, an LM or a function, or a list of them to fall back on in order.
    `prices` maps a name to a Price or to dollars a million tokens, (input, output).
    """

    model: Any
    sub_model: Any
    models: Iterable[Any]
    limits: Limits | Mapping[str, Any] | None
    sandbox: Any
    tools: Iterable[Tool | Callable[..., Any]]
    validators: Iterable[Callable[..., Any]]
    instructions: str | None
    dialect: str
    log_dir: str | os.PathLike[str] | None
    on_event: Sink | Iterable[Sink] | None
    prices: Mapping[str, Any] | None
    seed: int | None
    stream: bool
    store_inputs: bool
    secrets: Mapping[str, str] | None
    tags: Iterable[str]


_defaults: dict[str, Any] = {}


def configure(**options: Any) -> None:
    """Set defaults for the runs of this process, by the names that `predict` takes.

    Raises ConfigurationError for an unknown name. `rlm.RLM(…)` holds defaults without touching
    the process's.
    """
    _defaults.update(_checked(options))


def reset() -> None:
    """Forget what `configure` set."""
    _defaults.clear()


def defaults() -> dict[str, Any]:
    """Return what `configure` set."""
    return dict(_defaults)


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run: the later layer wins, and all win over `configure`."""
    found = dict(_defaults)
    for layer in layers:
        found |= _checked(layer)
    return found


_LISTS = frozenset(("models", "tools", "validators", "tags", "on_event"))


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options whose names are known, with lists that can be read more than once."""
    known = Options.__annotations__
    for name in options:
        if name not in known:
            raise ConfigurationError(
                f"unknown option {name!r}; the options are: {', '.join(known)}"
            )
    return {name: _kept(name, value) for name, value in options.items()}


def _kept(name: str, value: Any) -> Any:
    _check_value(name, value)
    if name not in _LISTS or value is None or (name == "on_event" and callable(value)):
        return value
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name}={value!r} is no list: write {name}=[…]")
    given = tuple(value)
    for each in given if name == "validators" else ():
        if not callable(each) or inspect.iscoroutinefunction(each):
            raise ConfigurationError(
                f"{each!r} is no validator: give a plain function of the output"
            )
    return given


def _check_value(name: str, value: Any) -> None:
    if name == "seed" and not isinstance(value, int | None):
        raise ConfigurationError(f"seed={value!r} is no whole number")
    texts = value.values() if isinstance(value, Mapping) else [None]
    if name == "secrets" and value is not None and not all(isinstance(v, str) for v in texts):
        raise ConfigurationError("secrets= takes a mapping of names to texts")  # showing none
