"""The table of host functions that the cells of one call may use; nothing else crosses."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from rlm import events
from rlm.call import error_fact
from rlm.errors import PolicyViolation, ToolError
from rlm.run import Run
from rlm.sandbox.base import Functions
from rlm.signature import plain
from rlm.subcalls import SubCalls
from rlm.tools.base import Tool
from rlm.trace import BLOB_OVER

__all__ = ["MOST_CROSSINGS", "MOST_LOGGED", "Bridge", "Caller"]

MOST_CROSSINGS = 10_000
"""Times that one cell may call the host; many sub-calls that are asked for at once are one."""

MOST_LOGGED = 1_000_000
"""Characters that one cell may log."""

_LONGEST_MESSAGE = 10_000

HostFunction = Callable[..., Awaitable[Any]]


class Caller(Protocol):
    """The call whose cells use the Bridge."""

    id: str
    run: Run

    @property
    def cell_number(self) -> int:
        """The cell that runs now."""
        ...

    def submit(self, value: Any, *, named: bool) -> None:
        """Take an offered output, perhaps by the names of its fields, or raise ValidationFailed."""
        ...

    def earlier_turns(self) -> list[dict[str, Any]]:
        """The turns so far."""
        ...


class Bridge:
    """The host functions of one call: sub-calls, the output, the budget, and the run's tools.

    Each crossing is told to the trace, with its outcome: by the calls it made, or as a value.
    """

    def __init__(self, caller: Caller, subcalls: SubCalls, tools: tuple[Tool, ...]) -> None:
        self._caller = caller
        self._run = caller.run
        self._subcalls = subcalls
        self._tools = tools
        self._cell = _Cell(0)

    def functions(self) -> Functions:
        """Return the table: the name in a cell, the function of the host."""
        own: dict[str, HostFunction] = {
            "llm_query": self._query,
            "parallel_queries": self._queries,
            "predict": self._predict,
            "parallel_predict": self._predictions,
            "submit": self._submit,
            "budget": self._budget,
            "history": self._history,
            "log": self._log,
        }
        own |= {tool.name: functools.partial(self._tool, tool) for tool in self._tools}
        return {name: functools.partial(self._cross, name, do) for name, do in own.items()}

    async def _cross(self, name: str, do: HostFunction, /, *args: Any, **kwargs: Any) -> Any:
        trace, call = self._run.trace, self._caller.id
        self._count()
        number = self._run.next_bridge()
        trace.emit(
            events.BridgeCalled,
            call,
            bridge=number,
            cell=self._caller.cell_number,
            function=name,
            key=_key(name, args, kwargs),
        )
        crossing = _Crossing(number)
        try:
            value = await do(crossing, *args, **kwargs)
        except TypeError as error:  # arguments that the function does not take
            problem = ToolError(f"{name}: {error}")
            trace.emit(events.BridgeReturned, call, bridge=number, error=error_fact(problem))
            raise problem from None
        except BaseException as error:  # whatever it is, each crossing has its ending
            trace.emit(events.BridgeReturned, call, bridge=number, error=error_fact(error))
            raise
        trace.emit(events.BridgeReturned, call, bridge=number, value=crossing.recorded)
        return value

    def _count(self) -> None:
        """Refuse to a cell what no cell needs; it leaves no fact, for there would be no end."""
        if self._cell.number != self._caller.cell_number:
            self._cell = _Cell(self._caller.cell_number)
        self._cell.crossings += 1
        if self._cell.crossings > MOST_CROSSINGS:
            raise ToolError(
                f"a cell may call the host {MOST_CROSSINGS:,} times: ask for many things at once,"
                " or go on in the next cell"
            )

    # Sub-calls --------------------------------------------------------------------------------

    async def _query(self, crossing: _Crossing, prompt: str, **options: Any) -> dict[str, Any]:
        return await self._subcalls.query(prompt, cell=self._caller.cell_number, **options)

    async def _queries(
        self,
        crossing: _Crossing,
        *prompts: Any,
        max_concurrency: int | None = None,
        **common: Any,
    ) -> list[dict[str, Any]]:
        common["cell"] = self._caller.cell_number
        ask = functools.partial(self._one_query, common)
        return await self._subcalls.many(prompts, ask, max_concurrency)

    async def _one_query(self, common: dict[str, Any], item: Any) -> dict[str, Any]:
        if not isinstance(item, Mapping):
            return await self._subcalls.query(item, **common)
        named = {_WORDS.get(str(name), str(name)): value for name, value in item.items()}
        unknown = named.keys() - _QUERY_OPTIONS
        if unknown or "prompt" not in named:
            raise ToolError(
                f"a query is a text, or a dict with 'prompt' and any of {sorted(_QUERY_OPTIONS)}; "
                f"this one has {sorted(map(str, item))}"
            )
        return await self._subcalls.query(named.pop("prompt"), **{**common, **named})

    async def _predict(
        self,
        crossing: _Crossing,
        signature: str,
        *,
        model: str | None = None,
        instructions: str | None = None,
        recursive: bool | None = None,
        sample: int = 0,
        **inputs: Any,
    ) -> dict[str, Any]:
        return await self._subcalls.predict(
            signature,
            inputs,
            model=model,
            instructions=instructions,
            recursive=recursive,
            sample=sample,
            cell=self._caller.cell_number,
        )

    async def _predictions(
        self,
        crossing: _Crossing,
        signature: str,
        rows: list[Mapping[str, Any]],
        *,
        model: str | None = None,
        max_concurrency: int | None = None,
    ) -> list[dict[str, Any]]:
        ask = functools.partial(
            self._subcalls.predict, signature, model=model, cell=self._caller.cell_number
        )
        return await self._subcalls.many(rows, ask, max_concurrency)

    # The run ----------------------------------------------------------------------------------

    async def _submit(self, crossing: _Crossing, *values: Any, **fields: Any) -> None:
        positional = bool(values) and not fields
        self._caller.submit(values[0] if positional else fields, named=not positional)

    async def _budget(self, crossing: _Crossing) -> dict[str, Any]:
        report = self._run.budget.report()
        crossing.recorded = plain(report)
        return report

    async def _history(self, crossing: _Crossing) -> list[dict[str, Any]]:
        return self._caller.earlier_turns()

    async def _log(self, crossing: _Crossing, message: str) -> None:
        text = str(message)[:_LONGEST_MESSAGE]
        self._cell.logged += len(text)
        if self._cell.logged > MOST_LOGGED:
            raise ToolError(f"a cell may log {MOST_LOGGED:,} characters: print the rest")
        self._run.trace.emit(events.Logged, self._caller.id, message=text)

    # Tools ------------------------------------------------------------------------------------

    async def _tool(self, tool: Tool, crossing: _Crossing, /, *args: Any, **kwargs: Any) -> Any:
        if tool.category not in ("read_only", "write"):
            raise PolicyViolation(f"the tool {tool.name!r} may not be used: {tool.category}")
        self._run.budget.count_tool_call()
        trace, call = self._run.trace, self._caller.id
        arguments = {**{str(i): value for i, value in enumerate(args)}, **kwargs}
        common = {"bridge": crossing.number, "tool": tool.name}
        began = time.monotonic()
        trace.emit(
            events.ToolCalled, call, category=tool.category, arguments=plain(arguments), **common
        )
        try:
            value = await tool.call(args, kwargs)
        except BaseException as error:
            seconds = round(time.monotonic() - began, 6)
            fact = error_fact(error)
            trace.emit(events.ToolReturned, call, error=fact, seconds=seconds, **common)
            raise
        seconds = round(time.monotonic() - began, 6)
        trace.emit(events.ToolReturned, call, value=plain(value), seconds=seconds, **common)
        return value


class _Cell:
    """What a cell has asked of the host so far."""

    __slots__ = ("crossings", "logged", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.crossings = 0
        self.logged = 0


class _Crossing:
    """One call over the Bridge, numbered; `recorded` is what the trace tells of its value."""

    __slots__ = ("number", "recorded")

    def __init__(self, number: int) -> None:
        self.number = number
        self.recorded: Any = None


_WORDS = {"model_name": "model", "query": "prompt"}
_QUERY_OPTIONS = {"prompt", "model", "context", "output", "sample", "recursive"}


def _key(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return the hash of a request in canonical form: by it a replay knows the crossing again."""
    text = _CANONICAL.encode([name, _brief(args), _brief(kwargs)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_CANONICAL = json.JSONEncoder(sort_keys=True, default=repr, ensure_ascii=False)


def _brief(value: Any) -> Any:
    """Put length and ends in the place of large texts: a gigabyte is not copied to be hashed."""
    if isinstance(value, (str, bytes, bytearray)):
        return value if len(value) <= BLOB_OVER else [len(value), value[:_END], value[-_END:]]
    if isinstance(value, Mapping):
        return {str(key): _brief(item) for key, item in value.items()}
    return [_brief(item) for item in value] if isinstance(value, (list, tuple)) else value


_END = 4096
