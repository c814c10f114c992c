"""The one place that turns names into adapters, before anything is spent."""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, get_args

from rlm import catalog
from rlm.errors import ConfigurationError
from rlm.limits import Limits
from rlm.lm.base import LM, Model
from rlm.prompt import Dialect
from rlm.roster import DEFAULT_WINDOW, Roster, RosterModel
from rlm.sandbox.base import Sandbox
from rlm.tools.base import Tool
from rlm.usage import Price

if TYPE_CHECKING:
    from rlm.lm._http import Connections

__all__ = ["dialect", "limits", "roster", "sandbox", "sinks", "tools"]

Prices = Mapping[str, Any]


# Models ---------------------------------------------------------------------------------------


def roster(options: Mapping[str, Any], limits: Limits) -> Roster:
    """Return the models of a run.

    Raises ConfigurationError when none is named, when a name means nothing, when a key is missing,
    and when money is limited but a price is unknown.
    """
    known = _Known(_prices(options.get("prices") or {}))
    root = _model(_chosen(options.get("model"), "RLM_MODEL"), known)
    chosen = _chosen(options.get("sub_model"), "RLM_SUB_MODEL")
    sub = None if chosen is None else _model(chosen, known)
    found = Roster(root, sub, [_model(each, known) for each in options.get("models") or ()])
    if limits.max_cost_usd is not None:
        _refuse_unpriced(found)
    return found


def _prices(given: Any) -> Prices:
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"prices={given!r}: give a dict of models and their (input, output) in dollars a "
            "million tokens"
        )
    return given


def _chosen(given: Any, variable: str) -> Any:
    return given if given is not None else os.environ.get(variable) or None


