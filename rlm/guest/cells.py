"""Cells: parsed, compiled, run in one namespace, and told about."""

from __future__ import annotations
import __future__

import ast
import linecache
import traceback
import types
from typing import Any, Callable

from .errors import CellTimeout, Submitted
from .interrupts import Shield
from .previews import describe, preview

__all__ = ["Cells", "explain", "split"]

_VALUE_CHARS = 20_000
_MESSAGE_CHARS = 4_000
_VARIABLES = 100
_KEPT_SOURCES = 200
_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the 6 ms of importing inspect
_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


class Cells:
    """Runs cells in one namespace, that of a module named `__main__`.

    `after` runs when a cell has come to its end, as a part of it; `suffix` tells the cells of
    several sessions in one process apart.
    """

    def __init__(self, shield: Shield, after: Callable[[], None], suffix: str = "") -> None:
        self._shield = shield
        self._after = after
        self._suffix = suffix
        self.module = types.ModuleType("__main__")
        self.namespace: dict[str, Any] = self.module.__dict__
        self._given: dict[str, int] = {}
        self._loop: Any = None
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
            if not (
                name.startswith("_")
                or self._given.get(name) == id(value)
                or isinstance(value, types.ModuleType)
            )
        ]

    def run(self, code: str) -> dict[str, Any]:
        """Run one cell and return its value, error and new variables as plain JSON values."""
        self._count += 1
        name = self._name(self._count)
        lines = code.splitlines(keepends=True)
        linecache.cache[name] = (len(code), None, lines, name)
        linecache.cache.pop(self._name(self._count - _KEPT_SOURCES), None)
        if self._submit is not None and not callable(self.namespace.get("submit")):
            self.namespace["submit"] = self._submit  # without it no cell could finish
        before = self._marks()
        try:
            parts = self.compile(code, name)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            return {"value": None, "error": _syntax_error(error, lines), "variables": []}
        value, error_told = self._run_guarded(parts, name, lines)
        return {"value": value, "error": error_told, "variables": self._changed(before)}

    def compile(self, code: str, name: str) -> list[types.CodeType]:
        """Return the code objects of a cell, to be run one after the other."""
        return split(ast.parse(code, name), name)

    def _name(self, number: int) -> str:
        return f"<cell {number}{self._suffix}>"

    def _run_guarded(self, parts: list[Any], name: str, lines: list[str]) -> Any:
        value: Any = None
        try:
            self._shield.begin()
            try:
                for code in parts:
                    value = self._execute(code)
                shown = None if value is None else preview(value, _VALUE_CHARS)
                self._after()
            finally:
                self._shield.end()
        except Submitted:
            return None, None
        except BaseException as error:
            return None, _told(error, name, lines)
        return shown, None

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
        except BaseException as error:
            if not task.done():  # else it would go on with the next cell that awaits
                error.awaited_line = _awaited_line(coroutine, name)  # type: ignore[attr-defined]
                task.cancel()
                self._loop.run_until_complete(asyncio.wait([task]))
            raise

    def _marks(self) -> dict[str, Any]:
        return {name: _mark(value) for name, value in self.own()}

    def _changed(self, before: dict[str, Any]) -> list[Any]:
        changed = [item for item in self.own() if before.get(item[0]) != _mark(item[1])]
        return [describe(name, value) for name, value in changed[:_VARIABLES]]


def _mark(value: Any) -> Any:
    return (id(value), len(value)) if type(value) in (list, dict, set, bytearray) else id(value)


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


def _syntax_error(error: BaseException, lines: list[str]) -> dict[str, Any]:
    line = getattr(error, "lineno", None)
    told = _facts(error, line, lines)
    told["traceback"] = "".join(traceback.format_exception_only(type(error), error))
    told["kind"] = "syntax"
    return told


def _told(error: BaseException, name: str, lines: list[str]) -> dict[str, Any]:
    if isinstance(error, SystemExit):
        told = _facts(error, _line(error, name), lines)
        told["message"] = "exit() ended this cell; the session and its variables live on"
        return told
    told = _facts(error, _line(error, name), lines)
    told["traceback"] = explain(error)
    if isinstance(error, CellTimeout):
        told["kind"] = "timeout"
    return told


def _facts(error: BaseException, line: int | None, lines: list[str]) -> dict[str, Any]:
    try:
        message = str(error)[:_MESSAGE_CHARS]
    except (Exception, SystemExit) as broken:
        message = f"its message raises {type(broken).__name__}"
    source = lines[line - 1].rstrip("\r\n") if line and 0 < line <= len(lines) else ""
    return {
        "type": type(error).__name__,
        "message": message,
        "line": line,
        "source": source[:1_000],
        "traceback": "",
        "kind": "error",
    }


def _line(error: BaseException, name: str) -> int | None:
    """Return the innermost line of this cell that the error came through."""
    found: int | None = getattr(error, "awaited_line", None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == name:
            found = line
    return found


def _awaited_line(coroutine: Any, name: str) -> int | None:
    """Return the innermost line of this cell that a suspended coroutine waits at."""
    found = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_code.co_filename == name:
            found = frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)
    return found


def explain(error: BaseException) -> str:
    """Return the traceback with the frames of cells only."""
    try:
        told = traceback.TracebackException.from_exception(error)
        seen: list[Any] = [told]
        while seen:
            one = seen.pop()
            kept = [frame for frame in one.stack if frame.filename.startswith("<cell ")]
            one.stack = traceback.StackSummary.from_list(kept)
            seen += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        return "".join(told.format())[-20_000:]
    except Exception as broken:
        return f"{type(error).__name__} (its traceback raises {type(broken).__name__})"
