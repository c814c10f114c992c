"""Stopping a cell in a thread: its code asks, in every loop and function, whether to go on."""

from __future__ import annotations

import ast
import threading
from typing import Any, NoReturn

from rlm.guest.errors import CellTimeout, Submitted
from rlm.guest.interrupts import Shield

__all__ = ["TICK", "Ticker", "Ticks"]

TICK = "_tick_"
"""The name under which a cell finds `Ticker.tick`."""


class Ticker(Shield):
    """Tells the threads of a session when to stop; they notice at their next tick.

    `max_steps` bounds the ticks of one cell. `stopped` is set while a cell is to stop, so that
    what sleeps can wait for it.
    """

    def __init__(self, max_steps: int | None = None) -> None:
        super().__init__()
        self.stopped = threading.Event()
        self._max_steps = max_steps
        self._steps = 0
        self._stop: BaseException | None = None
        self._closed = False

    def begin(self) -> None:
        """A cell begins to run."""
        self._steps = 0
        self.submitted = False
        self.running = True

    def end(self) -> None:
        """The cell has ended: showing its variables may still run code of it."""
        self.running = False
        if not self._closed:
            self._stop = None
            self.stopped.clear()

    def accept(self) -> None:
        """The cell has submitted: its next tick raises Submitted."""
        self.submitted = True
        self._halt(Submitted())

    def interrupt(self) -> None:
        """The cell's time is up: its next tick raises CellTimeout."""
        if self.running and not self.submitted:
            self._halt(CellTimeout("the cell used up its time"))

    def close(self) -> None:
        """The session ends: whatever still runs for it stops at its next tick."""
        self._closed = True
        self._halt(CellTimeout("the session is closed"))

    def tick(self) -> bool:
        """Return True, or raise what stops the cell.

        The thread that made this is the event loop's: what the garbage collector runs there would
        hold it up.
        """
        if self._stop is not None or threading.get_ident() == self._main:
            self._throw(self.stop() or CellTimeout("a cell's code ran where no cell runs"))
        if self._max_steps is not None and self.running:
            self._steps += 1
            if self._steps > self._max_steps:
                self._halt(CellTimeout(f"the cell used up its {self._max_steps:,} steps"))
        return True

    def stop(self) -> BaseException | None:
        """Return what stops the cell, one for each that asks, or None when it may go on."""
        return None if self._stop is None else type(self._stop)(*self._stop.args)

    def _throw(self, stop: BaseException) -> NoReturn:
        """Raise without a context, of which handlers in a recursion would make a long chain."""
        try:
            raise stop
        except BaseException:
            stop.__context__ = None
            raise

    def _halt(self, stop: BaseException) -> None:
        self._stop = stop
        self.stopped.set()

    def __enter__(self) -> Ticker:
        return self

    def __exit__(self, *exc: object) -> None:
        return


class Ticks(ast.NodeTransformer):
    """Adds a tick to each loop, function, handler and top-level statement.

    One in each handler and `finally` makes that no code of a cell can hold on to what stops it.
    """

    def visit_Module(self, node: ast.Module) -> ast.Module:
        body: list[ast.stmt] = []
        for statement in node.body:
            future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
            if body and not future:
                body.append(_statement(statement))
            made = self.visit(statement)
            body += made if isinstance(made, list) else [made]
        node.body = body
        return node

    def _function(self, node: Any) -> Any:
        self.generic_visit(node)
        at = 1 if ast.get_docstring(node, clean=False) is not None else 0
        node.body.insert(at, _statement(node.body[0]))
        return node

    def _loop(self, node: Any) -> Any:
        self.generic_visit(node)
        node.body.insert(0, _statement(node))
        return node

    def _with(self, node: Any) -> Any:
        self.generic_visit(node)
        return [node, _statement(node)]

    def _try(self, node: Any) -> Any:
        self.generic_visit(node)
        if node.finalbody:
            node.finalbody.insert(0, _statement(node.finalbody[0]))
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function
    visit_For = visit_AsyncFor = visit_While = visit_ExceptHandler = _loop
    visit_With = visit_AsyncWith = _with
    visit_Try = visit_TryStar = _try

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        node.ifs.insert(0, _call(node.target))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self.generic_visit(node)
        both = ast.BoolOp(ast.And(), [_call(node.body), node.body])
        node.body = ast.copy_location(both, node.body)
        return node


def _call(where: ast.AST) -> ast.Call:
    made = ast.Call(ast.Name(TICK, ast.Load()), [], [])
    for part in (made, made.func):
        ast.copy_location(part, where)
    return made


def _statement(where: ast.AST) -> ast.Expr:
    return ast.copy_location(ast.Expr(_call(where)), where)