class _Known:
    """What the models of one run have in common: the caller's prices, and their connections."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices

    @cached_property
    def connections(self) -> Connections:
        """The connections of all OpenAI-compatible models of the run."""
        from rlm.lm._http import Connections

        return Connections()


def _refuse_unpriced(found: Roster) -> None:
    unpriced = [model.name for model in found.models if model.price is None]
    if unpriced:
        names = ", ".join(map(repr, unpriced))
        raise ConfigurationError(
            f"max_cost_usd is set, but the price of {names} is unknown, so it could not be kept: "
            f"give prices={{{unpriced[0]!r}: (input, output)}} in dollars a million tokens, or "
            "limit max_tokens instead"
        )


def _model(given: Any, known: _Known) -> RosterModel:
    if given is None:
        raise ConfigurationError(
            "no model: pass model='gemini/gemini-3-pro' or any other name, set RLM_MODEL, or try "
            "'offline/needle', which needs no key"
        )
    each = list(given) if isinstance(given, (list, tuple)) else [given]
    if not each:
        raise ConfigurationError("the list of models is empty: name at least one")
    parts = [_Named(one, known) for one in each]
    first = parts[0]
    windows = [part.window for part in parts if part.window is not None]
    asked = first.options
    return RosterModel(
        name=first.name,
        lms=tuple(part.lm for part in parts),
        prices=tuple(part.price for part in parts),
        window=min(windows) if windows else DEFAULT_WINDOW,
        window_known=bool(windows),
        max_output_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        thinking=asked.thinking,
        timeout=asked.timeout or 600.0,
        extra=asked.extra,
    )


class _Named:
    """One thing that the caller gave as a model: the LM, and what is known of it."""

    def __init__(self, given: Any, known: _Known) -> None:
        if isinstance(given, Model):
            self.options = given
            self.lm = _by_name(given, known)
        elif isinstance(given, str):
            self.options = Model(given)
            self.lm = _by_name(self.options, known)
        else:
            self.lm = _object(given)
            self.options = Model(self.lm.name)
        self.name = self.options.name
        # What the port lets an LM say, and no LM has to: see `LM`.
        own_price = getattr(self.lm, "price", None)
        own_window = getattr(self.lm, "window", None)
        facts = catalog.facts(self.name) if isinstance(given, (str, Model)) else None
        told = _price(self.name, known.prices)
        self.price: Price | None = (
            told or self.options.price or own_price or (facts.price if facts else None)
        )
        self.window: int | None = (
            self.options.window or own_window or (facts.window if facts else None)
        )


def _object(given: Any) -> LM:
    if isinstance(given, LM):
        return given
    if callable(given):
        from rlm.lm.function import FunctionLM

        return FunctionLM(given)
    raise ConfigurationError(
        f"{given!r} is no model: give a name, an rlm.Model, a function of a request, or an object "
        "with name, complete and aclose"
    )


def _by_name(model: Model, known: _Known) -> LM:
    provider, _, rest = model.name.partition("/")
    if not rest and model.base_url is None:
        raise ConfigurationError(
            f"{model.name!r} names no provider: write 'openai/{model.name}', "
            f"'gemini/{model.name}' …, or give base_url= for a compatible server"
        )
    common: dict[str, Any] = {"api_key": model.api_key, "timeout": model.timeout or 600}
    if provider == "offline":
        from rlm.lm.offline import create

        return create(model.name)
    if provider in ("gemini", "google"):
        from rlm.lm.google import GoogleLM

        return GoogleLM(model.name, base_url=model.base_url, **common)
    if provider == "openai" or (model.base_url is not None and not _is_known(model.name)):
        from rlm.lm.openai import OpenAILM

        return OpenAILM(
            model.name,
            base_url=model.base_url,
            api_key=model.api_key,
            timeout=None,  # the run's own clock is enough
            connections=known.connections,
        )
    for made in entry_points(group="rlm.lms"):
        if made.name == provider:
            return _registered(made.load()(model.name), model.name)
    if not _is_known(model.name) and provider not in _litellm_providers():
        raise ConfigurationError(
            f"the model {model.name!r} is not known: see `rlm models`, or give base_url= for an "
            "OpenAI-compatible server"
        )
    from rlm.lm.litellm import LiteLLM

    return LiteLLM(model.name, base_url=model.base_url, **common)


def _is_known(name: str) -> bool:
    return catalog.facts(name).known


def _litellm_providers() -> set[str]:
    return {name.partition("/")[0] for name in catalog.models()} | {"litellm"}


def _registered(made: Any, name: str) -> LM:
    if not isinstance(made, LM):
        raise ConfigurationError(f"what is registered for {name!r} is no LM: {made!r}")
    return made


def _price(name: str, prices: Prices) -> Price | None:
    given = prices.get(name)
    if given is None or isinstance(given, Price):
        return given
    try:
        if isinstance(given, Mapping):
            return Price.per_million(**given)
        into, out = given
        return Price.per_million(into, out)
    except (TypeError, ValueError, ArithmeticError):
        raise ConfigurationError(
            f"the price of {name!r} is {given!r}: give (input, output) in dollars a million tokens"
        ) from None


# Sandboxes, tools, limits ----------------------------------------------------------------------


def sandbox(given: Any) -> Sandbox:
    """Return the sandbox that a name or an object means."""
    if given is None:
        given = "process"
    if not isinstance(given, str):
        return _checked_sandbox(given)
    if given.startswith("command:"):
        return _command(given.partition(":")[2])
    makers = _sandboxes()
    if given in makers:
        return makers[given]()
    for made in entry_points(group="rlm.sandboxes"):
        if made.name == given:
            return _checked_sandbox(made.load()())
    known = ", ".join([*sorted(makers), "'command: WORDS'"])
    raise ConfigurationError(f"the sandbox {given!r} is not known; there are: {known}")


def _command(words: str) -> Sandbox:
    from rlm.sandbox.command import CommandSandbox

    try:
        return CommandSandbox(shlex.split(words))
    except ValueError as error:
        raise ConfigurationError(f"sandbox='command:{words}': {error}") from None


def _checked_sandbox(given: Any) -> Sandbox:
    if isinstance(given, type) or not isinstance(given, Sandbox):
        raise ConfigurationError(
            f"{given!r} is no sandbox: give a name such as 'process', or an object with name and "
            "start"
        )
    return given


def _sandboxes() -> dict[str, Callable[[], Sandbox]]:
    def process() -> Sandbox:
        from rlm.sandbox.process import ProcessSandbox

        return ProcessSandbox()

    def local() -> Sandbox:
        from rlm.sandbox.local import LocalSandbox

        return LocalSandbox()

    def docker() -> Sandbox:
        from rlm.sandbox.docker import DockerSandbox

        return DockerSandbox()

    return {"process": process, "local": local, "docker": docker}


def tools(given: Iterable[Tool | Callable[..., Any]] | None) -> tuple[Tool, ...]:
    """Return the tools of a run: tools as they are, functions as tools.

    Raises ConfigurationError when two have one name.
    """
    found: dict[str, Tool] = {}
    for each in given or ():
        made = each if isinstance(each, Tool) else _function_tool(each)
        if made.name in found:
            raise ConfigurationError(f"two tools are called {made.name!r}: rename one")
        found[made.name] = made
    return tuple(found.values())


def _function_tool(function: Callable[..., Any]) -> Tool:
    from rlm.tools.functions import FunctionTool

    return FunctionTool(function)


def limits(given: Limits | Mapping[str, Any] | None) -> Limits:
    """Return the limits of a run."""
    if given is None:
        return Limits()
    if isinstance(given, Mapping):
        return Limits(**given)
    if not isinstance(given, Limits):
        raise ConfigurationError(f"limits={given!r}: give rlm.Limits(…) or a dict of limits")
    return given


def dialect(given: str | None) -> Dialect:
    """Return the dialect that the prompt teaches."""
    known: tuple[Dialect, ...] = get_args(Dialect)
    for each in known:
        if each == (given or "fence"):
            return each
    raise ConfigurationError(f"the dialect {given!r} is not known: {', '.join(known)}")


def sinks(given: Any) -> Sequence[Callable[..., None]]:
    """Return the sinks of a run: none, one, or several."""
    if given is None:
        return ()
    found = (given,) if callable(given) else tuple(given)
    for sink in found:
        if not callable(sink) or inspect.iscoroutinefunction(sink):
            raise ConfigurationError(f"on_event: {sink!r} is no plain function of an event")
    return found
