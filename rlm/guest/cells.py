"""Cells: parsed, compiled, run in one namespace, and told about."""

from __future__ import annotations
import __future__

import ast
import types
from typing import Any, Callable

from . import failures
from .errors import CellTimeout, Submitted
from .failures import explain
from .interrupts import Shield
from .previews import describe, kind_name, preview

__all__ = ["VALUE_CHARS", "Cells", "explain", "split"]

VALUE_CHARS = 20_000
"""Characters of the value of a last expression that are told."""
_VARIABLES = 100
_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the 6 ms of importing inspect
_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


class Cells:
    """Runs cells in one namespace, that of a module named `__main__`.

    `after` runs when a cell has come to its end, as a part of it; `suffix` tells the cells of
    several sessions in one process apart. `show` describes the value of a last expression; where
    cells find `_`, the last such value, is `last`.
    """

    def __init__(self, shield: Shield, after: Callable[[], None], suffix: str = "") -> None:
        self._shield = shield
        self._after = after
        self._suffix = suffix
        self.module = types.ModuleType("__main__")
        self.namespace: dict[str, Any] = self.module.__dict__
        self.show: Callable[[Any], str] = lambda value: preview(value, VALUE_CHARS)
        self.last: dict[str, Any] = {}
        self._given: dict[str, int] = {}
        self._sources = failures.Sources()
        self._before: dict[str, Any] = {}
        self._loop: Any = None
        self._awaited: int | None = None
        self._submit: Any = None
        self._count = 0

    def give(self, name: str, value: Any) -> None:
        """Put something into the namespace that is no variable of the cells'."""
        self.namespace[name] = value
        self._given[name] = id(value)
        if name == "submit":
            self._submit = value

    def own(self) -> list[tuple[str, Any]]:
        """Return the variables, inputs among them: no modules, nothing that the guest gave."""
        return [
            (name, value)
            for name, value in list(self.namespace.items())
            if type(name) is str
            and not (
                name.startswith("_")
                or self._given.get(name) == id(value)
                or issubclass(type(value), types.ModuleType)
            )
        ]

    def run(self, code: str) -> dict[str, Any]:
        """Run one cell and return its value, error and new variables as plain JSON values."""
        self._count += 1
        name = self._name(self._count)
        lines = self._sources.add(name, code)
        if self._submit is not None and not callable(self.namespace.get("submit")):
            self.namespace["submit"] = self._submit  # without it no cell could finish
        self._before = self._marks()
        try:
            parts = self.compile(code, name)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            told = failures.syntax_error(error, lines)
            return {"value": None, "error": told, "variables": []}
        return self._run_guarded(parts, name, lines)

    def accepted(self) -> dict[str, Any]:
        """Return what is told of a cell whose output was accepted, and that never goes on."""
        told: dict[str, Any] = {"value": None, "error": None, "variables": []}
        try:
            told["variables"] = self._changed()
        except BaseException:  # its time is up, or the like: the names are enough
            told["variables"] = self._changed(_barely)
        if self._loop is not None:  # it stands still with the cell
            import asyncio

            self._loop = None
            asyncio._set_running_loop(None)
        return told

    def compile(self, code: str, name: str) -> list[types.CodeType]:
        """Return the code objects of a cell, to be run one after the other."""
        return split(ast.parse(code, name), name)

    def _name(self, number: int) -> str:
        return f"<cell {number}{self._suffix}>"

    def _run_guarded(self, parts: list[Any], name: str, lines: list[str]) -> dict[str, Any]:
        """Run and tell within the cell's time; what then takes too long is told barely."""
        told: dict[str, Any] = {"value": None, "error": None, "variables": []}
        caught: BaseException | None = None
        self._awaited = None
        try:
            self._shield.begin()
            try:
                try:
                    self._run(parts, told)
                except Submitted:
                    told["value"] = None
                except BaseException as error:
                    caught = error
                    self._failed(error, told, name, lines)
                told["variables"] = self._changed(_barely if _is_over(caught) else describe)
            finally:
                self._shield.end()
        except BaseException as why:
            self._shield.end()
            if told["error"] is None:
                told["error"] = failures.barely(caught or why, name, lines, why)
            told["variables"] = self._changed(_barely)
        return told

    def _run(self, parts: list[Any], told: dict[str, Any]) -> None:
        value: Any = None
        for code in parts:
            value = self._execute(code)
        if value is not None:
            told["value"] = self.show(value)
            self.last["_"] = value
        self._after()

    def _failed(
        self, error: BaseException, told: dict[str, Any], name: str, lines: list[str]
    ) -> None:
        if issubclass(type(error), MemoryError):
            self.last.pop("_", None)  # nobody knows that it holds something large
        told["value"] = None
        self._sources.restore()
        if _is_over(error):
            told["error"] = failures.barely(error, name, lines, error, self._awaited)
        else:
            told["error"] = failures.told(error, name, lines, self._awaited)

    def _execute(self, code: types.CodeType) -> Any:
        if not code.co_flags & _COROUTINE:
            return eval(code, self.namespace)
        return self._await(eval(code, self.namespace), code.co_filename)

    def _await(self, coroutine: Any, name: str) -> Any:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # else it would go on with the next cell that awaits
                self._awaited = _awaited_line(coroutine, name)
                task.cancel()
                self._loop.run_until_complete(asyncio.wait([task]))
            raise

    def _marks(self) -> dict[str, Any]:
        return {name: _mark(value) for name, value in self.own()}

    def _changed(self, tell: Callable[[str, Any], list[Any]] = describe) -> list[Any]:
        before = self._before
        changed = [item for item in self.own() if before.get(item[0]) != _mark(item[1])]
        return [tell(name, value) for name, value in changed[:_VARIABLES]]


def _mark(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is dict or kind is set or kind is bytearray:
        return (id(value), len(value))
    return id(value)


def _is_over(error: BaseException | None) -> bool:
    """Whether the cell's time is up: no more code of it is to run."""
    return issubclass(type(error), CellTimeout)


def _barely(name: str, value: Any) -> list[Any]:
    """Describe a variable without running code of it."""
    if any(type(value) is kind for kind in _PLAIN):  # `in` would ask its class to compare itself
        return describe(name, value)
    return [name, kind_name(value), None, ""]


_PLAIN = (str, bytes, bytearray, int, float, bool, type(None))


def split(tree: ast.Module, name: str) -> list[types.CodeType]:
    """Compile the statements and, apart, a last expression."""
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    parts = [compile(tree, name, "exec", flags, dont_inherit=True)] if tree.body else []
    future = parts[0].co_flags & _FUTURE if parts else 0
    if isinstance(last, ast.Expr):
        expression = ast.Expression(last.value)
        parts.append(compile(expression, name, "eval", flags | future, dont_inherit=True))
    return parts


def _awaited_line(coroutine: Any, name: str) -> int | None:
    """Return the innermost line of this cell that a suspended coroutine waits at."""
    found = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_code.co_filename == name:
            found = frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)
    return found
