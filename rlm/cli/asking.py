"""One run on behalf of a command: what it may use, what is shown, how it exits."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm.cli import exits, terminal
from rlm.cli.inputs import Task, read_pairs
from rlm.errors import ConfigurationError
from rlm.events import Delta, Event, RunStarted

if TYPE_CHECKING:
    from rlm.limits import Limits
    from rlm.result import Result
    from rlm.trace import Sink

__all__ = ["Display", "ask", "choose_models", "limits_of", "summary", "tell_kept"]

_NO_MODEL = (
    "no model: give one with -m NAME, or set RLM_MODEL (as in gemini/gemini-3.1-pro-preview); "
    "'rlm models' lists names, and offline/needle or 'rlm demo' need no key"
)


@dataclass(frozen=True)
class Display:
    """What is shown of a run while it goes on, and in which form its result is printed."""

    verbose: bool = False
    stream: bool = False
    quiet: bool = False
    as_json: bool = False

    def sinks(self, stack: ExitStack) -> list[Sink]:
        """Return the sinks that show it; what they opened is closed with the stack."""
        from rlm.sinks.console import LiveTree
        from rlm.sinks.lines import TextStream, Verbose

        console = terminal.error_console()
        found: list[Sink] = []
        if self.stream:
            found.append(TextStream(sys.stderr))
        if self.verbose:
            found.append(Verbose(console))
        if not found and not self.quiet and console.is_terminal and not console.is_dumb_terminal:
            found.append(stack.enter_context(LiveTree(console)))
        return found


def limits_of(**given: Any) -> Limits:
    """Return Limits of the values that were given; the others keep their defaults."""
    from rlm.limits import Limits

    return Limits(**{name: value for name, value in given.items() if value is not None})


def choose_models(
    model: str | None,
    sub_model: str | None,
    allowed: Sequence[str],
    *,
    prices: Sequence[str] = (),
    base_url: str | None = None,
    thinking: str | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Return the arguments of `predict` that say which models a run may ask, and how."""
    from rlm.lm.base import Model

    if not model:
        raise ConfigurationError(_NO_MODEL)
    provider = _provider(model)

    def named(name: str, **options: Any) -> Model | str:
        if base_url and _provider(name) == provider:
            options["base_url"] = base_url
        options = {key: value for key, value in options.items() if value is not None}
        return Model(name, **options) if options else name

    return {
        "model": named(model, thinking=thinking, temperature=temperature),
        "sub_model": named(sub_model) if sub_model else None,
        "models": tuple(named(name) for name in allowed),
        "prices": _prices(prices) or None,
    }


def _provider(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


def _prices(given: Sequence[str]) -> dict[str, Any]:
    from decimal import InvalidOperation

    from rlm.usage import Price

    found = {}
    for name, value in read_pairs(given, "--price name=in/out").items():
        in_price, slash, out_price = value.partition("/")
        try:
            if not slash:
                raise ValueError(value)
            found[name] = Price.per_million(in_price, out_price)
        except (InvalidOperation, ValueError):
            raise ConfigurationError(
                f"--price {name}={value}: write dollars per million tokens, as in {name}=0.25/2.00"
            ) from None
    return found


class _LastSeen:
    """A Sink that remembers which run it belongs to, for when it is interrupted."""

    def __init__(self, log_dir: str | None, sinks: Sequence[Sink]) -> None:
        self._log_dir = log_dir
        self._sinks = sinks
        self._run = ""

    def __call__(self, what: Event | Delta) -> None:
        if type(what) is RunStarted:
            self._run = what.run
        for sink in self._sinks:
            sink(what)

    @property
    def log(self) -> str:
        """The path of the run's log, or `""`."""
        if not (self._log_dir and self._run):
            return ""
        return str(Path(self._log_dir).expanduser() / f"{self._run}.jsonl")


def ask(task: Task, display: Display, *, log_dir: str | None, **options: Any) -> int:
    """Run a task, print what it came to, and return the exit code."""
    try:
        result = _run(task, display, log_dir, options)
    except _Interrupted as interrupted:
        log = f"; its log is whole: {interrupted.log}" if interrupted.log else ""
        exits.complain(f"interrupted{log}")
        return exits.INTERRUPTED
    if not display.quiet and (sys.stderr.isatty() or display.verbose):
        terminal.error_console().print(summary(result), style="dim", soft_wrap=True)
    _warn(result, display)
    if display.as_json:
        terminal.write_json({**result.to_dict(), "log": result.log})
    elif result.ok or (result.needs_review and _has_output(result)):
        terminal.write_text(answer_text(result))
    return exits.exit_code(result)


class _Interrupted(Exception):
    """The person at the terminal stopped the run; `log` is where it was recorded."""

    def __init__(self, log: str) -> None:
        self.log = log


def _run(task: Task, display: Display, log_dir: str | None, options: dict[str, Any]) -> Result[Any]:
    import rlm

    with ExitStack() as stack:
        if display.quiet:
            stack.enter_context(terminal.without_warnings())
        seen = _LastSeen(log_dir, display.sinks(stack))
        work = rlm.apredict(
            task.signature,
            input=task.inputs,
            instructions=task.instructions,
            stream=display.stream,
            log_dir=log_dir,
            on_event=seen,
            **options,
        )
        try:
            return asyncio.run(_until_stopped(work))
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise _Interrupted(seen.log) from None


async def _until_stopped(work: Coroutine[Any, Any, Result[Any]]) -> Result[Any]:
    """Await a run; SIGTERM ends it in good order, as Ctrl-C does by itself."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def answer_text(result: Result[Any]) -> str:
    """Return the output as a person reads it: a text as it is, anything else as JSON."""
    import json

    fields = result.to_dict()["output"]
    value = next(iter(fields.values())) if len(fields) == 1 else fields
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def summary(result: Result[Any]) -> str:
    """Return one line about a run: what it came to, what it took, where its log is."""
    from rlm.sinks.wording import cost_text, count_text, seconds_text

    parts = [
        result.status.replace("_", " ") + (" (forced)" if result.forced else ""),
        f"ended by {result.ended_by}",
        seconds_text(result.seconds),
        f"{result.llm_calls:,} model calls",
        f"{count_text(result.usage.total_tokens)} tokens",
        cost_text(result.cost),
        *([result.log] if result.log else []),
    ]
    return " · ".join(parts)


def _has_output(result: Result[Any]) -> bool:
    return result.to_dict()["output"] is not None


def _warn(result: Result[Any], display: Display) -> None:
    if result.error is not None:
        where = f" (log: {result.log})" if result.log else ""
        status, kind = result.status.replace("_", " "), type(result.error).__name__
        named = "" if kind.lower() == status.replace(" ", "") else f"{kind}: "
        exits.complain(f"{status}: {named}{result.error}{where}")
    elif result.needs_review:
        exits.complain(f"needs review: ended by {result.ended_by}")
    if not display.quiet:
        for warning in result.warnings:
            exits.complain(f"warning: {warning}")
        tell_kept(result.sandbox)


def tell_kept(facts: Mapping[str, Any]) -> None:
    """Say which container is still there, and how it is used and removed."""
    container = str(facts.get("container", ""))[:12]
    if container and facts.get("keep_alive"):
        exits.complain(
            f"container {container} is kept: use it with --reuse-container {container}, remove it"
            f" with rlm docker rm {container}"
        )
